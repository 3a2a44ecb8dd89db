"""Assets that Airflow's API server updates, in the tables of a real Airflow on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow import DAG, settings
from airflow.models.asset import AssetActive, AssetDagRunQueue, AssetEvent, AssetModel
from sqlalchemy import create_engine, select, text
from sqlalchemy.orm import Session, sessionmaker

from airflow_provider_pushmetrics.assets.pushmetrics import build_run_asset
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
from airflow_provider_pushmetrics.receiver.inbox.records import StoredEvent
from airflow_provider_pushmetrics.receiver.runtime import ReceiverRuntime
from tests.fakes.airflow_tables import AirflowTables

DAG_ID = "reacts"
FAST = Pace(look_again_seconds=0.05, retry_seconds=0.05, wait_seconds=0.5, hold_seconds=0.2)
ARRIVED = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture(name="sessions")
def get_sessions(tables: AirflowTables) -> sessionmaker[Session]:
    return tables.sessions


@pytest.fixture(name="asset")
def store_asset(tables: AirflowTables) -> UpdatedAsset:
    """An asset as the Dag processor stores it, with a Dag that it starts."""
    store(tables, "delays", report_id=1)
    (asset,) = fetch_assets()
    return asset


def store(tables: AirflowTables, name: str, **rule: Any) -> None:
    built = build_run_asset(name, updated_by="api_server", **rule)
    tables.process_dags(DAG(DAG_ID if name == "delays" else f"{DAG_ID}_{name}", schedule=[built]))


def drop_asset(sessions: sessionmaker[Session], uri: str) -> None:
    with sessions.begin() as session:
        for active in session.scalars(select(AssetActive).where(AssetActive.uri == uri)):
            session.delete(active)


def make_event(number: int, *, seconds: float = 0.0, report_id: int = 1) -> StoredEvent:
    body = json.dumps({"event": "report.run", "report_id": report_id, "number": number}).encode()
    return StoredEvent(number, "demo", ARRIVED + timedelta(seconds=seconds), None, body)


def read_numbers(sessions: sessionmaker[Session]) -> list[int]:
    with sessions() as session:
        found = session.scalars(select(AssetEvent).order_by(AssetEvent.id)).all()
        return [row.extra["payload"]["body"]["number"] for row in found]


# Writing one


def test_an_event_updates_the_asset_and_queues_its_dag(
    sessions: sessionmaker[Session], asset: UpdatedAsset
) -> None:
    register(asset, make_event(1))
    with sessions() as session:
        (stored,) = session.scalars(select(AssetEvent)).all()
        (queued,) = session.scalars(select(AssetDagRunQueue)).all()
    assert stored.extra == {"from_receiver": True, "payload": write_payload(make_event(1))}
    assert (queued.asset_id, queued.target_dag_id) == (asset.id, DAG_ID)


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


def test_an_event_that_airflow_cannot_store_is_written_as_one_that_it_can(
    sessions: sessionmaker[Session], asset: UpdatedAsset
) -> None:
    register(asset, StoredEvent(1, "demo", ARRIVED, None, HARMFUL))
    with sessions() as session:
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


def test_an_event_is_written_once_though_its_position_was_not_stored(
    sessions: sessionmaker[Session], asset: UpdatedAsset
) -> None:
    for number in (1, 2, 1, 2, 3):
        register(asset, make_event(number, seconds=number))
    assert read_numbers(sessions) == [1, 2, 3]


@pytest.mark.parametrize("one_run_per_event", [False, True])
def test_the_position_is_kept_when_only_the_way_to_start_runs_changes(one_run_per_event: bool) -> None:
    """From the beginning of the inbox, old events would start their Dags a second time."""
    rule = AssetUpdateRule(event="report.run", report_id=1, one_run_per_event=one_run_per_event)
    asset = UpdatedAsset(1, "pushmetrics://a/reports/1", rule)
    assert asset.position_name == "airflow-asset-addd678cbc4f"  # since before one_run_per_event


def test_many_api_servers_write_each_event_once_and_in_order(
    sessions: sessionmaker[Session], asset: UpdatedAsset
) -> None:
    events = [make_event(number, seconds=number) for number in range(1, 31)]

    def follow(_: int) -> None:
        for found in events:
            register(asset, found)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(follow, range(8)))
    assert read_numbers(sessions) == list(range(1, 31))


def test_the_first_events_of_a_new_inbox_are_written(
    sessions: sessionmaker[Session], asset: UpdatedAsset
) -> None:
    register(asset, make_event(500))
    register(asset, make_event(1, seconds=60))
    assert read_numbers(sessions) == [500, 1]


FORGED = {**write_payload(make_event(99, seconds=99)), "id": 10**18}


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
    sessions: sessionmaker[Session], asset: UpdatedAsset, extra: dict[str, Any], made_by: str | None
) -> None:
    with sessions.begin() as session:
        session.add(AssetEvent(asset_id=asset.id, extra=extra, source_dag_id=made_by))
    register(asset, make_event(1))
    with sessions() as session:
        assert len(session.scalars(select(AssetEvent)).all()) == 2


def test_asset_events_that_others_make_do_not_hide_ours(
    sessions: sessionmaker[Session], asset: UpdatedAsset
) -> None:
    register(asset, make_event(1))
    with sessions.begin() as session:
        session.add_all(
            AssetEvent(asset_id=asset.id, extra={"from_rest_api": True}, source_dag_id=made_by)
            for made_by in [None, "a_dag"] * 10
        )
    register(asset, make_event(1))
    with sessions() as session:
        assert len(session.scalars(select(AssetEvent)).all()) == 21


def test_events_whose_times_are_not_in_order_are_written_once(
    sessions: sessionmaker[Session], asset: UpdatedAsset
) -> None:
    """Several receivers read their clocks before they wait for the inbox's lock."""
    events = [make_event(number, seconds=-number) for number in range(1, 6)]
    for found in (*events, *events):
        register(asset, found)
    assert read_numbers(sessions) == [1, 2, 3, 4, 5]


def test_nothing_is_written_for_an_asset_that_is_gone(sessions: sessionmaker[Session]) -> None:
    gone = UpdatedAsset(404, "pushmetrics://x/reports/1", AssetUpdateRule(event="report.run"))
    with pytest.raises(NoDagForAssetError):
        register(gone, make_event(1))
    assert read_numbers(sessions) == []


@pytest.mark.parametrize("fault", ["is_paused", "is_stale"])
def test_nothing_is_written_while_the_dag_cannot_be_started(
    tables: AirflowTables, sessions: sessionmaker[Session], asset: UpdatedAsset, fault: str
) -> None:
    tables.change_dags(**{fault: True})
    assert fetch_assets() == []
    with pytest.raises(NoDagForAssetError):
        register(asset, make_event(1))
    assert read_numbers(sessions) == []


def test_only_active_assets_that_wish_it_are_found(
    sessions: sessionmaker[Session], asset: UpdatedAsset
) -> None:
    with sessions.begin() as session:
        other = AssetModel(
            name="other", uri="pushmetrics://pushmetrics.io/reports/2", group="asset", extra={}
        )
        session.add(other)
        session.flush()
        session.add(AssetActive.for_asset(other))
    assert fetch_assets() == [asset]
    assert (asset.uri, asset.rule) == (
        "pushmetrics://pushmetrics.io/reports/1?name=delays",
        AssetUpdateRule(event="report.run", report_id=1),
    )
    drop_asset(sessions, asset.uri)
    assert fetch_assets() == []


# Following the inbox


@pytest.fixture(name="runtime")
def open_runtime(tmp_path: Path) -> Iterator[ReceiverRuntime]:
    runtime = ReceiverRuntime(f"sqlite:///{tmp_path}/inbox.db")
    yield runtime
    runtime.close()


async def deliver(runtime: ReceiverRuntime, *numbers: int, report_id: int = 1) -> None:
    for number in numbers:
        body = json.dumps({"event": "report.run", "report_id": report_id, "number": number}).encode()
        await runtime.writer.record(parse_webhook("demo", None, body))


@asynccontextmanager
async def run_updater(runtime: ReceiverRuntime, *, failures: int = 0) -> AsyncIterator[None]:
    """Run the updater of one API server, whose inbox cannot be opened the first times."""
    left = [Unavailable("The inbox cannot be used now.")] * failures

    async def get_runtime() -> ReceiverRuntime:
        if left:
            raise left.pop()
        return runtime

    task = asyncio.create_task(AssetUpdater(get_runtime, pace=FAST).run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def wait_for(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(120):
        while not await asyncio.to_thread(is_so):  # noqa: ASYNC110 - it may become so in other processes
            await asyncio.sleep(0.02)


async def wait_for_numbers(sessions: sessionmaker[Session], wanted: Sequence[int]) -> None:
    await wait_for(lambda: len(read_numbers(sessions)) >= len(wanted))
    assert read_numbers(sessions) == list(wanted)


async def test_events_of_the_inbox_update_the_asset(
    tables: AirflowTables, sessions: sessionmaker[Session], asset: UpdatedAsset, runtime: ReceiverRuntime
) -> None:
    async with run_updater(runtime):
        await deliver(runtime, 1)
        await wait_for_numbers(sessions, [1])
        await deliver(runtime, 2, report_id=2)
        await deliver(runtime, 3)
        await wait_for_numbers(sessions, [1, 3])
    assert tables.count_queued() == (1 if overlooks_events() else 2)  # of the asset, or of each event


async def test_an_api_server_goes_on_where_the_last_one_ended(
    sessions: sessionmaker[Session], asset: UpdatedAsset, runtime: ReceiverRuntime
) -> None:
    await deliver(runtime, 1)
    async with run_updater(runtime):
        await wait_for_numbers(sessions, [1])
        await wait_for(lambda: runtime.inbox.fetch_consumer(asset.position_name).position == 1)
    await deliver(runtime, 2)
    async with run_updater(runtime, failures=3):
        await wait_for_numbers(sessions, [1, 2])


@pytest.mark.skipif(not overlooks_events(), reason="this Airflow overlooks no event")
async def test_the_position_waits_for_an_event_that_was_overlooked(
    tables: AirflowTables, asset: UpdatedAsset, runtime: ReceiverRuntime
) -> None:
    async with run_updater(runtime):
        await deliver(runtime, 1)
        await wait_for(lambda: tables.count_queued() == 1)
        await asyncio.to_thread(tables.drop_queue)
        await asyncio.sleep(1.0)
        assert runtime.inbox.fetch_consumer(asset.position_name).position == 0
    async with run_updater(runtime):  # after a crash: it is read again, and its Dag queued again
        await wait_for(lambda: tables.count_queued() == 1)
        await wait_for(lambda: runtime.inbox.fetch_consumer(asset.position_name).position == 1)
    assert len(tables.list_events()) == 1


async def test_events_that_come_while_the_dag_is_paused_wait_for_it(
    tables: AirflowTables, sessions: sessionmaker[Session], asset: UpdatedAsset, runtime: ReceiverRuntime
) -> None:
    async with run_updater(runtime):
        await deliver(runtime, 1)
        await wait_for_numbers(sessions, [1])
        await asyncio.to_thread(tables.change_dags, is_paused=True)
        await deliver(runtime, 2, 3)
        await asyncio.sleep(0.5)
        assert read_numbers(sessions) == [1]
        await asyncio.to_thread(tables.change_dags, is_paused=False)
        await wait_for_numbers(sessions, [1, 2, 3])


async def test_two_api_servers_update_the_asset_once_for_each_event(
    sessions: sessionmaker[Session], asset: UpdatedAsset, runtime: ReceiverRuntime
) -> None:
    async with run_updater(runtime), run_updater(runtime):
        await deliver(runtime, *range(1, 11))
        await wait_for_numbers(sessions, range(1, 11))
        await asyncio.sleep(0.2)
    assert read_numbers(sessions) == list(range(1, 11))


async def test_the_position_passes_events_that_do_not_update_the_asset(
    sessions: sessionmaker[Session], asset: UpdatedAsset, runtime: ReceiverRuntime
) -> None:
    """Else they would count as missed when they are deleted."""
    await deliver(runtime, 1, 2, 3, report_id=2)
    async with run_updater(runtime):
        await wait_for(lambda: runtime.inbox.fetch_consumer(asset.position_name).position == 3)
    assert read_numbers(sessions) == []


async def test_an_asset_that_comes_later_is_updated_by_what_came_before(
    tables: AirflowTables, sessions: sessionmaker[Session], runtime: ReceiverRuntime
) -> None:
    async with run_updater(runtime):
        await deliver(runtime, 1)
        await asyncio.sleep(0.2)
        await asyncio.to_thread(store, tables, "late", report_id=1)
        await wait_for_numbers(sessions, [1])


async def test_an_asset_that_is_no_longer_active_is_left_alone(
    sessions: sessionmaker[Session], asset: UpdatedAsset, runtime: ReceiverRuntime
) -> None:
    async with run_updater(runtime):
        await deliver(runtime, 1)
        await wait_for_numbers(sessions, [1])
        await asyncio.to_thread(drop_asset, sessions, asset.uri)
        await asyncio.sleep(0.5)
        await deliver(runtime, 2)
        await asyncio.sleep(0.5)
    assert read_numbers(sessions) == [1]


async def test_airflows_database_may_be_away_for_a_while(
    sessions: sessionmaker[Session],
    asset: UpdatedAsset,
    runtime: ReceiverRuntime,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with run_updater(runtime):
        await deliver(runtime, 1)
        await wait_for_numbers(sessions, [1])
        with monkeypatch.context() as away:
            away.setattr(settings, "NonScopedSession", sessionmaker(create_engine("sqlite:////nowhere/x.db")))
            await deliver(runtime, 2)
            await asyncio.sleep(0.5)
        await wait_for_numbers(sessions, [1, 2])
        # It is logged after the event is stored.
        await wait_for(lambda: "is updated again" in caplog.text or "can be listed again" in caplog.text)
    assert "cannot be updated: OperationalError" in caplog.text
