"""The parts of a running service, and their assembly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from airflow_provider_pushmetrics.service.accounts.authentication import Authenticator
from airflow_provider_pushmetrics.service.accounts.bootstrap import bootstrap, is_bootstrapped
from airflow_provider_pushmetrics.service.datasources.locations import SourcePlaces
from airflow_provider_pushmetrics.service.datasources.registry import SourceRegistry
from airflow_provider_pushmetrics.service.demo_report import load_demo
from airflow_provider_pushmetrics.service.maintenance.secret_keys import check_secrets
from airflow_provider_pushmetrics.service.results.links import ResultLinks
from airflow_provider_pushmetrics.service.results.ownership import claim_results, find_installation
from airflow_provider_pushmetrics.service.results.store import ResultStore
from airflow_provider_pushmetrics.service.runs.call_batching import CallBatcher
from airflow_provider_pushmetrics.service.runs.pending_limit import PendingLimit
from airflow_provider_pushmetrics.service.runs.run_watch import RunWatch
from airflow_provider_pushmetrics.service.settings import ServiceSettings
from airflow_provider_pushmetrics.service.storage.data_folder import make_data_dir
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.service.storage.encryption import Cipher, load_secret_keys
from airflow_provider_pushmetrics.service.storage.ids import generate_uid
from airflow_provider_pushmetrics.service.storage.schema import prepare, prepare_schema
from airflow_provider_pushmetrics.serving.http.rate_limit import RateLimit
from airflow_provider_pushmetrics.serving.metrics import render_metrics
from airflow_provider_pushmetrics.serving.private_files import write_private_file

JWT_LIFETIME_SECONDS = 900
TEST_MESSAGES_PER_MINUTE = 6
"""The maximum of each user: test messages go to any address."""

WORKER_FILE = "worker-id"
BOOTSTRAP_LOCK = 7_305_814
"""An arbitrary number: the PostgreSQL advisory lock of the bootstrap."""


class ExecutionBackend(Protocol):
    """Executes committed work: in this process, or in a child."""

    @property
    def worker_id(self) -> str:
        """The name of the worker, whose heartbeats are in the database."""

    def start(self) -> None:
        """Start, beginning with unfinished work."""

    def stop(self) -> bool:
        """Stop, and return whether all work in this process has ended."""

    def is_alive(self) -> bool:
        """Return whether committed work is executed now."""

    def render_figures(self) -> bytes:
        """Write what this process, or its worker, has done, in Prometheus' text format."""


@dataclass(frozen=True)
class ServiceParts:
    """
    The parts that requests use.

    :param engine: Executes committed work; None if only other processes do.
    """

    settings: ServiceSettings
    database: Database
    cipher: Cipher
    authenticator: Authenticator
    results: ResultStore
    links: ResultLinks
    sources: SourceRegistry
    pending_limit: PendingLimit
    call_batcher: CallBatcher
    run_watch: RunWatch
    engine: ExecutionBackend | None
    exchange_limit: RateLimit
    test_message_limit: RateLimit

    def start(self) -> None:
        """Migrate, bootstrap, and start the engine."""
        self.prepare()
        if self.engine is not None:
            self.engine.start()

    def prepare(self) -> None:
        """
        Migrate, and bootstrap.

        :raises PushMetricsConfigurationError: if the service cannot work with the database or the object
            storage of results, if the results are of another database, or if the secret keys do not decrypt
            the stored secrets.
        :raises ObjectStoreError: if the object storage has stopped to answer.
        """
        self.results.prepare(self.settings.wait_for_database_seconds)
        prepare_schema(self.database, self.settings.wait_for_database_seconds)
        check_secrets(self.database, self.cipher)
        prepare(self.database, self._claim_results, self.settings.wait_for_database_seconds)
        prepare(self.database, self._bootstrap, self.settings.wait_for_database_seconds)

    def _claim_results(self) -> None:
        claim_results(self.results, find_installation(self.database))

    def _bootstrap(self) -> None:
        if is_bootstrapped(self.database, self.settings.bootstrap_token) and not self.settings.demo:
            return  # no lock is needed, which a frozen process may have
        with self.database.lock(BOOTSTRAP_LOCK):
            bootstrap(self.database, self.settings.data_dir, self.settings.bootstrap_token)
            if self.settings.demo:
                load_demo(self.database, self.cipher, SourcePlaces(self.settings.data_dir).home)

    def render_metrics(self) -> bytes:
        """
        Write the waiting work of all processes, and what this one has done, in Prometheus' text format.

        :raises SQLAlchemyError: if the database is unavailable.
        """
        from airflow_provider_pushmetrics.service.worker.backlog import Backlog

        backlog = Backlog(self.database, self.settings.worker_lease_seconds)
        figures = b"" if self.engine is None else self.engine.render_figures()
        return render_metrics(backlog, self.database.statement_seconds) + figures

    def stop(self) -> bool:
        """
        Stop the engine and close everything.

        :return: Whether all work has ended. If not, the process must end now; the work continues at the next
            start.
        """
        self.run_watch.stop()
        self.call_batcher.close()
        if self.engine is not None and not self.engine.stop():
            return False  # running work must not find its databases closed and fail
        self.sources.close()
        self.database.close()
        return True


def assemble(
    settings: ServiceSettings,
    engine: ExecutionBackend | None = None,
    *,
    worker_id: str | None = None,
    guards_memory: bool = False,
) -> ServiceParts:
    """
    Assemble the parts of a service, without starting them.

    :param engine: The engine; by default this process executes, unless the settings leave it to others.
    :param worker_id: The name of this process as a worker, if it is one.
    :param guards_memory: Whether it ends when it uses too much memory, as a worker does.
    """
    make_data_dir(settings.data_dir)
    database = Database(settings.store_url, listen_url=settings.listen_database_url)
    cipher = Cipher(*(settings.secret_keys or load_secret_keys(settings.data_dir)))
    results = ResultStore.connect(settings.results_dir, settings.object_url)
    places = SourcePlaces(settings.data_dir, settings.source_dirs, settings.source_urls)
    sources = SourceRegistry(database, cipher, places, settings.egress_rules, settings.query_limits)
    pending_limit = PendingLimit(settings.max_pending_runs)
    if engine is None and settings.executes:
        # Imported here: a process that only serves does not need it.
        from airflow_provider_pushmetrics.service.worker.engine import Engine

        worker_id = worker_id or choose_worker_id(settings)
        engine = Engine(settings, worker_id, database, cipher, results, sources, guards_memory=guards_memory)
    return ServiceParts(
        settings=settings,
        database=database,
        cipher=cipher,
        authenticator=Authenticator(database, cipher, JWT_LIFETIME_SECONDS),
        results=results,
        links=ResultLinks(settings.base_url),
        sources=sources,
        pending_limit=pending_limit,
        call_batcher=CallBatcher(database, results, pending_limit),
        run_watch=RunWatch(database),
        engine=engine,
        exchange_limit=RateLimit(settings.exchange_rate),
        test_message_limit=RateLimit(TEST_MESSAGES_PER_MINUTE),
    )


def choose_worker_id(settings: ServiceSettings) -> str:
    """
    Choose the name of a worker process.

    On SQLite it is the folder's, so that the next start continues the work of the last one; on PostgreSQL
    each process has its own, and the others take over the work of dead ones.
    """
    if settings.database_url:
        return generate_uid()
    path = settings.data_dir / WORKER_FILE
    if not path.exists():
        write_private_file(path, generate_uid())
    return path.read_text(encoding="ascii").strip()
