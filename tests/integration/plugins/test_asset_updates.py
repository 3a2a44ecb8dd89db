"""Assets that Airflow's API server updates, in the tables of a real Airflow on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from airflow import settings
from airflow.models.asset import AssetActive, AssetDagRunQueue, AssetEvent, AssetModel
from sqlalchemy import create_engine, delete, select, text, update
from sqlalchemy.orm import sessionmaker

from airflow_provider_pushmetrics.assets.update_rules import AssetUpdateRule
from airflow_provider_pushmetrics.exceptions import NoDagForAssetError
from airflow_provider_pushmetrics.plugins.asset_updates import (
    AssetUpdater,
    Pace,
    UpdatedAsset,
    fetch_assets,
    register,
    write_payload,
)
from airflow_provider_pushmetrics.plugins.dag_run_queue import overlooks_events
from airflow_provider_pushmetrics.receiver.endpoints.parsing import parse_webhook
from airflow_provider_pushmetrics.receiver.errors import Unavailable
from airflow_provider_pushmetrics.receiver.inbox.recording import record
from airflow_provider_pushmetrics.receiver.inbox.records import IncomingWebhook, StoredEvent
from airflow_provider_pushmetrics.receiver.inbox.tables import consumers, events, state
from airflow_provider_pushmetrics.receiver.runtime import ReceiverRuntime
from tests.fakes.airflow_tables import AirflowTables
from tests.fakes.stored_asset import ARRIVED, StoredAsset, make_event

DAG_ID = "reacts"
FAST = Pace(look_again_seconds=0.05, retry_seconds=0.05, wait_seconds=0.5, hold_seconds=0.2)


@pytest.fixture(name="asset")
def store_asset(tables: AirflowTables) -> StoredAsset:
    return StoredAsset(tables, DAG_ID)


def drop_asset(tables: AirflowTables, uri: str) -> None:
    with tables.sessions.begin() as session:
        for active in session.scalars(select(AssetActive).where(AssetActive.uri == uri)):
            session.delete(active)


# Writing one


def test_an_event_updates_the_asset_and_queues_its_dag(asset: StoredAsset) -> None:
    asset.write()
    with asset.tables.sessions() as session:
        (stored,) = session.scalars(select(AssetEvent)).all()
        (queued,) = session.scalars(select(AssetDagRunQueue)).all()
    assert stored.extra == {"from_receiver": True, "payload": write_payload(make_event(1))}
    assert (queued.asset_id, queued.target_dag_id) == (asset.found.id, DAG_ID)


def test_what_is_known_of_an_event_is_what_a_watcher_says() -> None:
    assert write_payload(make_event(7)) == {
        "id": 7,
        "source": "demo",
        "received_at": ARRIVED.isoformat(),
        "body": {"event": "report.run", "report_id": 1, "number": 7},
    }


HARMFUL = (
    rb'{"event": "report.run", "report_id": 1, "n": 18446744073709551616, "a\u0000": "\ud800", "__id__": 1}'
)


def test_an_event_that_airflow_cannot_store_is_written_as_one_that_it_can(asset: StoredAsset) -> None:
    register(asset.found, StoredEvent(1, "demo", ARRIVED, None, HARMFUL))
    with asset.tables.sessions() as session:
        body = session.scalars(select(AssetEvent)).one().extra["payload"]["body"]
        if session.get_bind().dialect.name == "postgresql":  # Airflow 3.4 has an index on this
            assert session.scalar(text("SELECT extra::jsonb FROM asset_event"))["payload"]["body"] == body
    assert body == {
        "event": "report.run",
        "report_id": 1,
        "n": "18446744073709551616",
        "a\ufffd": "\ufffd",
        "__id___": 1,
    }


def test_an_event_is_written_once_though_its_position_was_not_stored(asset: StoredAsset) -> None:
    for number in (1, 2, 1, 2, 3):
        asset.write(number, seconds=number)
    assert asset.read_numbers() == [1, 2, 3]


@pytest.mark.parametrize("one_run_per_event", [False, True])
def test_the_position_is_kept_when_only_the_way_to_start_runs_changes(one_run_per_event: bool) -> None:
    """From the beginning of the inbox, old events would start their Dags a second time."""
    rule = AssetUpdateRule(event="report.run", report_id=1, one_run_per_event=one_run_per_event)
    asset = UpdatedAsset(1, "pushmetrics://a/reports/1", rule)
    assert asset.position_name == "airflow-asset-addd678cbc4f"  # since before one_run_per_event


@pytest.mark.slow
def test_many_api_servers_write_each_event_once_and_in_order(asset: StoredAsset) -> None:
    def follow(_: int) -> None:
        for number in range(1, 31):
            asset.write(number, seconds=number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(follow, range(8)))
    assert asset.read_numbers() == list(range(1, 31))


def test_the_first_events_of_a_new_inbox_are_written(asset: StoredAsset) -> None:
    asset.write(500)
    asset.write(1, seconds=60)
    assert asset.read_numbers() == [500, 1]


FORGED = {**write_payload(make_event(99, received_at=ARRIVED + timedelta(seconds=99))), "id": 10**18}


@pytest.mark.parametrize(
    ("extra", "made_by"),
    [
        ({}, None),
        ({"payload": "x"}, None),
        ({"payload": {"id": "99"}}, None),
        ({"payload": {"id": None, "received_at": None}}, None),
        ({"payload": {"id": 10**18}}, None),
        ({"payload": FORGED, "from_rest_api": True}, None),
        ({"payload": FORGED, "from_receiver": True}, "a_dag"),
        ({"payload": write_payload(make_event(1)), "from_receiver": True}, "a_dag"),
    ],
)
def test_asset_events_that_others_make_keep_none_of_ours_back(
    asset: StoredAsset, extra: dict[str, Any], made_by: str | None
) -> None:
    with asset.tables.sessions.begin() as session:
        session.add(AssetEvent(asset_id=asset.found.id, extra=extra, source_dag_id=made_by))
    asset.write()
    with asset.tables.sessions() as session:
        assert len(session.scalars(select(AssetEvent)).all()) == 2


def test_asset_events_that_others_make_do_not_hide_ours(asset: StoredAsset) -> None:
    asset.write()
    with asset.tables.sessions.begin() as session:
        session.add_all(
            AssetEvent(asset_id=asset.found.id, extra={"from_rest_api": True}, source_dag_id=made_by)
            for made_by in [None, "a_dag"] * 10
        )
    asset.write()
    with asset.tables.sessions() as session:
        assert len(session.scalars(select(AssetEvent)).all()) == 21


def test_events_whose_times_are_not_in_order_are_written_once(asset: StoredAsset) -> None:
    """Several receivers read their clocks before they wait for the inbox's lock."""
    for number in (*range(1, 6), *range(1, 6)):
        asset.write(number, seconds=-number)
    assert asset.read_numbers() == [1, 2, 3, 4, 5]


def test_nothing_is_written_for_an_asset_that_is_gone(tables: AirflowTables) -> None:
    gone = UpdatedAsset(404, "pushmetrics://x/reports/1", AssetUpdateRule(event="report.run"))
    with pytest.raises(NoDagForAssetError):
        register(gone, make_event(1))
    assert tables.list_events() == []


@pytest.mark.parametrize("fault", ["is_paused", "is_stale"])
def test_nothing_is_written_while_the_dag_cannot_be_started(asset: StoredAsset, fault: str) -> None:
    asset.tables.change_dags(**{fault: True})
    assert fetch_assets() == []
    with pytest.raises(NoDagForAssetError):
        asset.write()
    assert asset.read_numbers() == []


def test_only_active_assets_that_wish_it_are_found(asset: StoredAsset) -> None:
    with asset.tables.sessions.begin() as session:
        other = AssetModel(
            name="other", uri="pushmetrics://pushmetrics.io/reports/2", group="asset", extra={}
        )
        session.add(other)
        session.flush()
        session.add(AssetActive.for_asset(other))
    assert fetch_assets() == [asset.found]
    assert (asset.found.uri, asset.found.rule) == (
        "pushmetrics://pushmetrics.io/reports/1?name=delays",
        AssetUpdateRule(event="report.run", report_id=1),
    )
    drop_asset(asset.tables, asset.found.uri)
    assert fetch_assets() == []


# Following the inbox


async def deliver(runtime: ReceiverRuntime, *numbers: int, report_id: int = 1) -> None:
    for number in numbers:
        await runtime.writer.record(build_webhook(number, report_id=report_id))


def build_webhook(number: int, *, report_id: int = 1) -> IncomingWebhook:
    body = json.dumps({"event": "report.run", "report_id": report_id, "number": number}).encode()
    return parse_webhook("demo", None, body)


@asynccontextmanager
async def run_updater(
    runtime: ReceiverRuntime, *, failures: int = 0, pace: Pace = FAST
) -> AsyncIterator[None]:
    """Run the updater of one API server, whose inbox cannot be opened the first times."""
    left = [Unavailable("The inbox cannot be used now.")] * failures

    async def get_runtime() -> ReceiverRuntime:
        if left:
            raise left.pop()
        return runtime

    task = asyncio.create_task(AssetUpdater(get_runtime, pace=pace).run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def wait_for(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(120):
        while not await asyncio.to_thread(is_so):  # noqa: ASYNC110 - it may become so in other processes
            await asyncio.sleep(0.02)


async def wait_for_numbers(asset: StoredAsset, wanted: Sequence[int]) -> None:
    await wait_for(lambda: len(asset.read_numbers()) >= len(wanted))
    assert asset.read_numbers() == list(wanted)


async def test_events_of_the_inbox_update_the_asset(asset: StoredAsset, runtime: ReceiverRuntime) -> None:
    async with run_updater(runtime):
        await deliver(runtime, 1)
        await wait_for_numbers(asset, [1])
        await deliver(runtime, 2, report_id=2)
        await deliver(runtime, 3)
        await wait_for_numbers(asset, [1, 3])
    assert asset.tables.count_queued() == (1 if overlooks_events() else 2)  # of the asset, or of each event


async def test_an_api_server_goes_on_where_the_last_one_ended(
    asset: StoredAsset, runtime: ReceiverRuntime
) -> None:
    await deliver(runtime, 1)
    async with run_updater(runtime):
        await wait_for_numbers(asset, [1])
        await wait_for(lambda: runtime.inbox.fetch_consumer(asset.found.position_name).position == 1)
    await deliver(runtime, 2)
    async with run_updater(runtime, failures=3):
        await wait_for_numbers(asset, [1, 2])


@pytest.mark.skipif(not overlooks_events(), reason="this Airflow overlooks no event")
async def test_the_position_waits_for_an_event_that_was_overlooked(
    asset: StoredAsset, runtime: ReceiverRuntime
) -> None:
    async with run_updater(runtime):
        await deliver(runtime, 1)
        await wait_for(lambda: asset.tables.count_queued() == 1)
        await asyncio.to_thread(asset.tables.drop_queue)
        await asyncio.sleep(1.0)
        assert runtime.inbox.fetch_consumer(asset.found.position_name).position == 0
    async with run_updater(runtime):  # after a crash: it is read again, and its Dag queued again
        await wait_for(lambda: asset.tables.count_queued() == 1)
        await wait_for(lambda: runtime.inbox.fetch_consumer(asset.found.position_name).position == 1)
    assert len(asset.tables.list_events()) == 1


async def test_events_that_come_while_the_dag_is_paused_wait_for_it(
    asset: StoredAsset, runtime: ReceiverRuntime
) -> None:
    async with run_updater(runtime):
        await deliver(runtime, 1)
        await wait_for_numbers(asset, [1])
        await asyncio.to_thread(asset.tables.change_dags, is_paused=True)
        await deliver(runtime, 2, 3)
        await asyncio.sleep(0.5)
        assert asset.read_numbers() == [1]
        await asyncio.to_thread(asset.tables.change_dags, is_paused=False)
        await wait_for_numbers(asset, [1, 2, 3])


async def test_two_api_servers_update_the_asset_once_for_each_event(
    asset: StoredAsset, runtime: ReceiverRuntime
) -> None:
    async with run_updater(runtime), run_updater(runtime):
        await deliver(runtime, *range(1, 11))
        await wait_for_numbers(asset, range(1, 11))
        await asyncio.sleep(0.2)
    assert asset.read_numbers() == list(range(1, 11))


async def test_the_position_passes_events_that_do_not_update_the_asset(
    asset: StoredAsset, runtime: ReceiverRuntime
) -> None:
    """Else they would count as missed when they are deleted."""
    await deliver(runtime, 1, 2, 3, report_id=2)
    async with run_updater(runtime):
        await wait_for(lambda: runtime.inbox.fetch_consumer(asset.found.position_name).position == 3)
    assert asset.read_numbers() == []


async def test_the_events_of_an_inbox_that_takes_the_place_of_this_one_update_the_asset(
    asset: StoredAsset, runtime: ReceiverRuntime
) -> None:
    async with run_updater(runtime):
        await deliver(runtime, 1, 2, 3)
        await wait_for(lambda: runtime.inbox.fetch_consumer(asset.found.position_name).position == 3)
        with runtime.inbox._engine.begin() as connection:
            for table in (events, consumers):
                connection.execute(delete(table))
            connection.execute(update(state).values(last_event_id=0))
            record(connection, [build_webhook(7)])
        await wait_for_numbers(asset, [1, 2, 3, 7])


async def test_an_asset_that_comes_later_is_updated_by_what_came_before(
    tables: AirflowTables, runtime: ReceiverRuntime
) -> None:
    async with run_updater(runtime):
        await deliver(runtime, 1)
        await asyncio.sleep(0.2)
        late = await asyncio.to_thread(StoredAsset, tables, DAG_ID)
        await wait_for_numbers(late, [1])


async def test_an_asset_that_is_no_longer_active_is_left_alone(
    asset: StoredAsset, runtime: ReceiverRuntime
) -> None:
    async with run_updater(runtime):
        await deliver(runtime, 1)
        await wait_for_numbers(asset, [1])
        await asyncio.to_thread(drop_asset, asset.tables, asset.found.uri)
        await asyncio.sleep(0.5)
        await deliver(runtime, 2)
        await asyncio.sleep(0.5)
    assert asset.read_numbers() == [1]


async def test_airflows_database_may_be_away_for_a_while(
    asset: StoredAsset,
    runtime: ReceiverRuntime,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with run_updater(runtime):
        await deliver(runtime, 1)
        await wait_for_numbers(asset, [1])
        with monkeypatch.context() as away:
            away.setattr(settings, "NonScopedSession", sessionmaker(create_engine("sqlite:////nowhere/x.db")))
            await deliver(runtime, 2)
            await asyncio.sleep(0.5)
        await wait_for_numbers(asset, [1, 2])
        # It is logged after the event is stored.
        await wait_for(lambda: "is updated again" in caplog.text or "can be listed again" in caplog.text)
    assert "cannot be updated: OperationalError" in caplog.text
