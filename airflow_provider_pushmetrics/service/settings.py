"""The options of the service, each declared once, and what follows from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.service.datasources.limits import DEFAULT_LIMITS, MIB, QueryLimits
from airflow_provider_pushmetrics.service.notifications.settings import (
    SlackSettings,
    SmtpSettings,
    read_slack_settings,
    read_smtp_settings,
)
from airflow_provider_pushmetrics.serving.options import (
    connections_option,
    listen_url_option,
    log_format_option,
    option,
)
from airflow_provider_pushmetrics.serving.private_files import make_private_folder

if TYPE_CHECKING:
    from airflow_provider_pushmetrics.service.egress.rules import EgressRules

MACHINE_SHARE = 0.9
"""A worker leaves the system the rest."""

UNREACHABLE_HOSTS = ("0.0.0.0", "::", "")
"""Addresses to listen on that cannot be called."""


@dataclass(frozen=True)
class ServiceSettings:
    """
    The settings of one service process; a worker has those that are not about answering.

    :param endpoint_concurrency: How many deliveries may go to one endpoint, so that a slow one leaves room.
    :param delivery_timeout_seconds: How long a subscriber may take to answer.
    :param shutdown_seconds: How long running work may go on after a request to stop.
    :param smtp: The server that takes mail; without one, mail is kept.
    :param slack: The Slack workspace that takes messages.
    """

    PREFIX: ClassVar = "PUSHMETRICS_SERVICE_"

    data_dir: Path = option(Path("pushmetrics-data"), "Databases, results and keys.", flag="data")
    host: str = option("127.0.0.1", "The address to listen on.")
    port: int = option(8090, "The port to listen on.", ge=1, le=65535)
    health_port: int | None = option(
        None,
        "The port of a worker's /health/live, /health/ready and /metrics, which ask for no token; by default"
        " none. Its address is that of --host.",
        ge=1,
        le=65535,
    )
    database_url: str | None = option(
        None,
        "PostgreSQL, as postgresql+psycopg://user:password@host/database; by default SQLite.",
        secret=True,
    )
    listen_database_url: str | None = listen_url_option()
    source_dirs: tuple[Path, ...] = option(
        (),
        "A folder whose SQLite, DuckDB, CSV and Parquet files may be queried, besides sources in the data"
        " folder; repeated for more, and separated by : in the environment.",
        flag="source-dir",
        variable="SOURCE_DIRS",
    )
    public_url: str | None = option(None, "What links in events begin with; by default http://host:port.")
    bootstrap_token: str | None = option(
        None,
        "The first API token. Another one replaces it. Without any token, one is made and written to the file"
        " bootstrap-token in the data folder.",
        flag="",
        secret=True,
    )
    secret_keys: tuple[str, ...] = option(
        (),
        "Encrypt stored tokens, secrets and database URLs: the newest key first, then older ones, separated"
        " by spaces or commas. By default those in the file secret-key do.",
        flag="",
        secret=True,
    )
    demo: bool = option(False, "Load the flights and their report, once.")
    executes: bool = option(
        True,
        "Execute runs and deliveries here too; otherwise `pushmetrics worker` does, on PostgreSQL.",
        flag="worker",
    )
    allow_private_endpoints: bool = option(
        False,
        "Send events to, and query databases in, private networks and this machine too; --demo allows this"
        " machine. Link-local, multicast, reserved and metadata addresses are always refused.",
    )
    log_format: Literal["text", "json"] = log_format_option()
    run_concurrency: int = option(4, "How many runs a process executes at a time.", ge=1)
    # At most a hundred years: Python's calendar begins with the year 1.
    keep_days: int = option(
        90,
        "Delete ended runs, deliveries, events and messages after so many days; 0 keeps them.",
        ge=0,
        le=36_500,
    )
    keep_delivery_days: int | None = option(
        None, "The same for deliveries and events; by default --keep-days.", ge=0, le=36_500
    )
    keep_message_days: int | None = option(
        None, "The same for mails and Slack messages; by default --keep-days.", ge=0, le=36_500
    )
    result_retention_days: int | None = option(
        None, "Delete results after so many days; by default with their run.", ge=1, le=36_500
    )
    max_query_rows: int = option(DEFAULT_LIMITS.max_rows, "More rows of a query are cut off.", ge=1)
    query_timeout_seconds: int = option(
        DEFAULT_LIMITS.timeout_seconds, "A query that takes longer is stopped.", ge=1
    )
    max_query_memory_bytes: int = option(
        DEFAULT_LIMITS.max_memory_bytes, "A query that needs more memory in the worker fails.", ge=16 * MIB
    )
    max_value_bytes: int = option(
        DEFAULT_LIMITS.max_value_bytes, "A query that returns a larger single value fails.", ge=1024
    )
    worker_memory_bytes: int = option(
        4 * 1024 * MIB,
        "The memory of a worker, and at most nine tenths of that of the machine or container. At three fifths"
        " of it, the newest queries are stopped; a worker that uses more than all is replaced.",
        ge=256 * MIB,
    )
    trigger_returns_run_id: bool = option(True, "Name the run in a trigger's answer; PushMetrics does not.")
    exchange_rate: int = option(
        0, "How often a minute one address may exchange or try a token; 0 for no limit.", flag="", ge=0
    )
    max_pending_runs: int = option(
        10_000,
        "How many runs of a workspace may wait for a worker; a request for more is 429, 0 for no limit."
        " Schedules start theirs nevertheless.",
        ge=0,
    )
    connections_per_address: int = connections_option()
    worker_lease_seconds: float = option(
        20.0, "After how long without a sign of life others take over a worker's runs.", ge=1
    )
    wait_for_database_seconds: float = option(
        60.0,
        "How long to wait for PostgreSQL at the start.",
        flag="wait-for-database",
        variable="WAIT_FOR_DATABASE",
        ge=0,
    )
    endpoint_concurrency: int = 8
    delivery_timeout_seconds: float = 15.0
    shutdown_seconds: int = 5
    smtp: SmtpSettings | None = None
    slack: SlackSettings | None = None

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
        from airflow_provider_pushmetrics.service.egress.rules import EgressRules

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
        from airflow_provider_pushmetrics.service.datasources.memory_guard import find_machine_memory

        return min(self.worker_memory_bytes, int(find_machine_memory() * MACHINE_SHARE))

    @property
    def store_url(self) -> str:
        """The database of the service's own tables."""
        return self.database_url or f"sqlite:///{self.database_file}"

    @property
    def database_file(self) -> Path:
        """The file of the service's own tables on SQLite."""
        return self.data_dir / "service.db"

    @property
    def results_dir(self) -> Path:
        """Where results are kept, as Parquet."""
        return self.data_dir / "results"


def complete_settings(settings: ServiceSettings, environ: Mapping[str, str]) -> ServiceSettings:
    """
    Complete the settings by those of mail and Slack.

    :raises PushMetricsConfigurationError: if they are incomplete or contradict each other.
    """
    return replace(
        settings,
        database_url=check_database_url(settings.database_url),
        listen_database_url=check_database_url(settings.listen_database_url),
        smtp=read_smtp_settings(environ),
        slack=read_slack_settings(environ),
    )


def check_database_url(url: str | None) -> str | None:
    """
    Accept the database that was asked for, and name its driver.

    :raises PushMetricsConfigurationError: unless it is PostgreSQL. The message never holds the URL.
    """
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

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


def make_data_dir(data_dir: Path) -> None:
    """
    Make the data folder, unless it is there.

    :raises PushMetricsConfigurationError: if it cannot be made.
    """
    try:
        make_private_folder(data_dir)
    except OSError as error:
        raise PushMetricsConfigurationError(
            f"the data folder {str(data_dir)!r} cannot be used ({error.strerror}): choose another with --data"
            " or PUSHMETRICS_SERVICE_DATA."
        ) from None


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
