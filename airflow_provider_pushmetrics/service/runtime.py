"""The parts of a running service, and how they are put together."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_pushmetrics.service.accounts.authentication import Authenticator
from airflow_provider_pushmetrics.service.accounts.bootstrap import bootstrap
from airflow_provider_pushmetrics.service.datasources.locations import SourcePlaces
from airflow_provider_pushmetrics.service.datasources.registry import SourceRegistry
from airflow_provider_pushmetrics.service.demo_report import load_demo
from airflow_provider_pushmetrics.service.results.store import ResultStore
from airflow_provider_pushmetrics.service.runs.call_batching import CallBatcher
from airflow_provider_pushmetrics.service.settings import ServiceSettings, make_data_dir
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.service.storage.encryption import Cipher, load_secret_key
from airflow_provider_pushmetrics.service.storage.ids import generate_uid
from airflow_provider_pushmetrics.service.webhooks.outbox import ResultLinks
from airflow_provider_pushmetrics.service.worker.backend import ExecutionBackend
from airflow_provider_pushmetrics.serving.rate_limit import RateLimit

JWT_LIFETIME_SECONDS = 900
EXECUTOR_FILE = "executor-id"
BOOTSTRAP_LOCK = 7_305_814
"""Any number that no other program locks in this database."""


@dataclass(frozen=True)
class ServiceParts:
    """
    All that a request may need.

    :param engine: Executes what requests commit: here, in a process of its own, or elsewhere.
    """

    settings: ServiceSettings
    database: Database
    cipher: Cipher
    authenticator: Authenticator
    results: ResultStore
    links: ResultLinks
    sources: SourceRegistry
    call_batcher: CallBatcher
    engine: ExecutionBackend
    exchange_limit: RateLimit

    def start(self) -> None:
        """Migrate, load what there must be, and begin to work."""
        self.prepare()
        self.engine.start()

    def prepare(self) -> None:
        """Migrate, and load what there must be."""
        self.database.migrate()
        with self.database.lock(BOOTSTRAP_LOCK):
            bootstrap(self.database, self.settings.data_dir, self.settings.bootstrap_token)
            if self.settings.demo:
                load_demo(self.database, self.cipher, SourcePlaces(self.settings.data_dir).home)

    def stop(self) -> bool:
        """
        Stop working and let go of everything.

        :return: Whether all work had ended. If not, the process must end now; the work continues at the next
            start.
        """
        self.call_batcher.close()
        if not self.engine.stop():
            return False  # what still runs must not find its databases closed, and record that as its failure
        self.sources.close()
        self.database.close()
        return True


def assemble(
    settings: ServiceSettings,
    engine: ExecutionBackend | None = None,
    *,
    executor_id: str | None = None,
    guards_memory: bool = False,
) -> ServiceParts:
    """
    Put the parts of a service together; nothing works before they are started.

    :param engine: What executes; unless it is given, this process does.
    :param executor_id: The name under which this process executes, if it does.
    :param guards_memory: Whether it ends when it uses too much memory, as a worker does.
    """
    make_data_dir(settings.data_dir)
    database = Database(settings.store_url)
    cipher = Cipher(settings.secret_key or load_secret_key(settings.data_dir))
    results = ResultStore(settings.results_dir)
    places = SourcePlaces(settings.data_dir, settings.source_dirs)
    sources = SourceRegistry(database, cipher, places, settings.egress_rules, settings.query_limits)
    if engine is None:
        # Loaded where it is needed: a process that only serves has no use for it.
        from airflow_provider_pushmetrics.service.worker.local_backend import LocalBackend

        executor_id = executor_id or choose_executor_id(settings)
        engine = LocalBackend(
            settings, executor_id, database, cipher, results, sources, guards_memory=guards_memory
        )
    return ServiceParts(
        settings=settings,
        database=database,
        cipher=cipher,
        authenticator=Authenticator(database, cipher, JWT_LIFETIME_SECONDS),
        results=results,
        links=ResultLinks(settings.base_url),
        sources=sources,
        call_batcher=CallBatcher(database, results),
        engine=engine,
        exchange_limit=RateLimit(settings.exchange_rate),
    )


def choose_executor_id(settings: ServiceSettings) -> str:
    """
    Choose the name under which a process executes.

    On SQLite it is the folder's, so that the next start takes up what the last one left; on PostgreSQL each
    process has its own, and the others look after those that died.
    """
    if settings.database_url:
        return generate_uid()
    path = settings.data_dir / EXECUTOR_FILE
    if not path.exists():
        path.write_text(generate_uid(), encoding="ascii")
    return path.read_text(encoding="ascii").strip()
