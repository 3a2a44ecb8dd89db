"""Which Dag runs the events of the inbox have started, and why one has started none."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Protocol, TypeAlias

from airflow.models.asset import AssetEvent, AssetModel, association_table
from airflow.models.dagrun import DagRun
from sqlalchemy import select
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.assets.uris import SCHEME
from airflow_provider_pushmetrics.plugins.dag_run_queue import overlooks_events
from airflow_provider_pushmetrics.plugins.event_starts import (
    HAS_NO_KEY,
    HORIZON,
    FoundStart,
    read_starts,
    select_starts,
)

MAX_ASSET_EVENTS = 2000
"""Among how many asset events, from the oldest event of a page on, its events are looked for."""

NO_ASSET = "no asset is updated by it, or not yet"
NO_DAG = "no Dag is scheduled by asset {asset}, or it was scheduled later"
KEYED = "asset {asset} gives its events partition keys, which start Dags with PartitionedAssetTimetable only"
PAUSED = "the Dag is paused"
QUEUED = "queued: the scheduler has not made the run yet"
OVERLOOKED = "overlooked by the scheduler, and queued again within seconds"
NOT_STARTED = "none: the Dag was paused when it came, or the run was deleted. Replay the event to start it"

Identity: TypeAlias = tuple[int, str, str]


class InboxEvent(Protocol):
    """What identifies an event of the inbox."""

    @property
    def id(self) -> int:
        """Its id, which another inbox may have given too."""

    @property
    def source(self) -> str:
        """Who sent it."""

    @property
    def received_at(self) -> datetime:
        """When it came."""


@dataclass(frozen=True)
class Outcome:
    """
    What an event has done for one Dag.

    :param dag_id: The Dag; None where there is none to be named.
    :param run_id: The run that it started; None if there is none yet.
    :param state: The state of the run.
    :param reason: Why there is no run yet.
    """

    dag_id: str | None = None
    run_id: str | None = None
    state: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class _Update:
    """An asset event that an event of the inbox has become."""

    asset_event_id: int
    asset: str
    has_key: bool


def describe_outcomes(
    session: Session, events: Sequence[InboxEvent], *, readable: Collection[str]
) -> dict[int, list[dict[str, Any]]]:
    """
    Describe what each event has done, as JSON, by its id.

    :param readable: The Dags that the reader may see; nothing is said of others.
    """
    updates = find_updates(session, events)
    ids = [update.asset_event_id for found in updates.values() for update in found]
    runs, starts = find_runs(session, ids), find_starts(session, ids)
    return {
        event.id: [
            asdict(outcome)
            for outcome in list_outcomes(updates.get(identify(event), ()), runs, starts)
            if outcome.dag_id is None or outcome.dag_id in readable
        ]
        for event in events
    }


def identify(event: InboxEvent) -> Identity:
    """Tell an event from all others, also from those of another inbox."""
    return event.id, event.source, event.received_at.isoformat()


def find_updates(session: Session, events: Sequence[InboxEvent]) -> Mapping[Identity, list[_Update]]:
    """Find the asset events that events of the inbox have become."""
    if not events:
        return {}
    query = (
        select(AssetEvent.id, AssetModel.name, AssetEvent.extra, (~HAS_NO_KEY).label("has_key"))
        .join(AssetModel, AssetModel.id == AssetEvent.asset_id)
        .where(
            AssetModel.uri.startswith(f"{SCHEME}://"),
            AssetEvent.source_dag_id.is_(None),
            AssetEvent.timestamp >= min(event.received_at for event in events),
        )
        .order_by(AssetEvent.timestamp)
        .limit(MAX_ASSET_EVENTS)
    )
    wanted = {identify(event) for event in events}
    found: defaultdict[Identity, list[_Update]] = defaultdict(list)
    for row in session.execute(query):
        identity = _read_identity(row.extra)
        if identity in wanted:
            found[identity].append(_Update(row.id, row.name, bool(row.has_key)))
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


def find_runs(session: Session, asset_event_ids: Sequence[int]) -> Mapping[int, list[Outcome]]:
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
    """Find the Dags that asset events are to start, by event."""
    found: defaultdict[int, list[FoundStart]] = defaultdict(list)
    for item in read_starts(session, select_starts().where(AssetEvent.id.in_(asset_event_ids))):
        found[item.start.event_id].append(item)
    return found


def list_outcomes(
    updates: Iterable[_Update],
    runs: Mapping[int, Sequence[Outcome]],
    starts: Mapping[int, Sequence[FoundStart]],
) -> list[Outcome]:
    """List what the updates of assets by one event have done: the runs first, then what has no run yet."""
    outcomes: list[Outcome] = []
    for update in updates:
        made = runs.get(update.asset_event_id, ())
        waiting = [
            Outcome(item.start.dag_id, reason=explain(item))
            for item in starts.get(update.asset_event_id, ())
            if not item.is_consumed
        ]
        outcomes += [*made, *waiting]
        if not made and not waiting:
            outcomes.append(Outcome(reason=(KEYED if update.has_key else NO_DAG).format(asset=update.asset)))
    outcomes.sort(key=lambda outcome: outcome.run_id is None)
    return outcomes or [Outcome(reason=NO_ASSET)]


def explain(item: FoundStart, *, now: datetime | None = None) -> str:
    """Say why an asset event has started no run of a Dag."""
    if item.is_paused:
        return PAUSED
    if item.is_queued:
        return QUEUED
    age = (now or datetime.now(UTC)) - item.timestamp
    return OVERLOOKED if overlooks_events() and age < HORIZON / 10 else NOT_STARTED
