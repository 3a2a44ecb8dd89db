"""
Airflow's queue of Dags that asset events start, and how to prevent that it misses an event.

Before Airflow 3.4 the queue has one row for an asset and a Dag, with the time of the first event. The
scheduler creates a run of the events up to that time, and deletes the row. An event that is stored in between
finds the row, adds none, and starts nothing (apache/airflow#56050). So this module also moves the time of the
row when it writes an event. The statement waits for the scheduler's lock, and inserts a deleted row again.
That is exact on PostgreSQL and MySQL with Airflow 3.2 and 3.3. Airflow 3.1 and SQLite lock no row. For them,
and for events that the triggerer writes, ``missed_events`` checks again.

From Airflow 3.4 on the queue has a row for each event, and nothing has to be done.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow import __version__ as airflow_version
from airflow.configuration import conf
from airflow.models.asset import (
    AssetDagRunQueue,
    AssetEvent,
    AssetModel,
)
from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.utils.types import DagRunType
from sqlalchemy import func, select, text, update
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.compat import has_airflow
from airflow_provider_pushmetrics.plugins.event_starts import (
    HORIZON,
    IS_PARTITIONED,
    FoundStart,
    Start,
    read_starts,
    select_schedules,
    select_starts,
)

if TYPE_CHECKING:  # Airflow 3.1 may have SQLAlchemy 1.4, which has it elsewhere
    from sqlalchemy import Insert

FIRST_EXACT_VERSION = "3.4"
LOCK_TIMEOUT_SECONDS = 5
"""How long a writer waits for a scheduler, while it uses one of the API server's connections."""

TICK = timedelta(microseconds=1)


def overlooks_events(version: str = airflow_version) -> bool:
    """Return whether the scheduler of an Airflow misses an event that is stored while it creates a run."""
    return not has_airflow(FIRST_EXACT_VERSION, version=version)


def secure_queued(session: Session, asset: AssetModel, event: AssetEvent) -> None:
    """
    Prevent that the scheduler misses an event of this transaction; needed if ``overlooks_events``.

    :param event: The return value of ``register_asset_change``.
    """
    dag_ids = list_started_dags(session, asset)
    if not dag_ids:
        return
    queue_dags(session, asset.id, dag_ids, max(datetime.now(UTC), event.timestamp))
    # The rows are locked until the commit: no run is created from them, so the last one stays the last one.
    last = find_last_run_after(session, dag_ids)
    if last is not None and last >= event.timestamp:
        event.timestamp = max(datetime.now(UTC), last + TICK)
        session.flush()
        queue_dags(session, asset.id, dag_ids, event.timestamp)


def list_started_dags(session: Session, asset: AssetModel) -> list[str]:
    """List the Dags that Airflow queues for an event of an asset, in the same order in all writers."""
    schedule = select_schedules()
    started = select(schedule.c.dag_id).where(schedule.c.asset_id == asset.id)
    query = select(DagModel.dag_id).where(DagModel.dag_id.in_(started), ~DagModel.is_paused, ~IS_PARTITIONED)
    if conf.getboolean("core", "multi_team", fallback=False):
        # Airflow decides which Dags a team's asset may start: those that it has queued.
        queued = select(AssetDagRunQueue.target_dag_id).where(AssetDagRunQueue.asset_id == asset.id)
        query = query.where(DagModel.dag_id.in_(queued))
    return list(session.scalars(query.order_by(DagModel.dag_id)))


def queue_dags(session: Session, asset_id: int, dag_ids: Sequence[str], moment: datetime) -> None:
    """Queue Dags for an asset's events up to a time, whether they are queued or not."""
    rows = [{"asset_id": asset_id, "target_dag_id": dag_id, "created_at": moment} for dag_id in dag_ids]
    session.execute(build_upsert(get_dialect(session), rows))


def build_upsert(dialect: str, rows: Sequence[dict[str, Any]]) -> Insert:
    """Build the statement that inserts rows of the queue, or updates the times of existing ones."""
    if dialect == "mysql":
        into_mysql = mysql.insert(AssetDagRunQueue).values(rows)
        newest = func.greatest(AssetDagRunQueue.created_at, into_mysql.inserted.created_at)
        return into_mysql.on_duplicate_key_update(created_at=newest)
    is_sqlite = dialect == "sqlite"
    insert, greatest = (sqlite.insert, func.max) if is_sqlite else (postgresql.insert, func.greatest)
    statement = insert(AssetDagRunQueue).values(rows)
    return statement.on_conflict_do_update(
        index_elements=["asset_id", "target_dag_id"],
        set_={"created_at": greatest(AssetDagRunQueue.created_at, statement.excluded.created_at)},
    )


def find_last_run_after(session: Session, dag_ids: Sequence[str]) -> datetime | None:
    """
    Find the time up to which the runs of Dags have consumed events; None if there is no run.

    An earlier event is in no later run, which happens if the clocks of writers differ.
    """
    query = select(func.max(DagRun.run_after)).where(
        DagRun.dag_id.in_(dag_ids), DagRun.run_type == DagRunType.ASSET_TRIGGERED
    )
    return session.scalar(query)


@dataclass(frozen=True)
class QueuedAgain:
    """
    The result of queuing Dags again.

    :param queued: The starts whose Dags are queued now.
    :param hopeless: Those that no run can consume.
    """

    queued: tuple[Start, ...] = ()
    hopeless: tuple[Start, ...] = ()


def queue_again(session: Session, asset_id: int, due: Collection[Start]) -> QueuedAgain:
    """
    Queue the Dags of an asset's missed events again.

    No scheduler creates a run of these Dags meanwhile: their rows are locked, as a scheduler locks them. If a
    scheduler holds one of the locks, nothing is done.
    """
    if not lock_dags(session, asset_id):
        return QueuedAgain()
    of_events = AssetEvent.id.in_({start.event_id for start in due})
    found = read_starts(session, select_starts().where(AssetEvent.asset_id == asset_id, of_events))
    taken = {item.start.event_id for item in found if item.is_consumed}
    queued: list[Start] = []
    hopeless: list[Start] = []
    for dag_id in sorted({start.dag_id for start in due}):
        missed = [item for item in found if item.start.dag_id == dag_id and item.start in due]
        missed = [item for item in missed if item.is_missed and not item.is_paused]
        last = find_last_run_after(session, [dag_id])
        late = {item.start for item in missed if last is not None and item.timestamp <= last}
        # With a later time, an event would be consumed again by another Dag that has it.
        lost = {start for start in late if start.event_id in taken}
        hopeless += lost
        curable = [item for item in missed if item.start not in lost]
        _queue_curable(session, curable, {start.event_id for start in late}, last)
        queued += [item.start for item in curable]
    return QueuedAgain(tuple(queued), tuple(hopeless))


def queue_missed(session: Session, asset_id: int, event_id: int) -> None:
    """Queue the Dags again that missed an event, if any did."""
    if due := find_missed(session, asset_id, event_id):
        queue_again(session, asset_id, due)


def find_missed(session: Session, asset_id: int, event_id: int) -> list[Start]:
    """Find the Dags that missed an event, if it is not too old."""
    query = select_starts().where(
        AssetEvent.asset_id == asset_id,
        AssetEvent.id == event_id,
        AssetEvent.timestamp > datetime.now(UTC) - HORIZON,
    )
    return [item.start for item in read_starts(session, query) if item.is_missed and not item.is_paused]


def _queue_curable(
    session: Session, items: Sequence[FoundStart], late: Collection[int], last: datetime | None
) -> None:
    """Queue the Dag of some events after its last run, and move events from before that."""
    if not items:
        return
    after_last = [last + TICK] if last is not None else []
    moment = max(datetime.now(UTC), *(item.timestamp for item in items), *after_last)
    event_ids = [item.start.event_id for item in items if item.start.event_id in late]
    if event_ids:
        session.execute(update(AssetEvent).where(AssetEvent.id.in_(event_ids)).values(timestamp=moment))
    start = items[0].start
    queue_dags(session, start.asset_id, [start.dag_id], moment)


def lock_dags(session: Session, asset_id: int) -> bool:
    """Lock the Dags that an asset starts until the commit; False if another process has a lock."""
    if get_dialect(session) == "sqlite":
        lock_asset(session, asset_id)  # which is the lock on the database
    schedule = select_schedules()
    started = select(schedule.c.dag_id).where(schedule.c.asset_id == asset_id)
    dags = select(DagModel.dag_id).where(DagModel.dag_id.in_(started)).order_by(DagModel.dag_id)
    locked = session.scalars(dags.with_for_update(key_share=True, skip_locked=True)).all()
    return len(locked) == len(session.scalars(dags).all())


def lock_asset(session: Session, asset_id: int) -> None:
    """
    Lock an asset's row until the commit; on SQLite that is the lock on the database.

    On PostgreSQL later locks time out after ``LOCK_TIMEOUT_SECONDS``.
    """
    if get_dialect(session) == "postgresql":
        session.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_SECONDS}s'"))
    touched = update(AssetModel).where(AssetModel.id == asset_id).values(updated_at=AssetModel.updated_at)
    session.execute(touched)


def get_dialect(session: Session) -> str:
    """Get the name of the database's dialect."""
    return session.get_bind().dialect.name
