"""Looking again for events that started no Dag: what is started again, and what is not ours to start."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
from airflow import DAG, settings
from airflow.models.asset import AssetEvent, DagScheduleAssetReference
from airflow.sdk import Asset
from sqlalchemy import create_engine, update
from sqlalchemy.orm import sessionmaker

from airflow_provider_pushmetrics.assets.pushmetrics import build_run_asset
from airflow_provider_pushmetrics.plugins.asset_updates import UpdatedAsset, fetch_assets, register
from airflow_provider_pushmetrics.plugins.dag_run_queue import overlooks_events
from airflow_provider_pushmetrics.plugins.event_starts import fetch_starts
from airflow_provider_pushmetrics.plugins.missed_events import MAX_ATTEMPTS, MissedEventsCheck, MissedStarts
from airflow_provider_pushmetrics.receiver.inbox.records import StoredEvent
from tests.fakes.airflow_tables import AirflowTables

if not overlooks_events():
    pytest.skip("this Airflow overlooks no event", allow_module_level=True)

DAG_ID = "reacts"
OTHER_ID = "reacts_too"
URI = "pushmetrics://pushmetrics.io/reports/1?name=delays"


@pytest.fixture(name="check")
def make_check() -> MissedEventsCheck:
    return MissedEventsCheck()


@pytest.fixture(name="asset")
def store_asset(tables: AirflowTables) -> UpdatedAsset:
    """An asset that starts two Dags."""
    built = build_run_asset("delays", report_id=1, updated_by="api_server")
    tables.process_dags(*(DAG(dag_id, schedule=[built], catchup=False) for dag_id in (DAG_ID, OTHER_ID)))
    (asset,) = fetch_assets()
    return asset


def write(asset: UpdatedAsset, number: int = 1) -> None:
    body = json.dumps({"event": "report.run", "report_id": 1}).encode()
    register(asset, StoredEvent(number, "demo", datetime(2026, 11, 23, tzinfo=UTC), None, body))


def run_check(check: MissedEventsCheck, times: int = 2) -> None:
    for _ in range(times):
        check.check()


def move_event(tables: AirflowTables, **by: float) -> None:
    with tables.sessions.begin() as session:
        session.execute(update(AssetEvent).values(timestamp=datetime.now(UTC) - timedelta(**by)))
        session.execute(
            update(DagScheduleAssetReference).values(created_at=datetime.now(UTC) - timedelta(days=1))
        )


def test_an_overlooked_event_queues_its_dags_again(
    tables: AirflowTables, asset: UpdatedAsset, check: MissedEventsCheck, caplog: pytest.LogCaptureFixture
) -> None:
    write(asset)
    tables.drop_queue()
    check.check()
    assert tables.count_queued() == 0  # it is looked twice
    check.check()
    assert tables.count_queued() == 2
    assert f"missed 1 asset event(s) for Dag {DAG_ID}, which is queued again" in caplog.text


@pytest.mark.parametrize("reference", [{"name": "delays"}, {"uri": URI}], ids=["name", "uri"])
def test_an_overlooked_event_queues_a_dag_that_names_the_asset_by_a_reference(
    tables: AirflowTables, asset: UpdatedAsset, check: MissedEventsCheck, reference: dict[str, str]
) -> None:
    by_reference = DAG("refers", schedule=Asset.ref(**reference), catchup=False)
    tables.process_dags(by_reference)
    write(asset)
    tables.schedule()
    assert len(tables.read_runs("refers")) == 1
    run_check(check, 3)
    assert tables.count_queued() == 0  # it has its run, though the run has no event
    write(asset, 2)
    tables.drop_queue()
    run_check(check, 1)
    assert tables.count_queued() == 0
    run_check(check, 1)
    assert tables.count_queued() == 3
    tables.schedule()
    run_check(check, 3)
    assert tables.count_queued() == 0
    assert len(tables.read_runs("refers")) == 2


def test_a_queued_event_and_one_that_has_its_runs_are_left_alone(
    tables: AirflowTables, asset: UpdatedAsset, check: MissedEventsCheck
) -> None:
    write(asset)
    run_check(check, 3)
    assert tables.count_queued() == 2
    tables.schedule()
    run_check(check, 3)
    assert tables.count_queued() == 0


def test_a_dag_is_queued_again_where_another_has_its_run(
    tables: AirflowTables, asset: UpdatedAsset, check: MissedEventsCheck
) -> None:
    tables.change_dags(DAG_ID, is_paused=True)
    write(asset)
    tables.schedule()
    tables.change_dags(DAG_ID, is_paused=False)
    tables.drop_queue()
    run_check(check)
    assert tables.count_queued() == 1


def test_an_event_that_came_while_the_dag_was_paused_is_not_ours_to_start(
    tables: AirflowTables, asset: UpdatedAsset, check: MissedEventsCheck
) -> None:
    tables.change_dags(DAG_ID, is_paused=True)
    write(asset)
    check.check()
    tables.change_dags(DAG_ID, is_paused=False)
    run_check(check, 3)
    tables.schedule()
    assert [len(tables.read_runs(dag_id)) for dag_id in (DAG_ID, OTHER_ID)] == [0, 1]


def test_a_dag_that_is_paused_now_is_started_when_it_is_not(
    tables: AirflowTables, asset: UpdatedAsset, check: MissedEventsCheck
) -> None:
    write(asset)
    check.check()
    tables.drop_queue()
    tables.change_dags(is_paused=True)
    run_check(check, 3)
    assert tables.count_queued() == 0
    tables.change_dags(is_paused=False)
    run_check(check)
    assert tables.count_queued() == 2


def test_a_run_that_somebody_deletes_does_not_come_again(
    tables: AirflowTables, asset: UpdatedAsset, check: MissedEventsCheck
) -> None:
    write(asset)
    tables.schedule()
    check.check()
    tables.delete_runs(DAG_ID)
    run_check(check, 3)
    assert tables.count_queued() == 0


@pytest.mark.parametrize(("minutes", "queued"), [(9, 2), (11, 0)])
def test_an_api_server_that_has_just_started_looks_at_the_last_ten_minutes(
    tables: AirflowTables, asset: UpdatedAsset, check: MissedEventsCheck, minutes: int, queued: int
) -> None:
    write(asset)
    tables.drop_queue()
    move_event(tables, minutes=minutes)
    run_check(check)
    assert tables.count_queued() == queued


def test_events_from_before_the_dag_was_scheduled_by_the_asset_are_not_its_own(
    tables: AirflowTables, asset: UpdatedAsset, check: MissedEventsCheck
) -> None:
    write(asset)
    tables.drop_queue()
    with tables.sessions.begin() as session:
        session.execute(
            update(DagScheduleAssetReference).values(created_at=datetime.now(UTC) + timedelta(seconds=1))
        )
    run_check(check)
    assert tables.count_queued() == 0


def test_what_nothing_helps_is_given_up_after_five_attempts_with_one_line(
    tables: AirflowTables, asset: UpdatedAsset, check: MissedEventsCheck, caplog: pytest.LogCaptureFixture
) -> None:
    write(asset)
    for _ in range(MAX_ATTEMPTS + 3):
        tables.drop_queue()
        run_check(check)
    assert tables.count_queued() == 0
    assert caplog.text.count("which is queued again") == 2 * MAX_ATTEMPTS
    assert caplog.text.count(f"has started no run of Dag {DAG_ID}, and will start none") == 1


def test_starts_that_are_overlooked_or_given_up_are_counted(
    tables: AirflowTables, asset: UpdatedAsset
) -> None:
    write(asset)
    starts = MissedStarts()

    def observe() -> int:
        with tables.sessions() as session:
            starts.observe(fetch_starts(session, now=datetime.now(UTC)))
        return starts.count_without_run()

    assert observe() == 0
    tables.drop_queue()
    assert observe() == 2
    starts.give_up(next(iter(starts.memory)), "nothing helps")
    assert observe() == 2
    tables.change_dags(is_paused=True)
    assert observe() == 2


def test_several_api_servers_queue_a_dag_again_once(
    tables: AirflowTables, asset: UpdatedAsset, check: MissedEventsCheck
) -> None:
    checks = [check, MissedEventsCheck()]
    write(asset)
    tables.drop_queue()
    for _ in range(3):
        for each in checks:
            each.check()
        tables.schedule()
    assert [len(tables.read_runs(dag_id)) for dag_id in (DAG_ID, OTHER_ID)] == [1, 1]


def test_a_dag_that_a_scheduler_has_now_is_queued_the_next_time(
    tables: AirflowTables, asset: UpdatedAsset, check: MissedEventsCheck
) -> None:
    if not tables.locks_rows:
        pytest.skip("SQLite locks no rows")
    write(asset)
    tables.drop_queue()
    check.check()
    with tables.lock_dag(DAG_ID):
        check.check()
        assert tables.count_queued() == 0
    run_check(check)
    assert tables.count_queued() == 2


async def test_a_database_that_is_away_is_said_and_looked_at_again(
    tables: AirflowTables,
    asset: UpdatedAsset,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    write(asset)
    tables.drop_queue()
    task = asyncio.create_task(MissedEventsCheck(interval_seconds=0.05).run())
    try:
        with monkeypatch.context() as away:
            away.setattr(settings, "NonScopedSession", sessionmaker(create_engine("sqlite:////nowhere/x.db")))
            await wait_for_text(caplog, "cannot be checked: OperationalError")
        await wait_for_text(caplog, "can be checked again")
        await wait_for_text(caplog, "which is queued again")
    finally:
        task.cancel()
        await asyncio.wait([task])


async def wait_for_text(caplog: pytest.LogCaptureFixture, wanted: str) -> None:
    async with asyncio.timeout(20):
        while wanted not in caplog.text:  # noqa: ASYNC110 - a thread writes it
            await asyncio.sleep(0.02)
