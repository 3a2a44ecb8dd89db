"""How much work waits, how long it has waited, and how many workers live: for operators, at each scrape."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.service.models import Run, StandaloneQueryRun, Worker
from airflow_provider_pushmetrics.service.storage.clock import read_database_clock
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.service.worker.claims import KEYS, WorkRow, is_claimed, is_waiting

PREFIX = "pushmetrics_service_"

WORK = {
    "work_waiting": "Unfinished work that no worker has claimed.",
    "work_claimed": "Unfinished work that a worker executes.",
    "work_lag_seconds": "How long the oldest work that is due has waited for a worker.",
}


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
            for kind in KEYS:
                for family, figure in zip(families, _read_figures(session, kind, now), strict=True):
                    family.add_metric([kind.__tablename__], figure)
            workers = count_workers(session, now, self.lease_seconds)
        yield from families
        yield GaugeMetricFamily(f"{PREFIX}workers", "Workers with a recent heartbeat.", workers)
        seconds = time.perf_counter() - began
        yield GaugeMetricFamily(f"{PREFIX}database_seconds", "Duration of this scrape's queries.", seconds)


def count_workers(session: Session, now: datetime, lease_seconds: float) -> int:
    """Count the workers whose last heartbeat is within the lease."""
    since = now - timedelta(seconds=lease_seconds)
    return session.scalar(select(func.count()).select_from(Worker).where(Worker.beat_on > since)) or 0


def _read_figures(session: Session, kind: type[WorkRow], now: datetime) -> tuple[int, int, float]:
    due = kind.created_on if issubclass(kind, Run | StandaloneQueryRun) else kind.next_attempt_on
    waiting, first = session.execute(select(func.count(), func.min(due)).where(is_waiting(kind))).one()
    claimed = session.scalar(select(func.count()).select_from(kind).where(is_claimed(kind))) or 0
    return waiting, claimed, 0.0 if first is None else max(0.0, (now - first).total_seconds())
