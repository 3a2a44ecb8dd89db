"""
The long tests, marked ``soak``: ``make soak`` runs them, and prints what each found.

``make soak SIZE=quick`` takes minutes instead of hours.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.integration.receiver.conftest import inbox_url, sqlite_url

__all__ = ["inbox_url", "sqlite_url"]

Show = Callable[[str], None]
"""Prints figures of a test, at once."""


@dataclass(frozen=True)
class Size:
    """How much the long tests do."""

    outage_seconds: float = 60
    load_seconds: float = 600
    waiters: int = 10_000
    idle_seconds: float = 20
    timings: int = 200_000
    rounds: int = 10
    events: int = 200
    event_seconds: float = 600
    mixed_seconds: float = 1800


QUICK = Size(
    outage_seconds=26,  # longer than a writer waits for its database
    load_seconds=5,
    waiters=1000,
    idle_seconds=5,
    timings=10_000,
    rounds=1,
    events=20,
    event_seconds=60,
    mixed_seconds=60,
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "soak" in item.path.parts:
            item.add_marker(pytest.mark.soak)


@pytest.fixture(scope="session")
def size() -> Size:
    return QUICK if os.environ.get("SIZE") == "quick" else Size()


@pytest.fixture
def show(request: pytest.FixtureRequest, pytestconfig: pytest.Config) -> Show:
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")

    def show(figures: str) -> None:
        with capture.global_and_fixture_disabled():
            print(f"\n{request.node.name}: {figures}", flush=True)  # noqa: T201 - what `make soak` is for

    return show
