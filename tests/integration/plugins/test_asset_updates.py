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

from tests.fakes.airflow_versions import AIRFLOW_VERSION

if AIRFLOW_VERSION < (3, 1):
    pytest.skip("the receiver runs in Airflow's API server from 3.1 on", allow_module_level=True)

from airflow import settings
from airflow.models import import_all_models
from airflow.models.asset import (
    AssetActive,
    AssetDagRunQueue,
    AssetEvent,
    AssetModel,
    DagScheduleAssetReference,
)
from airflow.models.base import Base
from airflow.models.dag import DagModel
from airflow.models.dagbundle import DagBundleModel
from sqlalchemy import create_engine, event, select, text, update
from sqlalchemy.orm import Session, sessionmaker

from airflow_provider_pushmetrics.assets.pushmetrics import build_run_asset
from airflow_provider_pushmetrics.assets.wishes import UpdateWish
from airflow_provider_pushmetrics.plugins.asset_updates import (
    SPACING_SECONDS,
    AssetUpdater,
    NobodyWaitsError,
    Pace,
    UpdatedAsset,
    fetch_assets,
    register,
    write_payload,
)
from airflow_provider_pushmetrics.receiver.deliveries import build_delivery
from airflow_provider_pushmetrics.receiver.inbox import StoredEvent
from airflow_provider_pushmetrics.receiver.refusals import Unavailable
from airflow_provider_pushmetrics.receiver.runtime import ReceiverRuntime

DAG_ID = "reacts"
FAST = Pace(look_again_seconds=0.05, retry_seconds=0.05, wait_seconds=0.5)
ARRIVED = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture(name="sessions", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def make_airflow_tables(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[sessionmaker[Session]]:
    """Airflow's own tables in an empty database, and sessions on it where Airflow looks for its own."""
    url = f"sqlite:///{tmp_path}/airflow.db"
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_url")
    engine = create_engine(url, pool_size=20)
    if request.param == "sqlite":
        event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA journal_mode=WAL"))
    import_all_models()
    Base.metadata.create_all(engine)
    sessions = sessionmaker(engine, expire_on_commit=False)
    monkeypatch.setattr(settings, "NonScopedSession", sessions)
    yield sessions
    engine.dispose()


@pytest.fixture(name="asset")
def store_asset(sessions: sessionmaker[Session]) -> UpdatedAsset:
    """An asset as the Dag processor stores it, with a Dag that it starts."""
    store(sessions, "delays", report_id=1)
    (asset,) = fetch_assets()
    return asset


def store(sessions: sessionmaker[Session], name: str, **wish: Any) -> None:
    built = build_run_asset(name, updated_by="api_server", **wish)
    with sessions.begin() as session:
        model = AssetModel(name=built.name, uri=built.uri, group="asset", extra=built.extra)
        session.add(model)
        session.flush()
        session.add(AssetActive.for_asset(model))
        if session.get(DagModel, DAG_ID) is None:
            session.add(DagBundleModel(name="dags"))
            session.flush()
            session.add(DagModel(dag_id=DAG_ID, is_paused=False, is_stale=False, bundle_name="dags"))
            session.flush()
        session.add(DagScheduleAssetReference(dag_id=DAG_ID, asset_id=model.id))


def drop_asset(sessions: sessionmaker[Session], uri: str) -> None:
    with sessions.begin() as session:
        for active in session.scalars(select(AssetActive).where(AssetActive.uri == uri)):
            session.delete(active)


def change_dag(sessions: sessionmaker[Session], **values: bool) -> None:
    with sessions.begin() as session:
        session.execute(update(DagModel).values(values))


def make_event(number: int, *, seconds: float = 0.0, report_id: int = 1) -> StoredEvent:
    body = json.dumps({"event": "report.run", "report_id": report_id, "number": number}).encode()
    return StoredEvent(number, "demo", ARRIVED + timedelta(seconds=seconds), None, body)


def read_numbers(sessions: sessionmaker[Session]) -> list[int]:
    with sessions() as session:
        found = session.scalars(select(AssetEvent).order_by(AssetEvent.id)).all()
        return [row.extra["payload"]["body"]["number"] for row in found]


def count_queued(sessions: sessionmaker[Session]) -> int:
    with sessions() as session:
        return len(session.scalars(select(AssetDagRunQueue)).all())


# Writing one


def test_an_event_updates_the_asset_and_queues_its_dag(
    sessions: sessionmaker[Session], asset: UpdatedAsset
) -> None:
    assert register(asset, make_event(1), is_last=True) == 0
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
    register(asset, StoredEvent(1, "demo", ARRIVED, None, HARMFUL), is_last=False)
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
        register(asset, make_event(number, seconds=number), is_last=False)
    assert read_numbers(sessions) == [1, 2, 3]


def test_many_api_servers_write_each_event_once_and_in_order(
    sessions: sessionmaker[Session], asset: UpdatedAsset
) -> None:
    events = [make_event(number, seconds=number) for number in range(1, 31)]

    def follow(_: int) -> None:
        for found in events:
            register(asset, found, is_last=False)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(follow, range(8)))
    assert read_numbers(sessions) == list(range(1, 31))


def test_the_first_events_of_a_new_inbox_are_written(
    sessions: sessionmaker[Session], asset: UpdatedAsset
) -> None:
    register(asset, make_event(500), is_last=False)
    register(asset, make_event(1, seconds=60), is_last=False)
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
    register(asset, make_event(1), is_last=False)
    with sessions() as session:
        assert len(session.scalars(select(AssetEvent)).all()) == 2


def test_asset_events_that_others_make_do_not_hide_ours(
    sessions: sessionmaker[Session], asset: UpdatedAsset
) -> None:
    register(asset, make_event(1), is_last=False)
    with sessions.begin() as session:
        session.add_all(
            AssetEvent(asset_id=asset.id, extra={"from_rest_api": True}, source_dag_id=made_by)
            for made_by in [None, "a_dag"] * 10
        )
    register(asset, make_event(1), is_last=False)
    with sessions() as session:
        assert len(session.scalars(select(AssetEvent)).all()) == 21


def test_events_whose_times_are_not_in_order_are_written_once(
    sessions: sessionmaker[Session], asset: UpdatedAsset
) -> None:
    """Several receivers read their clocks before they wait for the inbox's lock."""
    events = [make_event(number, seconds=-number) for number in range(1, 6)]
    for found in (*events, *events):
        register(asset, found, is_last=False)
    assert read_numbers(sessions) == [1, 2, 3, 4, 5]


def test_the_last_of_several_events_keeps_its_distance(
    sessions: sessionmaker[Session], asset: UpdatedAsset
) -> None:
    assert register(asset, make_event(1), is_last=False) == 0
    assert 0 < register(asset, make_event(2, seconds=1), is_last=True) <= SPACING_SECONDS
    assert read_numbers(sessions) == [1]
    with sessions.begin() as session:
        (stored,) = session.scalars(select(AssetEvent)).all()
        stored.timestamp -= timedelta(seconds=SPACING_SECONDS)
    assert register(asset, make_event(2, seconds=1), is_last=True) == 0
    assert read_numbers(sessions) == [1, 2]


def test_nothing_is_written_for_an_asset_that_is_gone(sessions: sessionmaker[Session]) -> None:
    gone = UpdatedAsset(404, "pushmetrics://x/reports/1", UpdateWish(event="report.run"))
    with pytest.raises(NobodyWaitsError):
        register(gone, make_event(1), is_last=True)
    assert read_numbers(sessions) == []


@pytest.mark.parametrize("fault", ["is_paused", "is_stale"])
def test_nothing_is_written_while_the_dag_cannot_be_started(
    sessions: sessionmaker[Session], asset: UpdatedAsset, fault: str
) -> None:
    change_dag(sessions, **{fault: True})
    assert fetch_assets() == []
    with pytest.raises(NobodyWaitsError):
        register(asset, make_event(1), is_last=True)
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
    assert (asset.uri, asset.wish) == (
        "pushmetrics://pushmetrics.io/reports/1?name=delays",
        UpdateWish(event="report.run", report_id=1),
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
        await runtime.writer.record(build_delivery("demo", None, body))


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
    async with asyncio.timeout(20):
        while not await asyncio.to_thread(is_so):  # noqa: ASYNC110 - it may become so in other processes
            await asyncio.sleep(0.02)


async def wait_for_numbers(sessions: sessionmaker[Session], wanted: Sequence[int]) -> None:
    await wait_for(lambda: len(read_numbers(sessions)) >= len(wanted))
    assert read_numbers(sessions) == list(wanted)


async def test_events_of_the_inbox_update_the_asset(
    sessions: sessionmaker[Session], asset: UpdatedAsset, runtime: ReceiverRuntime
) -> None:
    async with run_updater(runtime):
        await deliver(runtime, 1)
        await wait_for_numbers(sessions, [1])
        await deliver(runtime, 2, report_id=2)
        await deliver(runtime, 3)
        await wait_for_numbers(sessions, [1, 3])
    assert count_queued(sessions) == 1


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


async def test_events_that_come_while_the_dag_is_paused_wait_for_it(
    sessions: sessionmaker[Session], asset: UpdatedAsset, runtime: ReceiverRuntime
) -> None:
    async with run_updater(runtime):
        await deliver(runtime, 1)
        await wait_for_numbers(sessions, [1])
        await asyncio.to_thread(change_dag, sessions, is_paused=True)
        await deliver(runtime, 2, 3)
        await asyncio.sleep(0.5)
        assert read_numbers(sessions) == [1]
        await asyncio.to_thread(change_dag, sessions, is_paused=False)
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
    sessions: sessionmaker[Session], runtime: ReceiverRuntime
) -> None:
    async with run_updater(runtime):
        await deliver(runtime, 1)
        await asyncio.sleep(0.2)
        await asyncio.to_thread(store, sessions, "late", report_id=1)
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
    assert "cannot be updated: OperationalError" in caplog.text
    assert "is updated again" in caplog.text or "can be looked up again" in caplog.text
