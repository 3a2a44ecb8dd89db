"""
Events that are stored while Airflow's scheduler makes a run, in its own tables and by its own functions.

Each test makes the window by hand: the scheduler has read the queue, another session stores an event, and the
scheduler continues. Where Airflow's own writer is left alone, the event starts nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow import DAG
from airflow.assets.manager import asset_manager
from airflow.models.asset import AssetEvent, AssetModel
from airflow.models.dagrun import DagRun
from airflow.utils.session import create_session
from sqlalchemy import create_engine, text, update
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.engine import make_url

from airflow_provider_pushmetrics.assets.pushmetrics import build_run_asset
from airflow_provider_pushmetrics.plugins.dag_run_queue import build_upsert, overlooks_events
from airflow_provider_pushmetrics.plugins.missed_events import MissedEventsCheck
from tests.fakes.airflow_tables import AirflowTables
from tests.fakes.airflow_versions import AIRFLOW_VERSION
from tests.fakes.stored_asset import ARRIVED, StoredAsset

DAG_ID = "reacts"
LOOKS_UNTIL_QUEUED_AGAIN = 2

needs_the_cure = pytest.mark.skipif(not overlooks_events(), reason="this Airflow overlooks no event")

Write = Callable[[StoredAsset, int], None]


@pytest.fixture(name="check")
def make_check() -> MissedEventsCheck:
    return MissedEventsCheck()


@pytest.fixture(name="asset")
def store_asset(tables: AirflowTables) -> StoredAsset:
    return StoredAsset(tables, DAG_ID)


def write_here(asset: StoredAsset, number: int) -> None:
    """Store an event as the API server does."""
    asset.write(number, seconds=number)


def write_elsewhere(asset: StoredAsset, number: int) -> None:
    """Store an event as the triggerer does: Airflow's own code and nothing else."""
    with create_session(scoped=False) as session:
        model = session.get_one(AssetModel, asset.found.id)
        extra = {"from_trigger": True, "payload": {"id": number}}
        asset_manager.register_asset_change(asset=model, extra=extra, session=session)


WRITERS = (write_here, write_elsewhere)


def list_taken(tables: AirflowTables, dag_id: str = DAG_ID) -> list[int]:
    """List the events that runs have taken, each as often as it was taken; no run may be without any."""
    runs = tables.read_runs(dag_id)
    assert all(runs), f"a run was started by nothing: {runs}"
    return sorted(itertools.chain.from_iterable(runs))


def settle(tables: AirflowTables, check: MissedEventsCheck) -> None:
    """Let the API server look, and the scheduler schedule, until nothing is left to do."""
    for _ in range(LOOKS_UNTIL_QUEUED_AGAIN + 1):
        if overlooks_events():
            check.check()
        tables.schedule()


# The window


@needs_the_cure
def test_airflow_alone_overlooks_an_event_that_is_stored_while_a_run_is_made(asset: StoredAsset) -> None:
    """Else all these tests would prove nothing."""
    write_elsewhere(asset, 1)
    with asset.tables.while_a_run_is_made(lambda: write_elsewhere(asset, 2)):
        asset.tables.schedule()
    asset.tables.schedule()
    first, _ = asset.tables.list_events()
    assert asset.tables.read_runs(DAG_ID) == [[first.id]]
    assert asset.tables.count_queued() == 0


@pytest.mark.skipif(overlooks_events(), reason="of Airflow 3.4 and later")
@pytest.mark.parametrize("write", WRITERS)
def test_airflow_alone_starts_a_run_for_each_event_whenever_it_is_stored(
    asset: StoredAsset, write: Write
) -> None:
    write(asset, 1)
    with asset.tables.while_a_run_is_made(lambda: write(asset, 2)):
        asset.tables.schedule()
    asset.tables.schedule()
    assert asset.tables.read_runs(DAG_ID) == [[item.id] for item in asset.tables.list_events()]
    assert asset.tables.count_queued() == 0


@needs_the_cure
@pytest.mark.parametrize("write", WRITERS)
def test_an_event_that_is_stored_while_a_run_is_made_starts_the_dag_once(
    asset: StoredAsset,
    check: MissedEventsCheck,
    write: Write,
) -> None:
    write(asset, 1)
    check.check()
    with asset.tables.while_a_run_is_made(lambda: write(asset, 2)):
        asset.tables.schedule()
    settle(asset.tables, check)
    assert list_taken(asset.tables) == [item.id for item in asset.tables.list_events()]
    assert asset.tables.count_queued() == 0


@needs_the_cure
@pytest.mark.skipif(AIRFLOW_VERSION < (3, 2), reason="Airflow 3.1 reads the queue before it locks anything")
def test_where_rows_are_locked_the_writer_alone_is_enough(asset: StoredAsset) -> None:
    if not asset.tables.locks_rows:
        pytest.skip("SQLite locks no rows")
    write_here(asset, 1)
    with asset.tables.while_a_run_is_made(lambda: write_here(asset, 2)):
        asset.tables.schedule()
    asset.tables.schedule()
    assert asset.tables.read_runs(DAG_ID) == [[item.id] for item in asset.tables.list_events()]


@needs_the_cure
@pytest.mark.parametrize("write", WRITERS)
def test_all_dags_of_an_asset_are_started_by_an_event_of_the_window(
    tables: AirflowTables, check: MissedEventsCheck, write: Write
) -> None:
    dag_ids = [f"{DAG_ID}_{name}" for name in "abc"]
    asset = StoredAsset(tables, *dag_ids)
    write(asset, 1)
    check.check()
    with tables.while_a_run_is_made(lambda: write(asset, 2)):
        tables.schedule()
    settle(tables, check)
    stored = [item.id for item in tables.list_events()]
    assert [list_taken(tables, dag_id) for dag_id in dag_ids] == [stored] * 3


# A run for each event


@pytest.mark.skipif(AIRFLOW_VERSION < (3, 3), reason="of partitions that several schedulers can share")
def test_each_event_starts_a_run_of_its_own(tables: AirflowTables) -> None:
    from airflow.sdk import PartitionedAssetTimetable

    built = build_run_asset("delays", report_id=1, updated_by="api_server", one_run_per_event=True)
    schedule: Any = PartitionedAssetTimetable(assets=built) if overlooks_events() else [built]
    tables.process_dags(DAG(DAG_ID, schedule=schedule, catchup=False))
    asset = StoredAsset(tables)
    for number in (1, 2):
        write_here(asset, number)
    with tables.while_a_run_is_made(lambda: write_here(asset, 3)):
        tables.schedule()
    tables.schedule()
    assert tables.read_runs(DAG_ID) == [[item.id] for item in tables.list_events()]
    if overlooks_events():
        assert tables.read_partition_keys(DAG_ID) == ["demo/1", "demo/2", "demo/3"]


# Clocks that differ


def set_last_run(tables: AirflowTables, seconds_ahead: float) -> datetime:
    """Let the last run have been made by events of a clock that is ahead."""
    moment = datetime.now(UTC) + timedelta(seconds=seconds_ahead)
    with tables.sessions.begin() as session:
        session.execute(update(DagRun).values(run_after=moment))
        session.execute(update(AssetEvent).values(timestamp=moment))
    return moment


@needs_the_cure
@pytest.mark.parametrize("write", WRITERS)
def test_an_event_of_a_clock_that_is_behind_starts_the_dag_once(
    asset: StoredAsset,
    check: MissedEventsCheck,
    write: Write,
) -> None:
    write(asset, 1)
    asset.tables.schedule()
    last = set_last_run(asset.tables, seconds_ahead=30)
    write(asset, 2)
    if write is write_elsewhere:
        asset.tables.drop_queue()  # overlooked
    settle(asset.tables, check)
    first, second = asset.tables.list_events()
    assert asset.tables.read_runs(DAG_ID) == [[first.id], [second.id]]
    assert second.timestamp > last


@needs_the_cure
def test_an_event_that_no_run_can_take_is_given_up_and_said(
    tables: AirflowTables, check: MissedEventsCheck, caplog: pytest.LogCaptureFixture
) -> None:
    """One Dag has it, for the other it is too old: moved in time, it would start the first one again."""
    asset = StoredAsset(tables, "has_it", "has_it_not")
    write_elsewhere(asset, 1)
    tables.schedule()
    write_elsewhere(asset, 2)
    with tables.sessions.begin() as session:
        session.execute(text("DELETE FROM asset_dag_run_queue WHERE target_dag_id = 'has_it_not'"))
    check.check()
    tables.schedule()
    with tables.sessions.begin() as session:
        late = datetime.now(UTC) + timedelta(seconds=30)
        session.execute(update(DagRun).where(DagRun.dag_id == "has_it_not").values(run_after=late))
    settle(tables, check)
    settle(tables, check)
    first, second = (item.id for item in tables.list_events())
    assert list_taken(tables, "has_it") == [first, second]
    assert list_taken(tables, "has_it_not") == [first]
    assert caplog.text.count(f"Asset event {second} has started no run of Dag has_it_not") == 1


# The statement


@pytest.mark.skipif(not overlooks_events(), reason="of the queue before Airflow 3.4")
@pytest.mark.parametrize(
    ("dialect", "written"),
    [
        (postgresql.dialect, "DO UPDATE SET created_at = greatest("),
        (sqlite.dialect, "DO UPDATE SET created_at = max("),
        (mysql.dialect, "ON DUPLICATE KEY UPDATE created_at = greatest("),
    ],
)
def test_the_time_of_a_queued_dag_only_goes_forward(dialect: Any, written: str) -> None:
    rows = [{"asset_id": 1, "target_dag_id": DAG_ID, "created_at": ARRIVED}]
    assert written in str(build_upsert(dialect.name, rows).compile(dialect=dialect()))


@pytest.fixture(name="mysql_tables")
def make_mysql_tables(request: pytest.FixtureRequest) -> Iterator[AirflowTables]:
    pytest.importorskip("pymysql")  # the matrix does without
    mariadb_url = request.getfixturevalue("mariadb_url")
    # Airflow's keys are too long for characters of four bytes.
    server = create_engine(mariadb_url)
    with server.begin() as connection:
        connection.execute(text("CREATE DATABASE airflow CHARACTER SET utf8mb3"))
    server.dispose()
    tables = AirflowTables(str(make_url(mariadb_url).set(database="airflow").render_as_string(False)))
    tables.create()
    yield tables
    tables.close()


@pytest.mark.mariadb
@pytest.mark.skipif(not overlooks_events(), reason="of the queue before Airflow 3.4")
def test_mysql_takes_the_statements(mysql_tables: AirflowTables, monkeypatch: pytest.MonkeyPatch) -> None:
    """MariaDB is in MySQL's place; Airflow's scheduler does not run on it."""
    mysql_tables.become_airflows(monkeypatch)
    asset = StoredAsset(mysql_tables, DAG_ID)
    write_here(asset, 1)
    write_here(asset, 2)
    (queued_at,) = mysql_tables.list_queue_times()
    assert queued_at >= mysql_tables.list_events()[-1].timestamp
    mysql_tables.drop_queue()
    check = MissedEventsCheck()
    for _ in range(LOOKS_UNTIL_QUEUED_AGAIN):
        check.check()
    assert mysql_tables.count_queued() == 1
