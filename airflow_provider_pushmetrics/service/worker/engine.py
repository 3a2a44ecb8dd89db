"""
Durable work: runs, deliveries, mails and Slack posts, each claimed from its own table.

Work is accepted when its row is committed. A worker claims rows (:mod:`claims`), executes them, and records
the result and the end of the claim in one transaction. The claims of a dead worker are released by another
worker, or by its successor of the same name. The work then continues after its last recorded step.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from datetime import timedelta

from sqlalchemy import update

from airflow_provider_pushmetrics.service.notifications.message_outbox import KINDS
from airflow_provider_pushmetrics.service.notifications.outbox_sender import OutboxSender
from airflow_provider_pushmetrics.service.runs.execution.executor import RunExecutor
from airflow_provider_pushmetrics.service.settings import ServiceSettings
from airflow_provider_pushmetrics.service.storage.clock import read_database_clock
from airflow_provider_pushmetrics.service.storage.database import Database, is_unavailable
from airflow_provider_pushmetrics.service.webhooks.delivery import WebhookSender
from airflow_provider_pushmetrics.service.worker.claim_queue import ClaimQueue
from airflow_provider_pushmetrics.service.worker.claims import (
    ClaimT,
    Selection,
    release_all,
    release_orphans,
)
from airflow_provider_pushmetrics.service.worker.due_selection import (
    DueRow,
    select_deliveries,
    select_messages,
)
from airflow_provider_pushmetrics.service.worker.heartbeats import WorkerRegistry
from airflow_provider_pushmetrics.service.worker.retrying import RetryLoop
from airflow_provider_pushmetrics.service.worker.run_places import ActiveRun
from airflow_provider_pushmetrics.service.worker.run_selection import RunSelection

POSTPONE_SECONDS = 60

DELIVERY_CONCURRENCY = 64
"""The maximum number of concurrent deliveries of a worker."""

log = logging.getLogger(__name__)


class Engine:
    """
    Executes the durable work of this process.

    :param worker_id: The name of this process. Others release the claims that it leaves.
    """

    def __init__(
        self,
        settings: ServiceSettings,
        worker_id: str,
        database: Database,
        executor: RunExecutor,
        sender: WebhookSender,
        outbox: OutboxSender,
    ) -> None:
        self._database = database
        self._worker_id = worker_id
        self._shutdown_seconds = settings.shutdown_seconds
        self._executor = executor
        self._sender = sender
        self._outbox = outbox
        self._stopping = threading.Event()
        self._retry_loop = RetryLoop(self._stopping.wait)
        deliveries = select_deliveries(DELIVERY_CONCURRENCY, settings.endpoint_concurrency)
        self._runs = self._build_queue(
            "run",
            RunSelection(settings.run_concurrency),
            self._execute_run,
            lambda run: executor.abandon(run.kind, run.id),
        )
        self._deliveries = self._build_queue("delivery", deliveries, self._deliver, self._postpone)
        messages = select_messages(len(KINDS))
        self._messages = self._build_queue("message", messages, self._send_message, self._postpone)
        self._workers = WorkerRegistry(
            database,
            worker_id,
            settings.worker_lease_seconds,
            lambda dead: release_all(database, dead, counts_loss=True),
            self._release_forgotten,
        )

    def _build_queue(
        self,
        name: str,
        selection: Selection[ClaimT],
        execute: Callable[[ClaimT], bool],
        abandon: Callable[[ClaimT], object],
    ) -> ClaimQueue[ClaimT]:
        return ClaimQueue(
            name, self._database, self._worker_id, selection, execute, abandon, may_claim=self.is_current
        )

    @property
    def wakes(self) -> Mapping[str, Callable[[], object]]:
        """What to call on a notification of new work, by its name in the notification."""
        return {
            "run": self._runs.wake,
            "delivery": self._deliveries.wake,
            "message": self._messages.wake,
        }

    def start(self) -> None:
        """Start, beginning with unfinished work."""
        self._workers.start()
        release_all(self._database, self._worker_id, counts_loss=True)
        self._workers.take_over()
        for queue in (self._runs, self._deliveries, self._messages):
            queue.start()

    def stop(self) -> bool:
        """
        Stop. Work that does not end in time continues in another worker, or at the next start.

        :return: Whether all work has ended.
        """
        self._stopping.set()
        queues = (self._runs, self._deliveries, self._messages)
        has_ended = all([queue.stop_claiming() for queue in queues])
        deadline = time.monotonic() + self._shutdown_seconds
        for queue in queues:
            has_ended &= queue.wait_until_idle(max(0.0, deadline - time.monotonic()))
        try:
            release_all(self._database, self._worker_id)
        except Exception as error:
            if not is_unavailable(error):
                raise
            has_ended = False
            log.warning(
                "cannot release the claims of this worker; others release them after its lease: %s", error
            )
        self._workers.stop(is_finished=has_ended)
        return has_ended

    def is_current(self) -> bool:
        """Return whether the last heartbeat of this worker is younger than the lease."""
        return self._workers.is_current()

    def _execute_run(self, run: ActiveRun) -> bool:
        self._retry_loop.do(lambda: self._executor.execute(run.kind, run.id))
        return True

    def _deliver(self, delivery: DueRow) -> bool:
        return self._sender.attempt(delivery.id, persist=self._retry_loop.do)

    def _send_message(self, message: DueRow) -> bool:
        return self._outbox.attempt(message.id, persist=self._retry_loop.do)

    def _postpone(self, row: DueRow) -> None:
        """Retry after a pause what failed by an unexpected error."""
        with self._database.writing() as session:
            later = read_database_clock(session) + timedelta(seconds=POSTPONE_SECONDS)
            values = {"worker_id": None, "next_attempt_on": later}
            session.execute(update(row.kind).where(row.kind.id == row.id).values(values))

    def _release_forgotten(self) -> None:
        release_orphans(self._database)
        for queue in (self._runs, self._deliveries, self._messages):
            queue.release_forgotten()
