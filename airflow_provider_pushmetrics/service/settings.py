"""What can be set, and what follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.service.datasources.limits import DEFAULT_LIMITS, MIB, QueryLimits
from airflow_provider_pushmetrics.service.datasources.memory_guard import find_machine_memory
from airflow_provider_pushmetrics.service.egress.rules import EgressRules
from airflow_provider_pushmetrics.service.notifications.settings import SlackSettings, SmtpSettings

ENVIRONMENT_PREFIX = "PUSHMETRICS_SERVICE_"

MACHINE_SHARE = 0.9
"""A worker leaves the system the rest."""

UNREACHABLE_HOSTS = ("0.0.0.0", "::", "")
"""Addresses to listen on that nobody can call."""


@dataclass(frozen=True)
class ServiceSettings:
    """
    The settings of one service process.

    :param data_dir: Where the databases, the results, the key and the demo's data are kept.
    :param source_dirs: More folders whose files may be asked, besides ``sources`` in ``data_dir``.
    :param host: The address to listen on.
    :param port: The port to listen on.
    :param database_url: A PostgreSQL database for everything but the results; SQLite in ``data_dir``
        otherwise.
    :param public_url: What the links in events begin with; where the service listens, unless set.
    :param bootstrap_token: The first API token.
    :param secret_key: Encrypts stored secrets and signs JWTs; a file in ``data_dir`` holds it, unless set.
    :param demo: Whether the flights data and its report are loaded.
    :param allow_private_endpoints: Whether events may be sent into private networks and to this machine.
    :param trigger_returns_run_id: Whether a trigger's answer names the run; the real product's does not.
    :param max_body_bytes: A longer request body is refused.
    :param executes: Whether runs and deliveries are executed, in a process beside the server, and not left to
        others.
    :param run_concurrency: How many runs this process executes at a time.
    :param delivery_concurrency: How many deliveries this process makes at a time.
    :param endpoint_concurrency: How many of them may go to one endpoint, so that a slow one leaves room.
    :param queue_poll_seconds: How often the queues are looked at: the wait before a run begins.
    :param delivery_timeout_seconds: How long a subscriber may take to answer.
    :param result_retention_days: After how many days results are deleted; None keeps them.
    :param worker_lease_seconds: After how long without a sign of life a worker is taken for dead.
    :param jwt_lifetime_seconds: How long an exchanged token is valid.
    :param max_query_rows: More rows of a query are cut off.
    :param query_timeout_seconds: A query that takes longer is stopped.
    :param max_query_memory_bytes: A query that needs more memory in the worker fails.
    :param max_value_bytes: A query that returns a larger single value fails.
    :param worker_memory_bytes: A worker that uses more ends and is replaced; before that, it stops queries.
    :param smtp: The server that takes mail; without one, mail is kept.
    :param slack: The Slack workspace that takes messages.
    :param trigger_rate: How often a minute one trigger can be called; 0 for no limit.
    :param exchange_rate: How often a minute one address can exchange tokens; 0 for no limit.
    :param shutdown_seconds: How long running work may go on after a request to stop.
    """

    data_dir: Path
    host: str = "127.0.0.1"
    port: int = 8090
    database_url: str | None = field(default=None, repr=False)
    public_url: str | None = None
    bootstrap_token: str | None = field(default=None, repr=False)
    secret_key: str | None = field(default=None, repr=False)
    demo: bool = False
    allow_private_endpoints: bool = False
    trigger_returns_run_id: bool = True
    max_body_bytes: int = 1024 * 1024
    executes: bool = True
    run_concurrency: int = 4
    delivery_concurrency: int = 64
    endpoint_concurrency: int = 8
    queue_poll_seconds: float = 0.05
    delivery_timeout_seconds: float = 15.0
    result_retention_days: int | None = None
    worker_lease_seconds: float = 20.0
    jwt_lifetime_seconds: int = 900
    max_query_rows: int = DEFAULT_LIMITS.max_rows
    query_timeout_seconds: int = DEFAULT_LIMITS.timeout_seconds
    max_query_memory_bytes: int = DEFAULT_LIMITS.max_memory_bytes
    max_value_bytes: int = DEFAULT_LIMITS.max_value_bytes
    worker_memory_bytes: int = 4 * 1024 * MIB
    smtp: SmtpSettings | None = None
    slack: SlackSettings | None = None
    trigger_rate: int = 0
    exchange_rate: int = 0
    shutdown_seconds: int = 5
    source_dirs: tuple[Path, ...] = ()

    @property
    def base_url(self) -> str:
        """What links begin with, without a slash at the end."""
        if self.public_url:
            return self.public_url.rstrip("/")
        host = "127.0.0.1" if self.host in UNREACHABLE_HOSTS else self.host
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def egress_rules(self) -> EgressRules:
        """Where events may be sent; the demo's subscribers are on this machine."""
        return EgressRules(allow_private=self.allow_private_endpoints, allow_loopback=self.demo)

    @property
    def query_limits(self) -> QueryLimits:
        """What any query may take."""
        return QueryLimits(
            self.max_query_rows,
            self.query_timeout_seconds,
            self.max_query_memory_bytes,
            self.max_value_bytes,
        )

    @property
    def usable_memory_bytes(self) -> int:
        """The memory of a worker: no more than this machine, or its container, has."""
        return min(self.worker_memory_bytes, int(find_machine_memory() * MACHINE_SHARE))

    @property
    def store_url(self) -> str:
        """The database of the service's own tables."""
        return self.database_url or f"sqlite:///{self.data_dir / 'service.db'}"

    @property
    def workflow_url(self) -> str:
        """The database where DBOS keeps its queues and workflows."""
        return self.database_url or f"sqlite:///{self.data_dir / 'workflows.db'}"

    @property
    def dispatch_poll_seconds(self) -> float:
        """How often accepted work of other processes is looked for; without others, only to be safe."""
        return 15.0

    @property
    def run_poll_seconds(self) -> float:
        """How often runs of other processes are looked for; without others, only to be safe."""
        return 15.0

    @property
    def results_dir(self) -> Path:
        """Where results are kept, as Parquet."""
        return self.data_dir / "results"


def check_database_url(url: str | None) -> str | None:
    """
    Accept the database that was asked for, and name its driver.

    :raises PushMetricsConfigurationError: unless it is PostgreSQL. The message never holds the URL.
    """
    if not url:
        return None
    try:
        parsed = make_url(url)
    except ArgumentError:
        parsed = None
    if parsed is None or parsed.get_backend_name() != "postgresql":
        raise PushMetricsConfigurationError(
            "the database URL is not one of PostgreSQL: it must look like"
            " 'postgresql+psycopg://user:password@host/database'. Leave it out to use SQLite."
        )
    return parsed.set(drivername="postgresql+psycopg").render_as_string(hide_password=False)


def read_rate(environ: Mapping[str, str], name: str, default: int) -> int:
    """
    Read how often a minute something may be done; 0 for no limit.

    :raises PushMetricsConfigurationError: if it is no number.
    """
    text = environ.get(ENVIRONMENT_PREFIX + name, "").strip()
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise PushMetricsConfigurationError(
            f"{ENVIRONMENT_PREFIX}{name} is {text!r}: it must be a number of calls a minute; 0 is no limit."
        )
    return int(text)


def require_postgres(settings: ServiceSettings, what: str) -> None:
    """
    Refuse what several processes of the same kind need PostgreSQL for.

    :raises PushMetricsConfigurationError: if the database is SQLite.
    """
    if settings.database_url is None:
        raise PushMetricsConfigurationError(
            f"{what} needs PostgreSQL, where other processes find its work: give --database-url or"
            " PUSHMETRICS_SERVICE_DATABASE_URL. On SQLite, `pushmetrics service` does everything."
        )
