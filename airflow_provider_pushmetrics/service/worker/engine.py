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
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import cast
from urllib.parse import urlsplit

from sqlalchemy import update

from airflow_provider_pushmetrics.service.datasources.memory_guard import MemoryGuard, RunningQueries
from airflow_provider_pushmetrics.service.datasources.registry import SourceRegistry
from airflow_provider_pushmetrics.service.egress.rules import is_loopback
from airflow_provider_pushmetrics.service.egress.transport import GuardedTransport
from airflow_provider_pushmetrics.service.models import AnyRun, Delivery, OutgoingMessage, WorkSignal
from airflow_provider_pushmetrics.service.models.workers import WORK_CHANNEL
from airflow_provider_pushmetrics.service.notifications.mail import Mailer
from airflow_provider_pushmetrics.service.notifications.mail_transport import MailTransport
from airflow_provider_pushmetrics.service.notifications.message_outbox import KINDS, MAIL, SLACK
from airflow_provider_pushmetrics.service.notifications.outbox_sender import MessageTransport, OutboxSender
from airflow_provider_pushmetrics.service.notifications.slack import SlackMessenger
from airflow_provider_pushmetrics.service.results.links import ResultLinks
from airflow_provider_pushmetrics.service.results.store import ResultStore
from airflow_provider_pushmetrics.service.retention.cleanup import Cleanup
from airflow_provider_pushmetrics.service.runs.execution.executor import RunExecutor
from airflow_provider_pushmetrics.service.runs.scheduler import Scheduler
from airflow_provider_pushmetrics.service.settings import ServiceSettings
from airflow_provider_pushmetrics.service.storage.clock import read_database_clock
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.service.storage.encryption import Cipher
from airflow_provider_pushmetrics.service.webhooks.delivery import WebhookSender
from airflow_provider_pushmetrics.service.worker.claim_queue import ClaimQueue
from airflow_provider_pushmetrics.service.worker.claims import Claim
from airflow_provider_pushmetrics.service.worker.heartbeats import WorkerRegistry
from airflow_provider_pushmetrics.service.worker.retry_loop import RetryLoop
from airflow_provider_pushmetrics.service.worker.row_counts import RowCounter
from airflow_provider_pushmetrics.service.worker.selection import (
    select_deliveries,
    select_messages,
    select_runs,
)
from airflow_provider_pushmetrics.serving.commit_signals import CommitWatch
from airflow_provider_pushmetrics.serving.metrics import render_metrics

POSTPONE_SECONDS = 60

DELIVERY_CONCURRENCY = 64
"""The maximum number of concurrent deliveries of a worker."""

log = logging.getLogger(__name__)


class Engine:
    """
    Executes runs, deliveries and messages in this process, and starts scheduled runs.

    :param worker_id: The name of this worker in its claims.
    :param guards_memory: Whether this process ends when it uses too much memory: it must be a worker.
    """

    def __init__(
        self,
        settings: ServiceSettings,
        worker_id: str,
        database: Database,
        cipher: Cipher,
        results: ResultStore,
        sources: SourceRegistry,
        *,
        guards_memory: bool = False,
    ) -> None:
        self._database = database
        self.worker_id = worker_id
        self._shutdown_seconds = settings.shutdown_seconds
        self._sources = sources
        queries = RunningQueries()
        self._memory_guard = (
            MemoryGuard(settings.usable_memory_bytes, queries, sources.children) if guards_memory else None
        )
        self._stopping = threading.Event()
        self._retry_loop = RetryLoop(self._stopping.wait)
        self._executor = RunExecutor(
            database,
            sources,
            results,
            ResultLinks(settings.base_url),
            limits=settings.query_limits,
            has_slack=settings.slack is not None,
            queries=queries,
            persist=self._retry_loop.do,
        )
        transport = GuardedTransport(settings.egress_rules)
        self._sender = WebhookSender(database, cipher, settings.delivery_timeout_seconds, transport=transport)
        self._outbox = OutboxSender(database, _open_transports(settings, results, database))
        self._workers = WorkerRegistry(database, worker_id, settings.worker_lease_seconds, self._list_active)
        self._queues = self._open_queues(settings)
        self._scheduler = Scheduler(database)
        self._watch = self._build_watch()
        self._cleanup = Cleanup(database, results, settings)
        self._row_counter = RowCounter(database)

    def start(self) -> None:
        """Start, beginning with unfinished work."""
        self._sources.delete_unused_files()
        if self._memory_guard is not None:
            self._memory_guard.start()
        self._workers.start()
        for queue in self._queues.values():
            queue.start()
        self._scheduler.start()
        self._watch.start()
        self._cleanup.start()
        self._row_counter.start()

    def stop(self) -> bool:
        """
        Stop. Work that does not end in time continues in another worker, or at the next start.

        :return: Whether all work has ended. If not, the process must end now.
        """
        self._stopping.set()
        if self._memory_guard is not None:
            self._memory_guard.stop()
        self._row_counter.stop()
        self._cleanup.stop()  # what it does not delete now is deleted at the next start
        ended = {"wakes": self._watch.stop(), "schedules": self._scheduler.stop()}
        ended |= {f"claims of {name}": queue.stop_claiming() for name, queue in self._queues.items()}
        deadline = time.monotonic() + self._shutdown_seconds
        for name, queue in self._queues.items():
            ended[f"work of {name}"] = queue.wait_until_idle(max(0.0, deadline - time.monotonic()))
        ended["release of claims"] = self._workers.stop()
        if late := [part for part, has_ended in ended.items() if not has_ended]:
            log.warning("stopping, but these have not ended: %s", ", ".join(late))
            return False
        self._sender.close()  # active work would fail if its client were closed earlier
        return True

    def is_alive(self) -> bool:
        """Return whether this worker claims work: whether its last heartbeat is younger than the lease."""
        return self._workers.is_current()

    def render_figures(self) -> bytes:
        """Write what this worker has done, in Prometheus' text format."""
        return render_metrics(
            *self._executor.figures, self._sender.attempt_seconds, self._outbox.attempt_seconds
        )

    def _open_queues(self, settings: ServiceSettings) -> dict[str, ClaimQueue]:
        """Open the queues, by the names that notifications of new work have."""
        runs = select_runs(settings.run_concurrency)
        deliveries = select_deliveries(DELIVERY_CONCURRENCY, settings.endpoint_concurrency)
        messages = select_messages(len(KINDS))
        work = {
            "run": (runs, self._execute_run, self._abandon_run),
            "delivery": (deliveries, self._deliver, self._postpone),
            "message": (messages, self._send_message, self._postpone),
        }
        is_current = self._workers.is_current
        return {
            name: ClaimQueue(name, self._database, self.worker_id, *parts, may_claim=is_current)
            for name, parts in work.items()
        }

    def _build_watch(self) -> CommitWatch:
        """Build what wakes the queues and the scheduler when there may be work for them."""
        wakes: dict[str, Callable[[], object]] = {name: queue.wake for name, queue in self._queues.items()}
        return CommitWatch(
            self._database.engine,
            WORK_CHANNEL,
            wakes | {"schedule": self._scheduler.wake},
            table=WorkSignal.__tablename__,
            listen_engine=self._database.listen_engine,
        )

    def _list_active(self) -> list[Claim]:
        return [claim for queue in self._queues.values() for claim in queue.list_active()]

    def _execute_run(self, run: Claim) -> bool:
        kind = cast("type[AnyRun]", run.kind)
        self._retry_loop.do(lambda: self._executor.execute(kind, run.id))
        return True

    def _abandon_run(self, run: Claim) -> None:
        self._executor.abandon(cast("type[AnyRun]", run.kind), run.id)

    def _deliver(self, delivery: Claim) -> bool:
        return self._sender.attempt(delivery.id, persist=self._retry_loop.do)

    def _send_message(self, message: Claim) -> bool:
        return self._outbox.attempt(message.id, persist=self._retry_loop.do)

    def _postpone(self, claim: Claim) -> None:
        """Retry after a pause what failed by an unexpected error, unless another worker has claimed it."""
        kind = cast("type[Delivery | OutgoingMessage]", claim.kind)
        with self._database.writing() as session:
            later = read_database_clock(session) + timedelta(seconds=POSTPONE_SECONDS)
            values = {"worker_id": None, "next_attempt_on": later}
            mine = (kind.id == claim.id, kind.worker_id == self.worker_id)
            session.execute(update(kind).where(*mine).values(values))


def _open_transports(
    settings: ServiceSettings, results: ResultStore, database: Database
) -> dict[str, MessageTransport]:
    transports: dict[str, MessageTransport] = {}
    if settings.smtp is not None:
        transports[MAIL] = MailTransport(Mailer(settings.smtp), results, database)
    if settings.slack is not None:
        # The operator chose its URL, so it may be on this machine.
        is_here = is_loopback(urlsplit(settings.slack.base_url).hostname or "")
        rules = settings.egress_rules
        rules = replace(rules, allow_loopback=rules.allow_loopback or is_here)
        transports[SLACK] = SlackMessenger(settings.slack, transport=GuardedTransport(rules))
    return transports
