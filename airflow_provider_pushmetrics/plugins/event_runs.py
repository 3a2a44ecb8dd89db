"""Which Dag runs the events of the inbox have started, and why an event has started none."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from airflow.models.asset import AssetEvent, AssetModel, DagScheduleAssetReference, association_table
from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.assets.uris import SCHEME
from airflow_provider_pushmetrics.plugins.dag_run_queue import overlooks_events
from airflow_provider_pushmetrics.plugins.event_starts import (
    HORIZON,
    IS_PARTITIONED,
    FoundStart,
    has_no_key,
    read_starts,
    select_starts,
)
from airflow_provider_pushmetrics.plugins.outcome_watchers import (
    WatchedEvent,
    find_outcome_watchers,
    list_skipped_events,
)

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement  # SQLAlchemy 1.4 of an Airflow 3.1 has it elsewhere

MAX_ASSET_EVENTS = 2000
"""How many asset events, from the oldest event of a page on, are searched for its events."""

CLOCK_MARGIN = timedelta(minutes=5)
"""How far the clock of a process that writes asset events may be behind that of the inbox."""

USUAL_DELAY = timedelta(minutes=5)
"""Within which time an event updates its assets, unless something was down."""

MAX_WINDOWS = 100
"""How many events are searched for by one statement: SQLite limits the depth of an expression."""

NO_ASSET = "no asset is updated by it, or not yet"
NO_DAG = "no Dag is scheduled by asset {asset}, or it was scheduled later"
KEYED = "asset {asset} gives its events partition keys, which start Dags with PartitionedAssetTimetable only"
PAUSED = "the Dag is paused"
QUEUED = "queued: the scheduler has not created the run yet"
OVERLOOKED = "missed by the scheduler, and queued again within seconds"
NOT_STARTED = "the Dag was paused when it arrived, or the run was deleted. Replay the event to start it"

Identity: TypeAlias = tuple[int, str, str]


class InboxEvent(WatchedEvent, Protocol):
    """What identifies an event of the inbox: another inbox may use its id too."""

    @property
    def source(self) -> str:
        """Its sender."""

    @property
    def received_at(self) -> datetime:
        """When it arrived."""


@dataclass(frozen=True)
class Outcome:
    """
    The effect of an event on one Dag.

    :param dag_id: The Dag; None if there is none.
    :param run_id: The run that it started; None if there is none yet.
    :param state: The state of the run.
    :param reason: Why there is no run.
    :param is_final: Whether this will not change.
    """

    dag_id: str | None = None
    run_id: str | None = None
    state: str | None = None
    reason: str | None = None
    is_final: bool = False


@dataclass(frozen=True)
class _Update:
    """The asset event of an inbox event."""

    asset_event_id: int
    asset_id: int
    asset: str
    has_key: bool
    timestamp: datetime


def describe_outcomes(
    session: Session,
    events: Sequence[InboxEvent],
    *,
    readable: Collection[str],
    positions: Mapping[str, int],
) -> dict[int, list[dict[str, Any]]]:
    """
    Describe the effects of each event, as JSON, by its id.

    An event is left out if it is not known whether it has updated an asset.

    :param readable: The Dags that the reader may see; others are left out.
    :param positions: The position of each consumer of the inbox.
    """
    updates, unknown = find_updates(session, events)
    found = [update for of_event in updates.values() for update in of_event]
    effects = find_effects(session, found)
    watchers = find_outcome_watchers(session)

    def describe(event: InboxEvent) -> list[Outcome]:
        own = updates.get(identify(event), [])
        updated = {update.asset_id for update in own}
        passed_over = list_skipped_events(watchers, event, positions, updated=updated)
        missing = [Outcome(reason=item.reason, is_final=item.is_final) for item in passed_over]
        return [*list_outcomes(own, effects), *missing] or [Outcome(reason=NO_ASSET)]

    return {
        event.id: [
            asdict(outcome)
            for outcome in describe(event)
            if outcome.dag_id is None or outcome.dag_id in readable
        ]
        for event in events
        if identify(event) not in unknown
    }


def identify(event: InboxEvent) -> Identity:
    """Return what distinguishes the event from all others, including those of another inbox."""
    return event.id, event.source, event.received_at.isoformat()


def find_updates(
    session: Session, events: Sequence[InboxEvent]
) -> tuple[Mapping[Identity, list[_Update]], Collection[Identity]]:
    """
    Find the asset events of inbox events.

    Where more asset events than are read came after the oldest event, the others are searched for around
    their arrival.

    :return: The asset events by event, and the events that may have one which was not read.
    """
    if not events:
        return {}, ()
    oldest = min(event.received_at for event in events)
    rows = _fetch_rows(session, AssetEvent.timestamp >= oldest - CLOCK_MARGIN)
    later: list[InboxEvent] = []
    if len(rows) == MAX_ASSET_EVENTS:
        read_until = rows[-1].timestamp - CLOCK_MARGIN
        later = sorted(
            (event for event in events if event.received_at > read_until),
            key=lambda event: event.received_at,
            reverse=True,
        )
    for begin in range(0, len(later), MAX_WINDOWS):
        moments = [event.received_at for event in later[begin : begin + MAX_WINDOWS]]
        windows = (
            AssetEvent.timestamp.between(moment - CLOCK_MARGIN, moment + USUAL_DELAY) for moment in moments
        )
        rows += _fetch_rows(session, or_(*windows))
    found = _group_by_event(rows, {identify(event) for event in events})
    return found, {identify(event) for event in later} - found.keys()


def _fetch_rows(session: Session, condition: ColumnElement[bool]) -> list[Any]:
    """Fetch the first asset events of PushMetrics that match."""
    query = (
        select(
            AssetEvent.id,
            AssetEvent.asset_id,
            AssetEvent.timestamp,
            AssetModel.name,
            AssetEvent.extra,
            (~has_no_key()).label("has_key"),
        )
        .join(AssetModel, AssetModel.id == AssetEvent.asset_id)
        .where(
            AssetModel.uri.startswith(f"{SCHEME}://"),
            AssetEvent.source_dag_id.is_(None),
            condition,
        )
        .order_by(AssetEvent.timestamp)
        .limit(MAX_ASSET_EVENTS)
    )
    return list(session.execute(query))


def _group_by_event(rows: Iterable[Any], wanted: set[Identity]) -> defaultdict[Identity, list[_Update]]:
    """Group asset events, of which some may be twice there, by the event that caused them."""
    found: defaultdict[Identity, list[_Update]] = defaultdict(list)
    for row in {row.id: row for row in rows}.values():
        identity = _read_identity(row.extra)
        if identity in wanted:
            has_key = bool(row.has_key)
            found[identity].append(_Update(row.id, row.asset_id, row.name, has_key, row.timestamp))
    return found


def _read_identity(extra: Any) -> Identity | None:
    payload = extra.get("payload") if isinstance(extra, dict) and "from_rest_api" not in extra else None
    if not isinstance(payload, dict):
        return None
    number, source, moment = (payload.get(name) for name in ("id", "source", "received_at"))
    try:
        return int(number), str(source), datetime.fromisoformat(moment).isoformat()  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None


@dataclass(frozen=True)
class Effects:
    """
    The effects of asset events, by event.

    :param runs: The Dag runs that they started.
    :param starts: The Dags that they should start.
    :param unkeyed_dags: The Dags that their assets start only by events without a partition key, by asset.
    """

    runs: Mapping[int, Sequence[Outcome]]
    starts: Mapping[int, Sequence[FoundStart]]
    unkeyed_dags: Mapping[int, Sequence[tuple[str, datetime]]]


def find_effects(session: Session, updates: Sequence[_Update]) -> Effects:
    """Find the effects of asset events."""
    ids = [update.asset_event_id for update in updates]
    keyed = {update.asset_id for update in updates if update.has_key}
    starts = find_starts(session, ids)
    runs = find_runs(session, ids)
    for event_id, later in find_later_runs(session, starts).items():
        runs[event_id] += later
    return Effects(runs, starts, find_unkeyed_dags(session, keyed))


def find_later_runs(
    session: Session, starts: Mapping[int, Sequence[FoundStart]]
) -> Mapping[int, list[Outcome]]:
    """Find the runs of Dags that refer to an asset by ``Asset.ref``, by event: they have no events."""
    wanted = {
        (event_id, item.later_run)
        for event_id, found in starts.items()
        for item in found
        if item.later_run is not None
    }
    if not wanted:
        return {}
    query = select(DagRun).where(DagRun.id.in_({run_id for _, run_id in wanted}))
    runs = {run.id: Outcome(run.dag_id, run.run_id, str(run.state)) for run in session.scalars(query)}
    later: defaultdict[int, list[Outcome]] = defaultdict(list)
    for event_id, run_id in sorted(wanted):
        if run_id in runs:
            later[event_id].append(runs[run_id])
    return later


def find_unkeyed_dags(
    session: Session, asset_ids: Collection[int]
) -> Mapping[int, list[tuple[str, datetime]]]:
    """Find the Dags without partitions that are scheduled by assets, and since when."""
    reference = DagScheduleAssetReference
    query = (
        select(reference.asset_id, reference.dag_id, reference.created_at)
        .join(DagModel, DagModel.dag_id == reference.dag_id)
        .where(reference.asset_id.in_(asset_ids), ~DagModel.is_stale, ~IS_PARTITIONED)
        .order_by(reference.dag_id)
    )
    found: defaultdict[int, list[tuple[str, datetime]]] = defaultdict(list)
    for asset_id, dag_id, created_at in session.execute(query) if asset_ids else ():
        found[asset_id].append((dag_id, created_at))
    return found


def find_runs(session: Session, asset_event_ids: Sequence[int]) -> defaultdict[int, list[Outcome]]:
    """Find the Dag runs that asset events have started, by event."""
    query = (
        select(association_table.c.event_id, DagRun.dag_id, DagRun.run_id, DagRun.state)
        .join(DagRun, DagRun.id == association_table.c.dag_run_id)
        .where(association_table.c.event_id.in_(asset_event_ids))
        .order_by(DagRun.id)
    )
    found: defaultdict[int, list[Outcome]] = defaultdict(list)
    for asset_event_id, dag_id, run_id, state in session.execute(query):
        found[asset_event_id].append(Outcome(dag_id, run_id, str(state)))
    return found


def find_starts(session: Session, asset_event_ids: Sequence[int]) -> Mapping[int, list[FoundStart]]:
    """Find the Dags that asset events should start, by event."""
    found: defaultdict[int, list[FoundStart]] = defaultdict(list)
    for item in read_starts(session, select_starts().where(AssetEvent.id.in_(asset_event_ids))):
        found[item.start.event_id].append(item)
    return found


def list_outcomes(updates: Iterable[_Update], effects: Effects) -> list[Outcome]:
    """List the effects of the asset events of one event: first the runs, then Dags without a run."""
    outcomes = [outcome for update in updates for outcome in _list_of_update(update, effects)]
    outcomes.sort(key=lambda outcome: outcome.run_id is None)
    return outcomes


def _list_of_update(update: _Update, effects: Effects) -> list[Outcome]:
    made = effects.runs.get(update.asset_event_id, ())
    waiting = [
        explain(item) for item in effects.starts.get(update.asset_event_id, ()) if not item.is_consumed
    ]
    keyed = KEYED.format(asset=update.asset)
    passed_by = [
        Outcome(dag_id, reason=keyed, is_final=True)
        for dag_id, since in effects.unkeyed_dags.get(update.asset_id, ())
        if update.has_key and since < update.timestamp
    ]
    if made or waiting or passed_by:
        return [*made, *waiting, *passed_by]
    return [Outcome(reason=keyed if update.has_key else NO_DAG.format(asset=update.asset))]


def explain(item: FoundStart, *, now: datetime | None = None) -> Outcome:
    """Explain why an asset event has started no run of a Dag."""
    dag_id = item.start.dag_id
    if item.is_paused:
        return Outcome(dag_id, reason=PAUSED)
    if item.is_queued:
        return Outcome(dag_id, reason=QUEUED)
    age = (now or datetime.now(UTC)) - item.timestamp
    if overlooks_events() and age < HORIZON / 10:
        return Outcome(dag_id, reason=OVERLOOKED)
    return Outcome(dag_id, reason=NOT_STARTED, is_final=True)
