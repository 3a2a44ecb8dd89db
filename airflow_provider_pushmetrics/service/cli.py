"""The command ``pushmetrics service``. It imports the service only when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

PREFIX = "PUSHMETRICS_SERVICE_"


def service(
    host: Annotated[str, typer.Option(envvar=PREFIX + "HOST", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(envvar=PREFIX + "PORT", min=1, max=65535, help="Port to listen on.")
    ] = 8090,
    data: Annotated[
        Path,
        typer.Option(envvar=PREFIX + "DATA", help="Folder for databases, results and keys.", file_okay=False),
    ] = Path("pushmetrics-data"),
    database_url: Annotated[
        str | None,
        typer.Option(
            envvar=PREFIX + "DATABASE_URL",
            help="PostgreSQL, as postgresql+psycopg://user:password@host/database; SQLite in the data folder"
            " otherwise.",
            show_default=False,
        ),
    ] = None,
    public_url: Annotated[
        str | None,
        typer.Option(
            envvar=PREFIX + "PUBLIC_URL",
            help="What links in events begin with; http://host:port otherwise.",
            show_default=False,
        ),
    ] = None,
    demo: Annotated[
        bool,
        typer.Option("--demo/--no-demo", envvar=PREFIX + "DEMO", help="Load the flights and their report."),
    ] = False,
    allow_private_endpoints: Annotated[
        bool,
        typer.Option(
            envvar=PREFIX + "ALLOW_PRIVATE_ENDPOINTS",
            help="Send events into private networks and to this machine too; --demo allows this machine.",
        ),
    ] = False,
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
    import os

    from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
    from airflow_provider_pushmetrics.service.server import serve
    from airflow_provider_pushmetrics.service.settings import ServiceSettings, check_database_url

    try:
        serve(
            ServiceSettings(
                data_dir=data,
                host=host,
                port=port,
                database_url=check_database_url(database_url),
                public_url=public_url,
                bootstrap_token=os.environ.get(PREFIX + "BOOTSTRAP_TOKEN") or None,
                secret_key=os.environ.get(PREFIX + "SECRET_KEY") or None,
                demo=demo,
                allow_private_endpoints=allow_private_endpoints,
                trigger_returns_run_id=trigger_returns_run_id,
            )
        )
    except PushMetricsConfigurationError as error:
        typer.echo(f"pushmetrics service: {error}", err=True)
        raise typer.Exit(1) from None
