"""The commands ``pushmetrics service`` and ``pushmetrics worker``; they import the service when they run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from airflow_provider_pushmetrics.service.datasources.limits import DEFAULT_LIMITS, MIB

if TYPE_CHECKING:
    from airflow_provider_pushmetrics.service.settings import ServiceSettings

PREFIX = "PUSHMETRICS_SERVICE_"

Data = Annotated[
    Path,
    typer.Option(envvar=PREFIX + "DATA", help="Folder for databases, results and keys.", file_okay=False),
]
DatabaseUrl = Annotated[
    str | None,
    typer.Option(
        envvar=PREFIX + "DATABASE_URL",
        help="PostgreSQL, as postgresql+psycopg://user:password@host/database; SQLite in the data folder"
        " otherwise.",
        show_default=False,
    ),
]
SourceDirs = Annotated[
    list[Path] | None,
    typer.Option(
        "--source-dir",
        envvar=PREFIX + "SOURCE_DIRS",
        help="A folder whose SQLite, DuckDB, CSV and Parquet files may be asked, besides sources in the data"
        " folder; repeat it for more.",
        file_okay=False,
        show_default=False,
    ),
]
PublicUrl = Annotated[
    str | None,
    typer.Option(
        envvar=PREFIX + "PUBLIC_URL",
        help="What links in events begin with; http://host:port otherwise.",
        show_default=False,
    ),
]
AllowPrivateEndpoints = Annotated[
    bool,
    typer.Option(
        envvar=PREFIX + "ALLOW_PRIVATE_ENDPOINTS",
        help="Send events into private networks and to this machine too; --demo allows this machine.",
    ),
]
RunConcurrency = Annotated[
    int, typer.Option(envvar=PREFIX + "RUN_CONCURRENCY", min=1, help="Runs at a time in this process.")
]
LeaseSeconds = Annotated[
    float,
    typer.Option(
        envvar=PREFIX + "WORKER_LEASE_SECONDS",
        min=1,
        help="After how long without a sign of life others take over a worker's runs.",
    ),
]
RetentionDays = Annotated[
    int | None,
    typer.Option(
        envvar=PREFIX + "RESULT_RETENTION_DAYS",
        min=1,
        help="Delete results after so many days; kept for ever otherwise.",
        show_default=False,
    ),
]

MaxQueryRows = Annotated[
    int, typer.Option(envvar=PREFIX + "MAX_QUERY_ROWS", min=1, help="More rows of a query are cut off.")
]
QueryTimeoutSeconds = Annotated[
    int,
    typer.Option(
        envvar=PREFIX + "QUERY_TIMEOUT_SECONDS", min=1, help="A query that takes longer is stopped."
    ),
]
MaxQueryMemoryBytes = Annotated[
    int,
    typer.Option(
        envvar=PREFIX + "MAX_QUERY_MEMORY_BYTES",
        min=16 * 1024 * 1024,
        help="A query that needs more memory in the worker fails.",
    ),
]
MaxValueBytes = Annotated[
    int,
    typer.Option(
        envvar=PREFIX + "MAX_VALUE_BYTES", min=1024, help="A query that returns a larger single value fails."
    ),
]

WorkerMemoryBytes = Annotated[
    int,
    typer.Option(
        envvar=PREFIX + "WORKER_MEMORY_BYTES",
        min=256 * MIB,
        help="The memory of a worker. At three fifths of it, queries are stopped.",
    ),
]


def service(
    host: Annotated[str, typer.Option(envvar=PREFIX + "HOST", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(envvar=PREFIX + "PORT", min=1, max=65535, help="Port to listen on.")
    ] = 8090,
    data: Data = Path("pushmetrics-data"),
    database_url: DatabaseUrl = None,
    source_dir: SourceDirs = None,
    public_url: PublicUrl = None,
    demo: Annotated[
        bool,
        typer.Option("--demo/--no-demo", envvar=PREFIX + "DEMO", help="Load the flights and their report."),
    ] = False,
    worker: Annotated[
        bool,
        typer.Option(
            "--worker/--no-worker",
            envvar=PREFIX + "WORKER",
            help="Execute runs and deliveries here too, or leave them to `pushmetrics worker`.",
        ),
    ] = True,
    allow_private_endpoints: AllowPrivateEndpoints = False,
    run_concurrency: RunConcurrency = 4,
    worker_lease_seconds: LeaseSeconds = 20.0,
    result_retention_days: RetentionDays = None,
    max_query_rows: MaxQueryRows = DEFAULT_LIMITS.max_rows,
    query_timeout_seconds: QueryTimeoutSeconds = DEFAULT_LIMITS.timeout_seconds,
    max_query_memory_bytes: MaxQueryMemoryBytes = DEFAULT_LIMITS.max_memory_bytes,
    max_value_bytes: MaxValueBytes = DEFAULT_LIMITS.max_value_bytes,
    worker_memory_bytes: WorkerMemoryBytes = 4 * 1024 * MIB,
    trigger_returns_run_id: Annotated[
        bool,
        typer.Option(
            envvar=PREFIX + "TRIGGER_RETURNS_RUN_ID",
            help="Name the run in a trigger's answer; the real product does not.",
        ),
    ] = True,
) -> None:
    """
    Run the PushMetrics reference service.

    Secrets come from the environment only: PUSHMETRICS_SERVICE_BOOTSTRAP_TOKEN is the first API token
    (otherwise one is made and written to the file bootstrap-token in the data folder),
    PUSHMETRICS_SERVICE_SECRET_KEY encrypts stored secrets (otherwise the file secret-key does).
    """
    _run(
        "service",
        data_dir=data,
        source_dirs=tuple(source_dir or ()),
        host=host,
        port=port,
        database_url=database_url,
        public_url=public_url,
        demo=demo,
        executes=worker,
        allow_private_endpoints=allow_private_endpoints,
        run_concurrency=run_concurrency,
        worker_lease_seconds=worker_lease_seconds,
        result_retention_days=result_retention_days,
        max_query_rows=max_query_rows,
        query_timeout_seconds=query_timeout_seconds,
        max_query_memory_bytes=max_query_memory_bytes,
        max_value_bytes=max_value_bytes,
        worker_memory_bytes=worker_memory_bytes,
        trigger_returns_run_id=trigger_returns_run_id,
    )


def worker(
    data: Data = Path("pushmetrics-data"),
    database_url: DatabaseUrl = None,
    source_dir: SourceDirs = None,
    public_url: PublicUrl = None,
    allow_private_endpoints: AllowPrivateEndpoints = False,
    run_concurrency: RunConcurrency = 4,
    worker_lease_seconds: LeaseSeconds = 20.0,
    result_retention_days: RetentionDays = None,
    max_query_rows: MaxQueryRows = DEFAULT_LIMITS.max_rows,
    query_timeout_seconds: QueryTimeoutSeconds = DEFAULT_LIMITS.timeout_seconds,
    max_query_memory_bytes: MaxQueryMemoryBytes = DEFAULT_LIMITS.max_memory_bytes,
    max_value_bytes: MaxValueBytes = DEFAULT_LIMITS.max_value_bytes,
    worker_memory_bytes: WorkerMemoryBytes = 4 * 1024 * MIB,
) -> None:
    """
    Execute runs and deliveries for services on the same PostgreSQL; start as many as you like.

    The data folder must be the same for all of them: results and the secret key are in it.
    """
    _run(
        "worker",
        data_dir=data,
        source_dirs=tuple(source_dir or ()),
        database_url=database_url,
        public_url=public_url,
        allow_private_endpoints=allow_private_endpoints,
        run_concurrency=run_concurrency,
        worker_lease_seconds=worker_lease_seconds,
        result_retention_days=result_retention_days,
        max_query_rows=max_query_rows,
        query_timeout_seconds=query_timeout_seconds,
        max_query_memory_bytes=max_query_memory_bytes,
        max_value_bytes=max_value_bytes,
        worker_memory_bytes=worker_memory_bytes,
    )


def _run(command: str, *, database_url: str | None, **options: Any) -> None:
    from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
    from airflow_provider_pushmetrics.service.settings import check_database_url

    try:
        settings = _build_settings(database_url=check_database_url(database_url), **options)
        if command == "worker":
            from airflow_provider_pushmetrics.service.processes.worker import work

            work(settings)
        else:
            from airflow_provider_pushmetrics.service.processes.server import serve

            serve(settings)
    except PushMetricsConfigurationError as error:
        typer.echo(f"pushmetrics {command}: {error}", err=True)
        raise typer.Exit(1) from None


def _build_settings(**options: Any) -> ServiceSettings:
    import os

    from airflow_provider_pushmetrics.service.notifications.settings import (
        read_slack_settings,
        read_smtp_settings,
    )
    from airflow_provider_pushmetrics.service.settings import ServiceSettings, read_rate

    return ServiceSettings(
        smtp=read_smtp_settings(os.environ),
        slack=read_slack_settings(os.environ),
        trigger_rate=read_rate(os.environ, "TRIGGER_RATE", 0),
        exchange_rate=read_rate(os.environ, "EXCHANGE_RATE", 0),
        bootstrap_token=os.environ.get(PREFIX + "BOOTSTRAP_TOKEN") or None,
        secret_key=os.environ.get(PREFIX + "SECRET_KEY") or None,
        **options,
    )
