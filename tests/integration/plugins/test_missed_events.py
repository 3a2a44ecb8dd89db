"""Looking again for events that started no Dag: what is started again, and what is not ours to start."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import chain

import pytest
from airflow import DAG, settings
from airflow.models.asset import AssetEvent, DagScheduleAssetReference
from airflow.sdk import Asset
from sqlalchemy import create_engine, update
from sqlalchemy.orm import sessionmaker

from airflow_provider_pushmetrics.plugins.dag_run_queue import overlooks_events
from airflow_provider_pushmetrics.plugins.event_starts import fetch_starts
from airflow_provider_pushmetrics.plugins.missed_events import MAX_ATTEMPTS, MissedEventsCheck, MissedStarts
from tests.fakes.airflow_tables import AirflowTables
from tests.fakes.stored_asset import StoredAsset

if not overlooks_events():
    pytest.skip("this Airflow overlooks no event", allow_module_level=True)

DAG_ID = "reacts"
OTHER_ID = "reacts_too"
URI = "pushmetrics://pushmetrics.io/reports/1?name=delays"


@pytest.fixture(name="check")
def make_check() -> MissedEventsCheck:
    return MissedEventsCheck()


@pytest.fixture(name="asset")
def store_asset(tables: AirflowTables) -> StoredAsset:
    return StoredAsset(tables, DAG_ID, OTHER_ID)


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
    asset: StoredAsset, check: MissedEventsCheck, caplog: pytest.LogCaptureFixture
) -> None:
    asset.write()
    asset.tables.drop_queue()
    check.check()
    assert asset.tables.count_queued() == 0  # it is looked twice
    check.check()
    assert asset.tables.count_queued() == 2
    assert f"missed 1 asset event(s) for Dag {DAG_ID}, which is queued again" in caplog.text


@pytest.mark.parametrize("reference", [{"name": "delays"}, {"uri": URI}], ids=["name", "uri"])
def test_an_overlooked_event_queues_a_dag_that_names_the_asset_by_a_reference(
    asset: StoredAsset, check: MissedEventsCheck, reference: dict[str, str]
) -> None:
    by_reference = DAG("refers", schedule=Asset.ref(**reference), catchup=False)
    asset.tables.process_dags(by_reference)
    asset.write()
    asset.tables.schedule()
    assert len(asset.tables.read_runs("refers")) == 1
    run_check(check, 3)
    assert asset.tables.count_queued() == 0  # it has its run, though the run has no event
    asset.write(2)
    asset.tables.drop_queue()
    run_check(check, 1)
    assert asset.tables.count_queued() == 0
    run_check(check, 1)
    assert asset.tables.count_queued() == 3
    asset.tables.schedule()
    run_check(check, 3)
    assert asset.tables.count_queued() == 0
    assert len(asset.tables.read_runs("refers")) == 2


def test_a_queued_event_and_one_that_has_its_runs_are_left_alone(
    asset: StoredAsset, check: MissedEventsCheck
) -> None:
    asset.write()
    run_check(check, 3)
    assert asset.tables.count_queued() == 2
    asset.tables.schedule()
    run_check(check, 3)
    assert asset.tables.count_queued() == 0


def test_a_dag_is_queued_again_where_another_has_its_run(
    asset: StoredAsset, check: MissedEventsCheck
) -> None:
    asset.tables.change_dags(DAG_ID, is_paused=True)
    asset.write()
    asset.tables.schedule()
    asset.tables.change_dags(DAG_ID, is_paused=False)
    asset.tables.drop_queue()
    run_check(check)
    assert asset.tables.count_queued() == 1


def test_an_event_that_came_while_the_dag_was_paused_is_not_ours_to_start(
    asset: StoredAsset, check: MissedEventsCheck
) -> None:
    asset.tables.change_dags(DAG_ID, is_paused=True)
    asset.write()
    check.check()
    asset.tables.change_dags(DAG_ID, is_paused=False)
    run_check(check, 3)
    asset.tables.schedule()
    assert [len(asset.tables.read_runs(dag_id)) for dag_id in (DAG_ID, OTHER_ID)] == [0, 1]


def test_a_dag_that_is_paused_now_is_started_when_it_is_not(
    asset: StoredAsset, check: MissedEventsCheck
) -> None:
    asset.write()
    check.check()
    asset.tables.drop_queue()
    asset.tables.change_dags(is_paused=True)
    run_check(check, 3)
    assert asset.tables.count_queued() == 0
    asset.tables.change_dags(is_paused=False)
    run_check(check)
    assert asset.tables.count_queued() == 2


def test_a_run_that_somebody_deletes_does_not_come_again(
    asset: StoredAsset, check: MissedEventsCheck
) -> None:
    asset.write()
    asset.tables.schedule()
    check.check()
    asset.tables.delete_runs(DAG_ID)
    run_check(check, 3)
    assert asset.tables.count_queued() == 0


@pytest.mark.parametrize(("minutes", "queued"), [(9, 1), (11, 0)])
def test_a_deleted_run_comes_again_if_an_api_server_starts_within_ten_minutes_after_its_event(
    asset: StoredAsset, check: MissedEventsCheck, minutes: int, queued: int
) -> None:
    asset.write()
    asset.tables.schedule()
    check.check()
    asset.tables.delete_runs(DAG_ID)
    move_event(asset.tables, minutes=minutes)
    run_check(MissedEventsCheck())
    assert asset.tables.count_queued() == queued


@pytest.mark.parametrize(("minutes", "queued"), [(9, 2), (11, 0)])
def test_an_api_server_that_has_just_started_looks_at_the_last_ten_minutes(
    asset: StoredAsset, check: MissedEventsCheck, minutes: int, queued: int
) -> None:
    asset.write()
    asset.tables.drop_queue()
    move_event(asset.tables, minutes=minutes)
    run_check(check)
    assert asset.tables.count_queued() == queued


def test_a_scheduler_that_was_stopped_for_longer_than_that_misses_no_event(
    asset: StoredAsset, check: MissedEventsCheck
) -> None:
    for number in (1, 2, 3):
        asset.write_as_triggerer(number)
    asset.tables.let_time_pass(timedelta(minutes=11))
    check.check()
    asset.tables.schedule()
    assert [len(asset.tables.read_runs(dag_id)) for dag_id in (DAG_ID, OTHER_ID)] == [1, 1]
    asset.tables.let_time_pass(timedelta(minutes=11))
    run_check(check)
    asset.tables.schedule()
    run_check(check)
    asset.tables.schedule()
    events = [event.id for event in asset.tables.list_events()]
    for dag_id in (DAG_ID, OTHER_ID):
        assert sorted(chain.from_iterable(asset.tables.read_runs(dag_id))) == events
    assert asset.tables.count_queued() == 0


def see_events_in_time(asset: StoredAsset, check: MissedEventsCheck) -> None:
    """Write two events, look at them at once, and let them become too old for a first look."""
    for number in (1, 2):
        asset.write_as_triggerer(number)
    check.check()
    asset.tables.let_time_pass(timedelta(minutes=11))


def test_an_event_that_was_seen_in_time_is_queued_again_however_old_it_is(
    asset: StoredAsset, check: MissedEventsCheck
) -> None:
    see_events_in_time(asset, check)
    asset.tables.schedule()
    run_check(check)
    assert asset.tables.count_queued() == 2


def test_an_old_event_that_a_user_removes_from_the_queue_does_not_come_again(
    asset: StoredAsset, check: MissedEventsCheck
) -> None:
    see_events_in_time(asset, check)
    check.check()
    asset.tables.drop_queue()
    run_check(check, 3)
    assert asset.tables.count_queued() == 0


def test_of_many_waiting_events_only_the_newest_is_remembered(asset: StoredAsset) -> None:
    starts = MissedStarts()
    for number in range(1, 6):
        asset.write_as_triggerer(number)
        with asset.tables.sessions() as session:
            now = datetime.now(UTC)
            starts.observe(fetch_starts(session, now=now, unfinished=starts.list_unfinished()), now=now)
        asset.tables.let_time_pass(timedelta(minutes=11))
    newest = asset.tables.list_events()[-1].id
    assert {start.event_id for start in starts.list_unfinished()} == {newest}
    assert len(starts.memory) <= 4


def test_events_from_before_the_dag_was_scheduled_by_the_asset_are_not_its_own(
    asset: StoredAsset, check: MissedEventsCheck
) -> None:
    asset.write()
    asset.tables.drop_queue()
    with asset.tables.sessions.begin() as session:
        session.execute(
            update(DagScheduleAssetReference).values(created_at=datetime.now(UTC) + timedelta(seconds=1))
        )
    run_check(check)
    assert asset.tables.count_queued() == 0


def test_what_nothing_helps_is_given_up_after_five_attempts_with_one_line(
    asset: StoredAsset, check: MissedEventsCheck, caplog: pytest.LogCaptureFixture
) -> None:
    asset.write()
    for _ in range(MAX_ATTEMPTS + 3):
        asset.tables.drop_queue()
        run_check(check)
    assert asset.tables.count_queued() == 0
    assert caplog.text.count("which is queued again") == 2 * MAX_ATTEMPTS
    assert caplog.text.count(f"has started no run of Dag {DAG_ID}, and will start none") == 1


def test_starts_that_are_overlooked_or_given_up_are_counted(asset: StoredAsset) -> None:
    asset.write()
    starts = MissedStarts()

    def observe() -> int:
        with asset.tables.sessions() as session:
            now = datetime.now(UTC)
            starts.observe(fetch_starts(session, now=now), now=now)
        return starts.count_without_run()

    assert observe() == 0
    asset.tables.drop_queue()
    assert observe() == 2
    starts.give_up(next(iter(starts.memory)), "nothing helps")
    assert observe() == 2
    asset.tables.change_dags(is_paused=True)
    assert observe() == 2


def test_several_api_servers_queue_a_dag_again_once(asset: StoredAsset, check: MissedEventsCheck) -> None:
    checks = [check, MissedEventsCheck()]
    asset.write()
    asset.tables.drop_queue()
    for _ in range(3):
        for each in checks:
            each.check()
        asset.tables.schedule()
    assert [len(asset.tables.read_runs(dag_id)) for dag_id in (DAG_ID, OTHER_ID)] == [1, 1]


def test_a_dag_that_a_scheduler_has_now_is_queued_the_next_time(
    asset: StoredAsset, check: MissedEventsCheck
) -> None:
    if not asset.tables.locks_rows:
        pytest.skip("SQLite locks no rows")
    asset.write()
    asset.tables.drop_queue()
    check.check()
    with asset.tables.lock_dag(DAG_ID):
        check.check()
        assert asset.tables.count_queued() == 0
    run_check(check)
    assert asset.tables.count_queued() == 2


async def test_a_database_that_is_away_is_said_and_looked_at_again(
    asset: StoredAsset,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    asset.write()
    asset.tables.drop_queue()
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
