from __future__ import annotations

import ast
import asyncio
from pathlib import Path

import pytest
from asgiref.sync import async_to_sync

import airflow_provider_pushmetrics
from airflow_provider_pushmetrics import compat
from airflow_provider_pushmetrics.compat import read_version, require_airflow, run_in_thread
from airflow_provider_pushmetrics.exceptions import PushMetricsAirflowVersionError, PushMetricsError

PACKAGE = Path(airflow_provider_pushmetrics.__file__).parent


@pytest.mark.parametrize(
    ("text", "version"),
    [("2.11.2", (2, 11)), ("3.0.6", (3, 0)), ("3.3.0rc1", (3, 3)), ("3.10.0.dev0+local.1", (3, 10))],
)
def test_a_version_is_compared_by_its_first_two_numbers(text: str, version: tuple[int, int]) -> None:
    assert read_version(text) == version


@pytest.mark.parametrize("version", ["3.1.0", "3.1.0rc1", "3.9.1", "3.10.0", "4.0.0"])
def test_an_airflow_that_is_new_enough_is_left_alone(version: str) -> None:
    require_airflow("3.1", "The page", "Use the command.", version=version)


@pytest.mark.parametrize("version", ["2.11.2", "3.0.6"])
def test_an_airflow_that_is_too_old_is_told_what_is_missing_since_when_and_what_to_do(version: str) -> None:
    with pytest.raises(PushMetricsAirflowVersionError) as caught:
        require_airflow("3.1", "The page", "Use the command.", version=version)
    words = f"The page needs Airflow 3.1 or later, and this is Airflow {version}. Use the command."
    assert str(caught.value) == words
    assert isinstance(caught.value, PushMetricsError)


@pytest.mark.parametrize("name", compat.__all__)
def test_every_name_is_there_on_every_airflow(name: str) -> None:
    assert hasattr(compat, name)


def test_versions_of_airflow_differ_in_one_place_only() -> None:
    """A module that tries an import of Airflow knows versions; only ``compat`` is to."""

    def tries_airflow(path: Path) -> bool:
        attempts = (
            node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Try)
        )
        imports = (statement for attempt in attempts for statement in attempt.body)
        return any(
            isinstance(statement, ast.ImportFrom) and (statement.module or "").split(".")[0] == "airflow"
            for statement in imports
        )

    found = [str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py") if tries_airflow(path)]
    assert found == ["compat.py"]


async def test_a_thread_that_asks_the_supervisor_knows_its_event_loop() -> None:
    """Airflow before 3.3.2 asks by ``async_to_sync``; what that runs must run in the triggerer's own loop."""

    async def ask() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    assert await run_in_thread(async_to_sync(ask)) is asyncio.get_running_loop()
