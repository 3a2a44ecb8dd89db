"""The options of the service, each declared once, and the settings derived from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal
from urllib.parse import unquote, urlsplit

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
    wait_option,
)

if TYPE_CHECKING:
    from airflow_provider_pushmetrics.service.egress.rules import EgressRules

MACHINE_SHARE = 0.9
"""The share of the machine's memory that a worker may use at most."""

MAX_STORED_LIMIT = 2**31 - 1
"""The largest limit of a query that the database stores."""

UNREACHABLE_HOSTS = ("0.0.0.0", "::", "")  # noqa: S104 (compared, not bound)
"""Addresses that a server can listen on, but that a URL cannot have."""


@dataclass(frozen=True)
class ServiceSettings:
    """
    The settings of a service process. A worker has all but those of HTTP requests.

    :param endpoint_concurrency: The maximum number of concurrent deliveries to one endpoint. It keeps a slow
        endpoint from blocking the others.
    :param delivery_timeout_seconds: The time limit of one request to a subscriber.
    :param shutdown_seconds: How long running work may continue after a request to stop.
    :param smtp: The mail server. Without one, mails are stored but not sent.
    :param slack: The Slack workspace. Without one, Slack blocks fail.
    """

    PREFIX: ClassVar = "PUSHMETRICS_SERVICE_"

    data_dir: Path = option(
        Path("pushmetrics-data"), "The folder of the database, the results and the keys.", flag="data"
    )
    host: str = option("127.0.0.1", "The address to listen on.")
    port: int = option(8090, "The port to listen on.", ge=1, le=65535)
    health_port: int | None = option(
        None,
        "The port of a worker's /health/live, /health/ready and /metrics, which need no token. It listens on"
        " the address of --host. By default, a worker has no port.",
        ge=1,
        le=65535,
    )
    database_url: str | None = option(
        None,
        "The URL of PostgreSQL: postgresql+psycopg://user:password@host/database. The default is SQLite.",
        secret=True,
    )
    listen_database_url: str | None = listen_url_option()
    results_url: str | None = option(
        None,
        "Where results are kept: s3://bucket/prefix, gs://…, az://… or file:///folder; by default in the data"
        " folder. The extras s3, gcs and azure are for object storage.",
        secret=True,
    )
    source_dirs: tuple[Path, ...] = option(
        (),
        "A folder with SQLite, DuckDB, CSV and Parquet files that may be queried, in addition to sources in"
        " the data folder. Repeat the option for several folders; separate them by : in the environment.",
        flag="source-dir",
        variable="SOURCE_DIRS",
    )
    source_urls: tuple[str, ...] = option(
        (),
        "A folder of object storage with CSV and Parquet files that may be queried: s3://bucket/prefix, gs://…"
        " or az://…. Repeat the option for several folders; separate them by spaces or commas in the"
        " environment.",
        flag="source-url",
        variable="SOURCE_URLS",
    )
    public_url: str | None = option(
        None, "The URL that links in events begin with; by default http://host:port."
    )
    bootstrap_token: str | None = option(
        None,
        "The first API token. A new value replaces it; what was replaced or revoked stays so. If it is"
        " not set and no token exists, one is generated and written to the file bootstrap-token in the data"
        " folder.",
        flag="",
        secret=True,
    )
    secret_keys: tuple[str, ...] = option(
        (),
        "The keys that encrypt stored tokens, secrets and database URLs: the newest key first, then older"
        " ones, separated by spaces or commas. By default, the keys in the file secret-key are used.",
        flag="",
        secret=True,
    )
    demo: bool = option(False, "Load the example data (flights) and its report, once.")
    executes: bool = option(
        True,
        "Execute runs and deliveries in this process too. Otherwise `pushmetrics worker` executes them, which"
        " needs PostgreSQL.",
        flag="worker",
    )
    allow_private_endpoints: bool = option(
        False,
        "Allow endpoints and databases in private networks and on this machine; --demo allows this machine,"
        " except with --no-worker."
        " Link-local, multicast, reserved and metadata addresses are always refused.",
    )
    log_format: Literal["text", "json"] = log_format_option()
    run_concurrency: int = option(4, "The maximum number of concurrent runs of a process.", ge=1)
    # At most a hundred years: Python's calendar begins with the year 1.
    keep_days: int = option(
        90,
        "Delete finished runs, deliveries, events and messages after this many days; 0 keeps them.",
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
        None,
        "Delete results, also the texts and charts that show rows, after this many days; by default, with"
        " their run. Mails and Slack messages have --keep-message-days.",
        ge=1,
        le=36_500,
    )
    max_query_rows: int = option(
        DEFAULT_LIMITS.max_rows,
        "The maximum number of rows of a query; the rest is cut off.",
        ge=1,
        le=MAX_STORED_LIMIT,
    )
    query_timeout_seconds: int = option(
        DEFAULT_LIMITS.timeout_seconds,
        "The maximum duration of a query; a longer one is stopped.",
        ge=1,
        le=MAX_STORED_LIMIT,
    )
    max_query_memory_bytes: int = option(
        DEFAULT_LIMITS.max_memory_bytes,
        "The maximum memory of a query in the worker; one that needs more fails.",
        ge=16 * MIB,
    )
    max_value_bytes: int = option(
        DEFAULT_LIMITS.max_value_bytes,
        "The maximum size of one value; a query that returns a larger one fails.",
        ge=1024,
    )
    worker_memory_bytes: int = option(
        4 * 1024 * MIB,
        "The maximum memory of a worker; at most nine tenths of the memory of the machine or container."
        " When a worker uses three fifths of it, its newest queries are stopped. A worker that exceeds it is"
        " replaced.",
        ge=256 * MIB,
    )
    trigger_returns_run_id: bool = option(
        True, "Return the id of the run in the response to a trigger call, which PushMetrics does not."
    )
    exchange_rate: int = option(
        0,
        "The maximum number of token exchanges of one address in a minute, also failed ones; 0 for no limit.",
        flag="",
        ge=0,
    )
    max_pending_runs: int = option(
        10_000,
        "The maximum number of runs of a workspace that wait for a worker. Further requests get the status"
        " 429; 0 for no limit. Scheduled runs have no limit.",
        ge=0,
    )
    connections_per_address: int = connections_option()
    worker_lease_seconds: float = option(
        20.0,
        "The seconds without a heartbeat after which other workers take over the runs of a worker.",
        ge=1,
    )
    wait_for_database_seconds: float = wait_option("PostgreSQL and for object storage")
    endpoint_concurrency: int = 8
    delivery_timeout_seconds: float = 15.0
    shutdown_seconds: int = 5
    smtp: SmtpSettings | None = None
    slack: SlackSettings | None = None

    @property
    def base_url(self) -> str:
        """The URL that links begin with, without a slash at the end."""
        if self.public_url:
            return self.public_url.rstrip("/")
        host = "127.0.0.1" if self.host in UNREACHABLE_HOSTS else self.host
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def egress_rules(self) -> EgressRules:
        """
        Which hosts the service may connect to. The subscribers of the demo are on this machine.

        Not if workers in other processes send to them: those have no demo, and refuse this machine.
        """
        from airflow_provider_pushmetrics.service.egress.rules import EgressRules

        return EgressRules(
            allow_private=self.allow_private_endpoints, allow_loopback=self.demo and self.executes
        )

    @property
    def query_limits(self) -> QueryLimits:
        """The limits of each query."""
        return QueryLimits(
            self.max_query_rows,
            self.query_timeout_seconds,
            self.max_query_memory_bytes,
            self.max_value_bytes,
        )

    @property
    def usable_memory_bytes(self) -> int:
        """The maximum memory of a worker, within that of this machine or its container."""
        from airflow_provider_pushmetrics.service.datasources.memory_guard import find_machine_memory

        return min(self.worker_memory_bytes, int(find_machine_memory() * MACHINE_SHARE))

    @property
    def store_url(self) -> str:
        """The URL of the database of the service's own tables."""
        return self.database_url or f"sqlite:///{self.database_file}"

    @property
    def database_file(self) -> Path:
        """The file of the service's own tables on SQLite."""
        return self.data_dir / "service.db"

    @property
    def results_dir(self) -> Path:
        """Where results are kept, as Parquet, or written before they go to object storage."""
        folder = None if self.results_url is None else find_folder(self.results_url)
        return folder or self.data_dir / "results"

    @property
    def object_url(self) -> str | None:
        """The object storage of results; None if they are in a folder."""
        return None if self.results_url is None or find_folder(self.results_url) else self.results_url


def complete_settings(settings: ServiceSettings, environ: Mapping[str, str]) -> ServiceSettings:
    """
    Add the settings of mail and Slack, and check the URLs of databases.

    :raises PushMetricsConfigurationError: if they are incomplete or contradict each other.
    """
    return replace(
        settings,
        database_url=check_database_url(settings.database_url),
        listen_database_url=check_database_url(settings.listen_database_url),
        results_url=check_results_url(settings.results_url),
        source_urls=check_source_urls(settings.source_urls, settings.object_url),
        smtp=read_smtp_settings(environ),
        slack=read_slack_settings(environ),
    )


def check_database_url(url: str | None) -> str | None:
    """
    Check the URL of the database, and return it with the name of its driver.

    :raises PushMetricsConfigurationError: unless it is one of PostgreSQL. The message never contains the URL.
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


def find_folder(url: str) -> Path | None:
    """Find the folder of a URL with the scheme file; None if it has another one."""
    parts = urlsplit(url)
    is_here = parts.scheme == "file" and parts.netloc in ("", "localhost")
    return Path(unquote(parts.path)) if is_here and parts.path.strip("/") else None


def check_results_url(url: str | None) -> str | None:
    """
    Accept the place of the results.

    :raises PushMetricsConfigurationError: unless it is one. The message never holds the URL.
    """
    if not url:
        return None
    from airflow_provider_pushmetrics.service.storage.object_store import check_object_url

    try:
        if find_folder(url) is None:
            check_object_url(url)
    except (PushMetricsConfigurationError, ValueError) as error:
        raise PushMetricsConfigurationError(
            f"--results-url or PUSHMETRICS_SERVICE_RESULTS_URL cannot be used: {error}"
            " A folder is written file:///folder."
        ) from None
    return url


def check_source_urls(urls: Iterable[str], results_url: str | None) -> tuple[str, ...]:
    """
    Accept the folders of object storage that may be queried.

    :param results_url: The object storage of results: those of all workspaces are in it.
    :return: The URLs without a slash at their end.
    :raises PushMetricsConfigurationError: if one cannot be used. The message never holds the URL.
    """
    from airflow_provider_pushmetrics.service.storage.object_store import check_object_url

    def complete(url: str) -> str:
        return "{}://{}/".format(*check_object_url(url))

    try:
        accepted = [complete(url) for url in urls]
    except PushMetricsConfigurationError as error:
        raise PushMetricsConfigurationError(
            f"--source-url or PUSHMETRICS_SERVICE_SOURCE_URLS cannot be used: {error}"
        ) from None
    own = complete(results_url) if results_url else None
    if own and any(own.startswith(url) or url.startswith(own) for url in accepted):
        raise PushMetricsConfigurationError(
            "--source-url and --results-url have a folder in common, so that everybody could query the"
            " results of every workspace: use different ones."
        )
    return tuple(url.rstrip("/") for url in accepted)


def require_postgres(settings: ServiceSettings, what: str) -> None:
    """
    Refuse a feature that needs PostgreSQL, because several processes share its work.

    :raises PushMetricsConfigurationError: if the database is SQLite.
    """
    if settings.database_url is None:
        raise PushMetricsConfigurationError(
            f"{what} needs PostgreSQL, where other processes find its work: set --database-url or"
            " PUSHMETRICS_SERVICE_DATABASE_URL. On SQLite, `pushmetrics service` executes all work."
        )
