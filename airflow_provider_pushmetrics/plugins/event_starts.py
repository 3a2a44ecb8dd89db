"""The state of the Dags that asset events start, from Airflow's own tables."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow.models.asset import (
    AssetDagRunQueue,
    AssetEvent,
    AssetModel,
    DagScheduleAssetNameReference,
    DagScheduleAssetReference,
    DagScheduleAssetUriReference,
    association_table,
)
from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.utils.types import DagRunType
from sqlalchemy import and_, exists, false, func, literal, select, true, union_all
from sqlalchemy.orm import Session, aliased

from airflow_provider_pushmetrics.assets.uris import SCHEME
from airflow_provider_pushmetrics.compat import has_airflow

if TYPE_CHECKING:  # Airflow 3.1 may have SQLAlchemy 1.4, which has these elsewhere
    from sqlalchemy import ColumnElement, ScalarSelect, Select, Subquery

HORIZON = timedelta(minutes=10)
"""How old an event may be. An API server that has just started queues no older one again."""

MAX_FOUND = 5000
"""How many starts are read, the newest first."""

IS_PARTITIONED: ColumnElement[bool] = (
    DagModel.timetable_partitioned.is_(True) if has_airflow("3.2") else false()
)
"""Whether a Dag is started by partition keys, from another queue; Airflow 3.1 has no such Dags."""


def has_no_key(event: type[AssetEvent] = AssetEvent) -> ColumnElement[bool]:
    """Whether an event starts the Dags of its asset; one with a key starts partitioned Dags only."""
    return event.partition_key.is_(None) if has_airflow("3.2") else true()


IS_OF_EVENT: ColumnElement[bool] = (
    AssetDagRunQueue.asset_event_id == AssetEvent.id if has_airflow("3.4") else true()
)
"""Whether a row of the queue is for the event; before Airflow 3.4 it is for all events of its asset."""


class Start(NamedTuple):
    """
    The start of a Dag by an asset event.

    :param asset_id: The event's asset.
    :param event_id: The event.
    :param dag_id: The Dag.
    """

    asset_id: int
    event_id: int
    dag_id: str


@dataclass(frozen=True)
class FoundStart:
    """
    A start, and its state.

    :param start: The event and the Dag.
    :param timestamp: When the event was stored.
    :param is_paused: Whether the Dag is paused now.
    :param is_queued: Whether the queue has the Dag for the event's asset.
    :param is_consumed: Whether a run of the Dag has the event, or is later if runs have no events.
    :param later_run: The first run that is later, if the Dag refers to the asset by ``Asset.ref``.
    :param last_run: The newest run of the Dag that asset events started.
    """

    start: Start
    timestamp: datetime
    is_paused: bool
    is_queued: bool
    is_consumed: bool
    later_run: int | None = None
    last_run: int | None = None

    @property
    def is_missed(self) -> bool:
        """Whether the event will not start the Dag."""
        return not self.is_queued and not self.is_consumed


def select_schedules() -> Subquery:
    """
    Select which Dags the assets schedule: directly, or as ``Asset.ref`` by their name or URI.

    The runs of Dags with references alone have no events in Airflow 3.1 to 3.3 (``is_reference`` is 1).
    """
    by_asset, by_name, by_uri = (
        DagScheduleAssetReference,
        DagScheduleAssetNameReference,
        DagScheduleAssetUriReference,
    )
    found = union_all(
        select(by_asset.asset_id, by_asset.dag_id, by_asset.created_at, literal(0).label("is_reference")),
        select(AssetModel.id, by_name.dag_id, by_name.created_at, literal(1)).join(
            by_name, by_name.name == AssetModel.name
        ),
        select(AssetModel.id, by_uri.dag_id, by_uri.created_at, literal(1)).join(
            by_uri, by_uri.uri == AssetModel.uri
        ),
    ).subquery()
    return (
        select(
            found.c.asset_id,
            found.c.dag_id,
            func.min(found.c.created_at).label("created_at"),
            func.min(found.c.is_reference).label("is_reference"),
        )
        .group_by(found.c.asset_id, found.c.dag_id)
        .subquery()
    )


def select_starts() -> Select[*tuple[Any, ...]]:
    """
    Select the starts of events of PushMetrics assets.

    One statement reads the queue and the runs at the same time.
    """
    schedule = select_schedules()
    is_queued = exists().where(
        AssetDagRunQueue.asset_id == AssetEvent.asset_id,
        AssetDagRunQueue.target_dag_id == schedule.c.dag_id,
        IS_OF_EVENT,
    )
    is_consumed = exists().where(
        association_table.c.event_id == AssetEvent.id,
        association_table.c.dag_run_id == DagRun.id,
        DagRun.dag_id == schedule.c.dag_id,
    )
    later_run = _select_later_run(schedule)
    last_run = _select_last_run(schedule)
    assets = select(AssetModel.id).where(AssetModel.uri.startswith(f"{SCHEME}://"), AssetModel.active.has())
    return (
        select(
            AssetEvent.asset_id,
            AssetEvent.id,
            schedule.c.dag_id,
            AssetEvent.timestamp,
            DagModel.is_paused,
            is_queued.label("is_queued"),
            is_consumed.label("is_consumed"),
            later_run.label("later_run"),
            last_run.label("last_run"),
        )
        .join(schedule, schedule.c.asset_id == AssetEvent.asset_id)
        .join(DagModel, DagModel.dag_id == schedule.c.dag_id)
        .where(
            AssetEvent.asset_id.in_(assets),
            schedule.c.created_at < AssetEvent.timestamp,
            ~DagModel.is_stale,
            ~IS_PARTITIONED,
            has_no_key(),
        )
    )


def _select_later_run(schedule: Subquery) -> ScalarSelect[Any]:
    """Select the first run, not earlier than the event, of a Dag by reference: it has consumed the event."""
    return (
        select(DagRun.id)
        .where(
            schedule.c.is_reference == 1,
            DagRun.dag_id == schedule.c.dag_id,
            DagRun.run_type == DagRunType.ASSET_TRIGGERED,
            DagRun.run_after >= AssetEvent.timestamp,
        )
        .order_by(DagRun.run_after)
        .limit(1)
        .correlate(schedule, AssetEvent)
        .scalar_subquery()
    )


def _select_last_run(schedule: Subquery) -> ScalarSelect[Any]:
    """Select the newest run of a Dag that asset events started."""
    return (
        select(func.max(DagRun.id))
        .where(DagRun.dag_id == schedule.c.dag_id, DagRun.run_type == DagRunType.ASSET_TRIGGERED)
        .correlate(schedule)
        .scalar_subquery()
    )


def fetch_starts(session: Session, *, now: datetime, unfinished: Collection[Start] = ()) -> list[FoundStart]:
    """
    Fetch the starts of the events that are not too old, and of older ones that are not finished.

    A scheduler may be stopped for longer than the horizon. Of the older events of an asset, the newest is
    enough: a Dag that is queued again for it takes all before it.

    :param unfinished: Starts that have been fetched before. They are fetched again, however old they are.
    """
    starts = select_starts()
    is_new = AssetEvent.timestamp > now - HORIZON
    newest = starts.where(is_new).order_by(AssetEvent.timestamp.desc()).limit(MAX_FOUND)
    queued = aliased(AssetDagRunQueue)
    is_queued_for = and_(
        queued.asset_id == AssetEvent.asset_id,
        queued.target_dag_id == DagModel.dag_id,
        queued.created_at <= AssetEvent.timestamp,
    )
    other = aliased(AssetEvent)
    last = select(func.max(other.id)).where(other.asset_id == queued.asset_id, has_no_key(other))
    is_last = AssetEvent.id == last.correlate(queued).scalar_subquery()
    waiting = starts.join(queued, is_queued_for).where(~is_new, is_last)
    found = {item.start: item for query in (newest, waiting) for item in read_starts(session, query)}
    event_ids = {start.event_id for start in unfinished if start not in found}
    for item in read_starts(session, starts.where(AssetEvent.id.in_(event_ids))) if event_ids else ():
        # Not another Dag of the same event: whether that one is finished is not known here.
        if item.start in unfinished:
            found.setdefault(item.start, item)
    return list(found.values())


def read_starts(session: Session, query: Select[*tuple[Any, ...]]) -> list[FoundStart]:
    """Read what ``select_starts`` selects."""
    return [
        FoundStart(
            Start(*row[:3]),
            row.timestamp,
            bool(row.is_paused),
            bool(row.is_queued),
            bool(row.is_consumed) or row.later_run is not None,
            None if row.is_consumed else row.later_run,
            row.last_run,
        )
        for row in session.execute(query)
    ]
