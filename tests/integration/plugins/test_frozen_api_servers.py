"""An API server that is frozen while others update its assets, and goes on with a page of long ago."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.models.asset import AssetEvent
from sqlalchemy import event

from airflow_provider_pushmetrics.plugins.asset_updates import NEWEST, Pace
from airflow_provider_pushmetrics.plugins.dag_run_queue import overlooks_events
from airflow_provider_pushmetrics.receiver.runtime import ReceiverRuntime
from tests.fakes.airflow_tables import AirflowTables
from tests.fakes.stored_asset import StoredAsset
from tests.fakes.waiting import LIMIT_SECONDS
from tests.integration.plugins.test_asset_updates import deliver, run_updater, wait_for, wait_for_numbers

WOKEN_BY_EVENTS = Pace(
    look_again_seconds=0.05, retry_seconds=0.05, wait_seconds=LIMIT_SECONDS, hold_seconds=LIMIT_SECONDS
)
FROM_ANYBODY = {"from_rest_api": True}


class ApiServer:
    """
    One of several API servers; each has the inbox opened for itself.

    :param inbox_url: The inbox, which they share.
    """

    def __init__(self, inbox_url: str) -> None:
        self.runtime = ReceiverRuntime(inbox_url)
        self._freezes = False
        self.is_frozen = threading.Event()
        self._thaws = threading.Event()
        event.listen(self.runtime.inbox._engine, "after_cursor_execute", self._pause)

    def freeze_at_its_position(self) -> None:
        """Freeze as soon as it has read how far its asset is updated."""
        self._freezes = True

    def thaw(self) -> None:
        """Go on with what was read before."""
        self._thaws.set()

    def close(self) -> None:
        """Close the inbox."""
        self.thaw()
        self.runtime.close()

    def _pause(self, *arguments: Any) -> None:
        statement: str = arguments[2]
        if self._freezes and statement.startswith("SELECT") and "pushmetrics_inbox_consumers" in statement:
            self._freezes = False
            self.is_frozen.set()
            assert self._thaws.wait(LIMIT_SECONDS), "it was never thawed"


@pytest.fixture(name="servers")
def start_servers(tables_url: str, tmp_path: Path) -> Iterator[tuple[ApiServer, ApiServer]]:
    """Start two API servers, with the inbox in the same kind of database as Airflow's."""
    inbox_url = f"sqlite:///{tmp_path}/inbox.db" if tables_url.startswith("sqlite") else tables_url
    servers = ApiServer(inbox_url), ApiServer(inbox_url)
    yield servers
    for server in servers:
        server.close()


async def test_an_api_server_that_was_frozen_starts_nothing_twice(
    tables: AirflowTables, servers: tuple[ApiServer, ApiServer]
) -> None:
    frozen, other = servers
    asset = StoredAsset(tables, "reacts")
    positions = [0]

    def fetch_position() -> int:
        positions.append(other.runtime.inbox.fetch_consumer(asset.found.position_name).position)
        return positions[-1]

    async with run_updater(frozen.runtime, pace=WOKEN_BY_EVENTS):
        await deliver(frozen.runtime, 1)
        await wait_for_numbers(asset, [1])
        if not overlooks_events():  # otherwise the position waits until the event is handled
            await wait_for(lambda: fetch_position() == 1)  # it has left the transaction that locks the inbox
        frozen.freeze_at_its_position()
        async with run_updater(other.runtime):
            await deliver(other.runtime, 2)
            await wait_for(frozen.is_frozen.is_set)
            await deliver(other.runtime, *range(3, 10))
            await wait_for(lambda: fetch_position() == 9)
        let_hours_pass(asset)
        frozen.thaw()
        await deliver(other.runtime, 10)
        await wait_for(lambda: fetch_position() > 0 and 10 in read_numbers(asset))
    assert read_numbers(asset) == list(range(1, 11))
    assert positions == sorted(positions)


def let_hours_pass(asset: StoredAsset) -> None:
    """Update the asset by so many events that older ones are not searched."""
    with asset.tables.sessions.begin() as session:
        session.add_all(AssetEvent(asset_id=asset.found.id, extra=FROM_ANYBODY) for _ in range(NEWEST))


def read_numbers(asset: StoredAsset) -> list[int]:
    """Read the numbers of the events that updated the asset, as long as it did not happen by others."""
    rows = asset.tables.list_events()
    return [row.extra["payload"]["body"]["number"] for row in rows if row.extra != FROM_ANYBODY]
