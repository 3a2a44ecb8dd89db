"""How much work waits, how long it has waited, and how many workers live: for operators, at each scrape."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.service.models import (
    Delivery,
    OutgoingMessage,
    Run,
    StandaloneQueryRun,
    Worker,
)
from airflow_provider_pushmetrics.service.storage.clock import read_database_clock
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.service.worker.claims import is_claimed, is_waiting

PREFIX = "pushmetrics_service_"
Work: TypeAlias = Run | StandaloneQueryRun | Delivery | OutgoingMessage

KINDS: Mapping[str, type[Work]] = {
    "run": Run,
    "query_run": StandaloneQueryRun,
    "delivery": Delivery,
    "message": OutgoingMessage,
}


@dataclass(frozen=True)
class QueueFigures:
    """
    The unfinished work of one kind.

    :param waiting: Rows that no worker has claimed, also those whose next attempt is later.
    :param claimed: Rows that a worker executes.
    :param lag_seconds: For how long the oldest row that is due has waited; 0 if there is none.
    """

    waiting: int
    claimed: int
    lag_seconds: float


@dataclass(frozen=True, eq=False)  # a registry keeps its collectors by identity
class Backlog(Collector):
    """
    What the database says of the work of all workers.

    :param queues: The figures by kind of work.
    :param workers: How many workers sent a heartbeat within the lease.
    :param database_seconds: How long the database took to answer these questions.
    """

    queues: Mapping[str, QueueFigures]
    workers: int
    database_seconds: float

    def collect(self) -> Iterator[Metric]:
        """Give the figures as they are."""
        families = {
            "work_waiting": "Unfinished work that no worker has claimed.",
            "work_claimed": "Unfinished work that a worker executes.",
            "work_lag_seconds": "How long the oldest work that is due has waited for a worker.",
        }
        for name, text in families.items():
            family = GaugeMetricFamily(PREFIX + name, text, labels=("kind",))
            for kind, queue in self.queues.items():
                family.add_metric([kind], getattr(queue, name.removeprefix("work_")))
            yield family
        yield GaugeMetricFamily(f"{PREFIX}workers", "Workers with a recent heartbeat.", self.workers)
        yield GaugeMetricFamily(
            f"{PREFIX}database_seconds", "Duration of this scrape's queries.", self.database_seconds
        )


def read_backlog(database: Database, lease_seconds: float) -> Backlog:
    """
    Read the figures; the partial indexes of unfinished rows make it cheap, however many are finished.

    :param lease_seconds: How old the last heartbeat of a live worker is at most.
    """
    began = time.perf_counter()
    with database.reading() as session:
        now = read_database_clock(session)
        queues = {kind: _read_queue(session, model, now) for kind, model in KINDS.items()}
        workers = count_workers(session, now, lease_seconds)
    return Backlog(queues, workers, time.perf_counter() - began)


def count_workers(session: Session, now: datetime, lease_seconds: float) -> int:
    """Count the workers whose last heartbeat is within the lease."""
    since = now - timedelta(seconds=lease_seconds)
    return session.scalar(select(func.count()).select_from(Worker).where(Worker.beat_on > since)) or 0


def _read_queue(session: Session, kind: type[Work], now: datetime) -> QueueFigures:
    due = kind.created_on if issubclass(kind, Run | StandaloneQueryRun) else kind.next_attempt_on
    waiting, first = session.execute(select(func.count(), func.min(due)).where(is_waiting(kind))).one()
    claimed = session.scalar(select(func.count()).select_from(kind).where(is_claimed(kind)))
    lag_seconds = 0.0 if first is None else max(0.0, (now - first).total_seconds())
    return QueueFigures(waiting, claimed or 0, lag_seconds)
