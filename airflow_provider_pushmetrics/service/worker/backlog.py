"""How much work waits, how long it has waited, and how many workers live: for operators, at each scrape."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.service.models import (
    Delivery,
    Run,
    StandaloneQueryRun,
    Subscription,
    Worker,
)
from airflow_provider_pushmetrics.service.storage.clock import read_database_clock
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.service.worker.claims import KEYS, WorkRow, is_claimed, is_waiting

PREFIX = "pushmetrics_service_"

WORK = {
    "work_waiting": "Unfinished work that no worker has claimed.",
    "work_claimed": "Unfinished work that a worker executes.",
    "work_lag_seconds": "How long the oldest work that is due has waited for a worker.",
}


DELIVERY_STATES = ("new", "retried", "paused")


@dataclass(frozen=True, eq=False)  # a registry keeps its collectors by identity
class Backlog(Collector):
    """
    What the database says of the work of all workers.

    The partial indexes of unfinished rows make it cheap, however many are finished.

    :param lease_seconds: How old the last heartbeat of a live worker is at most.
    """

    database: Database
    lease_seconds: float

    def collect(self) -> Iterator[Metric]:
        """Read the figures."""
        began = time.perf_counter()
        families = [GaugeMetricFamily(PREFIX + name, text, labels=("kind",)) for name, text in WORK.items()]
        with self.database.reading() as session:
            now = read_database_clock(session)
            deliveries = _read_deliveries(session)
            for kind in KEYS:
                waiting = deliveries.total if kind is Delivery else _read_waiting(session, kind)
                claimed = session.scalar(select(func.count()).select_from(kind).where(is_claimed(kind))) or 0
                figures = (waiting.count, claimed, waiting.compute_lag(now))
                for family, figure in zip(families, figures, strict=True):
                    family.add_metric([kind.__tablename__], figure)
            workers = len(list_workers(session, now, self.lease_seconds))
        yield from families
        yield deliveries.build_family()
        yield GaugeMetricFamily(f"{PREFIX}workers", "Workers with a recent heartbeat.", workers)
        seconds = time.perf_counter() - began
        yield GaugeMetricFamily(f"{PREFIX}database_seconds", "Duration of this scrape's queries.", seconds)


def list_workers(session: Session, now: datetime, lease_seconds: float) -> list[str]:
    """List the names of the workers whose last heartbeat is within the lease."""
    since = now - timedelta(seconds=lease_seconds)
    return list(session.scalars(select(Worker.worker_id).where(Worker.beat_on > since)))


@dataclass(frozen=True)
class Waiting:
    """
    Work that waits.

    :param first: When the first of it is due; None if a worker is not late with any.
    """

    count: int = 0
    first: datetime | None = None

    def compute_lag(self, now: datetime) -> float:
        """Compute for how many seconds the first has been due."""
        return 0.0 if self.first is None else max(0.0, (now - self.first).total_seconds())


@dataclass(frozen=True)
class WaitingDeliveries:
    """
    Deliveries that wait.

    :param states: How many, by state.
    """

    states: Mapping[str, int]
    total: Waiting

    def build_family(self) -> Metric:
        """Build the metric."""
        text = "Waiting deliveries: before the first attempt, before another, and of inactive subscriptions."
        family = GaugeMetricFamily(f"{PREFIX}deliveries_waiting", text, labels=("state",))
        for state, count in self.states.items():
            family.add_metric([state], count)
        return family


def _read_waiting(session: Session, kind: type[WorkRow]) -> Waiting:
    due: Any = kind.created_on if issubclass(kind, Run | StandaloneQueryRun) else kind.next_attempt_on
    return Waiting(*session.execute(select(func.count(), func.min(due)).where(is_waiting(kind))).one())


def _read_deliveries(session: Session) -> WaitingDeliveries:
    """Read the deliveries that wait. No worker is late with those of an inactive subscription."""
    is_retried = Delivery.attempt_count > Delivery.schedule_start
    columns = (Subscription.active, is_retried, func.count(), func.min(Delivery.next_attempt_on))
    groups = select(*columns).join(Delivery.subscription).where(is_waiting(Delivery))
    states, firsts = dict.fromkeys(DELIVERY_STATES, 0), []
    for is_active, has_failed, count, first in session.execute(
        groups.group_by(Subscription.active, is_retried)
    ):
        states["paused" if not is_active else "retried" if has_failed else "new"] += count
        firsts += [first] if is_active else []
    return WaitingDeliveries(states, Waiting(sum(states.values()), min(firsts, default=None)))
