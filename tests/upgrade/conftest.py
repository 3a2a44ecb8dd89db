"""What older versions left behind, with the servers of this version on it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.upgrade.dumps import load_database
from tests.upgrade.releases import Release, list_releases
from tests.upgrade.servers import Place, Servers, make_place, run_inbox, run_servers


@pytest.fixture(
    params=[
        pytest.param(
            release,
            id=f"{release.version}-{release.kind}",
            marks=[pytest.mark.postgres] if release.kind == "postgresql" else [],
        )
        for release in list_releases()
    ]
)
def release(request: pytest.FixtureRequest) -> Release:
    """Give what a version left behind, on each kind of database."""
    release: Release = request.param
    return release


@pytest.fixture
def place(release: Release, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Place]:
    """Give the databases and results of that version, which no process of this one has seen."""
    server_url = None if release.kind == "sqlite" else request.getfixturevalue("postgres_server_url")
    with make_place(release.kind, tmp_path, server_url) as place:
        load_place(release, place)
        yield place


def load_place(release: Release, place: Place) -> None:
    """Load what a version left behind into empty databases."""
    load_database(release.service_dump, place.service_url)
    load_database(release.inbox_dump, place.inbox_url)
    shutil.copytree(release.results, place.folder / "results")


@pytest.fixture
def servers(place: Place) -> Iterator[Servers]:
    """Give servers of this version on that data; the service is told the new URL of the receiver."""
    with run_inbox(place) as receiver_url:
        with run_servers(place, receiver_url, executes=False) as servers:
            (subscription,) = servers.client.get("/api/v1/webhook_subscription/").json()["result"]
            url = f"/api/v1/webhook_subscription/{subscription['id']}"
            servers.client.put(url, json={"url": servers.delivery_url}).raise_for_status()
        with run_servers(place, receiver_url) as servers:
            yield servers
