"""The parts of a process that executes work, in addition to those of a server."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlsplit

from airflow_provider_pushmetrics.service.datasources.memory_guard import MemoryGuard, RunningQueries
from airflow_provider_pushmetrics.service.datasources.registry import SourceRegistry
from airflow_provider_pushmetrics.service.egress.rules import is_loopback
from airflow_provider_pushmetrics.service.egress.transport import GuardedTransport
from airflow_provider_pushmetrics.service.models import WorkSignal
from airflow_provider_pushmetrics.service.notifications.mail import Mailer
from airflow_provider_pushmetrics.service.notifications.mail_transport import MailTransport
from airflow_provider_pushmetrics.service.notifications.message_outbox import MAIL, SLACK
from airflow_provider_pushmetrics.service.notifications.outbox_sender import MessageTransport, OutboxSender
from airflow_provider_pushmetrics.service.notifications.slack import SlackMessenger
from airflow_provider_pushmetrics.service.results.cleanup import ResultCleanup
from airflow_provider_pushmetrics.service.results.links import ResultLinks
from airflow_provider_pushmetrics.service.results.store import ResultStore
from airflow_provider_pushmetrics.service.runs.execution.executor import RunExecutor
from airflow_provider_pushmetrics.service.runs.scheduler import Scheduler
from airflow_provider_pushmetrics.service.settings import ServiceSettings
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.service.storage.encryption import Cipher
from airflow_provider_pushmetrics.service.webhooks.delivery import WebhookSender
from airflow_provider_pushmetrics.service.worker.engine import Engine
from airflow_provider_pushmetrics.serving.commit_signals import CommitWatch

CHANNEL = "pushmetrics_work"
"""The channel of notifications of new work. Triggers of the tables send them."""


class LocalBackend:
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
        self._sources = sources
        queries = RunningQueries()
        self._memory_guard = (
            MemoryGuard(settings.usable_memory_bytes, queries, sources.children) if guards_memory else None
        )
        self._sender = WebhookSender(
            database,
            cipher,
            settings.delivery_timeout_seconds,
            transport=GuardedTransport(settings.egress_rules),
        )
        executor = RunExecutor(
            database,
            sources,
            results,
            ResultLinks(settings.base_url),
            limits=settings.query_limits,
            has_slack=settings.slack is not None,
            queries=queries,
        )
        outbox = OutboxSender(database, _open_transports(settings, results, database))
        self._engine = Engine(settings, worker_id, database, executor, self._sender, outbox)
        self._scheduler = Scheduler(database)
        self._watch = CommitWatch(
            database.engine,
            CHANNEL,
            {
                **self._engine.wakes,
                "schedule": self._scheduler.wake,
            },
            table=WorkSignal.__tablename__,
            listen_engine=database.listen_engine,
        )
        self._result_cleanup = ResultCleanup(results, settings.result_retention_days)

    def start(self) -> None:
        """Start, beginning with unfinished work."""
        self._sources.delete_unused_files()
        if self._memory_guard is not None:
            self._memory_guard.start()
        self._engine.start()
        self._scheduler.start()
        self._watch.start()
        self._result_cleanup.start()

    def stop(self) -> bool:
        """
        Stop.

        :return: Whether all work has ended. If not, the process must end now. The work continues at the next
            start.
        """
        if self._memory_guard is not None:
            self._memory_guard.stop()
        has_ended = all([self._watch.stop(), self._scheduler.stop()])
        self._result_cleanup.stop()
        if not self._engine.stop() or not has_ended:
            return False  # active work would fail if its client were closed
        self._sender.close()
        return True

    def is_alive(self) -> bool:
        """Return whether this worker claims work: whether its last heartbeat is younger than the lease."""
        return self._engine.is_current()


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
