"""The parts of a running service, and how they are put together."""

from __future__ import annotations

import fcntl
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.service.bootstrap import bootstrap
from airflow_provider_pushmetrics.service.credentials import Gatekeeper
from airflow_provider_pushmetrics.service.database import Database
from airflow_provider_pushmetrics.service.deadlines import DeadlineNetwork
from airflow_provider_pushmetrics.service.delivery import Courier
from airflow_provider_pushmetrics.service.demo import load_demo
from airflow_provider_pushmetrics.service.egress import GuardedNetwork, GuardedTransport
from airflow_provider_pushmetrics.service.encryption import Vault, load_secret_key
from airflow_provider_pushmetrics.service.engine import Engine
from airflow_provider_pushmetrics.service.events import ResultLinks
from airflow_provider_pushmetrics.service.execution import RunExecutor
from airflow_provider_pushmetrics.service.housekeeper import Housekeeper
from airflow_provider_pushmetrics.service.ids import generate_uid
from airflow_provider_pushmetrics.service.notifications.mail import Mailer
from airflow_provider_pushmetrics.service.notifications.outgoing import Postman
from airflow_provider_pushmetrics.service.notifications.slack import SlackMessenger
from airflow_provider_pushmetrics.service.querying import QueryLimits
from airflow_provider_pushmetrics.service.rates import RateLimit
from airflow_provider_pushmetrics.service.results import ResultStore
from airflow_provider_pushmetrics.service.settings import ServiceSettings
from airflow_provider_pushmetrics.service.sources import SourceRegistry
from airflow_provider_pushmetrics.service.timekeeper import Timekeeper

LOCK_FILE = "lock"
EXECUTOR_FILE = "executor-id"
BOOTSTRAP_LOCK = 7_305_814
"""Any number that no other program locks in this database."""


@dataclass(frozen=True)
class ServiceParts:
    """All that a request may need."""

    settings: ServiceSettings
    database: Database
    vault: Vault
    gatekeeper: Gatekeeper
    results: ResultStore
    links: ResultLinks
    sources: SourceRegistry
    courier: Courier
    engine: Engine
    timekeeper: Timekeeper
    trigger_limit: RateLimit
    exchange_limit: RateLimit
    housekeeper: Housekeeper
    lock: IO[str] | None

    def start(self) -> None:
        """Migrate, load what there must be, and begin to work."""
        self.database.migrate()
        with self.database.lock(BOOTSTRAP_LOCK):
            bootstrap(self.database, self.settings.data_dir, self.settings.bootstrap_token)
            if self.settings.demo:
                load_demo(self.database, self.vault, self.settings.data_dir)
        self.engine.start()
        if self.settings.executes:
            self.timekeeper.start()
            self.housekeeper.start()

    def stop(self) -> bool:
        """
        Stop working and let go of everything.

        :return: Whether all work had ended. If not, the process must end now; the work goes on at the next
            start.
        """
        self.timekeeper.stop()
        self.housekeeper.stop()
        if not self.engine.stop():
            return False  # what still runs must not find its databases closed, and record that as its failure
        self.courier.close()
        self.sources.close()
        self.database.close()
        if self.lock is not None:
            self.lock.close()
        return True


def assemble(settings: ServiceSettings) -> ServiceParts:
    """
    Put the parts of a service together; nothing works before they are started.

    :raises PushMetricsConfigurationError: if another service uses the data folder.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    # On PostgreSQL any number of processes share the folder; on SQLite there is one.
    lock = None if settings.database_url else _lock_folder(settings.data_dir)
    database = Database(settings.store_url)
    vault = Vault(settings.secret_key or load_secret_key(settings.data_dir))
    results = ResultStore(settings.results_dir)
    links = ResultLinks(settings.base_url)
    sources = SourceRegistry(database, vault, settings.data_dir)
    courier = Courier(database, vault, settings.delivery_timeout_seconds, transport=_open_transport(settings))
    executor = RunExecutor(
        database,
        sources,
        results,
        links,
        limits=QueryLimits(settings.max_query_rows, settings.query_timeout_seconds),
        has_slack=settings.slack is not None,
    )
    engine = Engine(settings, _choose_executor_id(settings), database, executor, courier)
    return ServiceParts(
        settings=settings,
        database=database,
        vault=vault,
        gatekeeper=Gatekeeper(database, vault, settings.jwt_lifetime_seconds),
        results=results,
        links=links,
        sources=sources,
        courier=courier,
        engine=engine,
        trigger_limit=RateLimit(settings.trigger_rate),
        exchange_limit=RateLimit(settings.exchange_rate),
        timekeeper=Timekeeper(
            database,
            engine.wake,
            Postman(database, None if settings.smtp is None else Mailer(settings.smtp)),
            None if settings.slack is None else SlackMessenger(settings.slack),
        ),
        housekeeper=Housekeeper(results, settings.result_retention_days),
        lock=lock,
    )


def _open_transport(settings: ServiceSettings) -> GuardedTransport:
    rules = settings.egress_rules
    return GuardedTransport(rules, network=GuardedNetwork(rules, network=DeadlineNetwork()))


def _lock_folder(data_dir: Path) -> IO[str]:
    """Make sure that one process uses the folder: two would take up each other's running work."""
    lock = open(data_dir / LOCK_FILE, "a", encoding="ascii")  # noqa: SIM115 - held until the process ends
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise PushMetricsConfigurationError(
            f"the data folder {str(data_dir)!r} is in use by another service: stop that one, or choose"
            " another folder with --data or PUSHMETRICS_SERVICE_DATA."
        ) from None
    return lock


def _choose_executor_id(settings: ServiceSettings) -> str:
    """
    Choose the name under which this process executes.

    On SQLite it is the folder's, so that the next start takes up what the last one left; on PostgreSQL each
    process has its own, and the others look after those that died.
    """
    if settings.database_url:
        return generate_uid()
    path = settings.data_dir / EXECUTOR_FILE
    if not path.exists():
        path.write_text(generate_uid(), encoding="ascii")
    return path.read_text(encoding="ascii").strip()
