"""Find the attempts to deliver that are due, and enqueue them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import timedelta

from sqlalchemy import func, select, update

from airflow_provider_pushmetrics.service.models import Delivery, Subscription
from airflow_provider_pushmetrics.service.models.statuses import PENDING
from airflow_provider_pushmetrics.service.storage.clock import Clock, get_now
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.service.worker.queue import Task, WorkflowQueue
from airflow_provider_pushmetrics.serving.background import BackgroundLoop

DELIVERIES_QUEUE = "deliveries"
ATTEMPT_DELIVERY = "attempt_delivery"

DISPATCH_BATCH = 200
"""How many are enqueued in one transaction: enough to share its cost, not so many that others wait for it."""

GATHER_SECONDS = 0.05
"""The pause between two rounds: what is committed meanwhile shares the next one."""

RETRY_SECONDS = 1.0
SALVAGE_INTERVAL = timedelta(minutes=1)
"""How often what broke is looked for: hardly anything does, and nobody else would look."""

MIN_WAIT_SECONDS = 0.02

DISPATCH_LOCK = 7_305_812
"""Any number that no other program locks in this database."""


def name_attempt_workflow(delivery_id: int, generation: int, attempt: int) -> str:
    """Name the workflow of an attempt to deliver."""
    return f"delivery-{delivery_id}-{generation}-{attempt}"


class Dispatcher:
    """
    Enqueues what was committed, from a thread of its own.

    Of several processes on one PostgreSQL, one does it at a time; the others stand by.

    :param queue: Where to.
    :param poll_seconds: How long a commit of another process can go unseen; one of this process is told of
        by :meth:`wake`.
    :param reconciler: Takes care of what was enqueued, and broke.
    """

    def __init__(
        self,
        database: Database,
        queue: WorkflowQueue,
        poll_seconds: float,
        reconciler: Callable[[], None],
        *,
        clock: Clock = get_now,
    ) -> None:
        self._database = database
        self._queue = queue
        self._poll_seconds = poll_seconds
        self._reconciler = reconciler
        self._clock = clock
        self._next_salvage = clock()
        self._loop = BackgroundLoop(
            "dispatcher",
            self.dispatch,
            starts_at_once=True,
            pause_seconds=GATHER_SECONDS,
            retry_seconds=RETRY_SECONDS,
        )

    def start(self) -> None:
        """Begin, with what is there."""
        self._loop.start()

    def stop(self) -> bool:
        """
        Stop; what is not enqueued is found again.

        :return: Whether the thread has ended.
        """
        return self._loop.stop()

    def wake(self) -> None:
        """Say that something was committed that must happen."""
        self._loop.wake()

    def dispatch(self) -> float:
        """
        Enqueue all that is due.

        :return: The seconds until more will be, as far as can be known now.
        """
        with self._database.try_lock(DISPATCH_LOCK) as is_ours:
            if not is_ours:
                return self._poll_seconds
            while self._enqueue_attempts() == DISPATCH_BATCH:
                pass
            if self._clock() >= self._next_salvage:
                self._next_salvage = self._clock() + SALVAGE_INTERVAL
                self._reconciler()
            return self._find_wait()

    def _enqueue_attempts(self) -> int:
        due = self._find_due_attempts()
        if due:
            self._queue.enqueue(
                Task(
                    ATTEMPT_DELIVERY,
                    DELIVERIES_QUEUE,
                    name_attempt_workflow(delivery_id, generation, attempt),
                    (delivery_id, attempt),
                    partition=str(subscription_id),
                )
                for delivery_id, generation, attempt, subscription_id in due
            )
            self._note_attempts([(delivery_id, attempt) for delivery_id, _, attempt, _ in due])
        return len(due)

    def _note_attempts(self, enqueued: Sequence[tuple[int, int]]) -> None:
        """Note which attempts were enqueued; one may have been made by now, and another be due."""
        by_attempt = defaultdict(list)
        for delivery_id, attempt in enqueued:
            by_attempt[attempt].append(delivery_id)
        with self._database.noting() as session:
            for attempt, ids in by_attempt.items():
                session.execute(
                    update(Delivery)
                    .where(Delivery.id.in_(ids), Delivery.enqueued_attempt < attempt)
                    .values(enqueued_attempt=attempt)
                    .execution_options(synchronize_session=False)
                )

    def _find_due_attempts(self) -> list[tuple[int, int, int, int]]:
        attempt = Delivery.attempt_count + 1
        due = (
            select(Delivery.id, Delivery.generation, attempt, Delivery.subscription_id)
            .join(Subscription, Delivery.subscription_id == Subscription.id)
            .where(
                Delivery.status == PENDING,
                Delivery.next_attempt_on <= self._clock(),
                Delivery.enqueued_attempt < attempt,
                Subscription.active.is_(True),
            )
            .order_by(Delivery.next_attempt_on)
            .limit(DISPATCH_BATCH)
        )
        with self._database.reading() as session:
            return [(row[0], row[1], row[2], row[3]) for row in session.execute(due)]

    def _find_wait(self) -> float:
        upcoming = (
            select(func.min(Delivery.next_attempt_on))
            .join(Subscription, Delivery.subscription_id == Subscription.id)
            .where(
                Delivery.status == PENDING,
                Delivery.enqueued_attempt <= Delivery.attempt_count,
                Subscription.active.is_(True),
            )
        )
        with self._database.reading() as session:
            moment = session.scalar(upcoming)
        if moment is None:
            return self._poll_seconds
        until = (moment - self._clock()).total_seconds()
        return min(max(until, MIN_WAIT_SECONDS), self._poll_seconds)
