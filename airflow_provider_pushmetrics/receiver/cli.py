"""
``pushmetrics receiver``: the receiver by itself.

Light at import: every ``pushmetrics`` command imports this, whatever it does.
"""

from __future__ import annotations

from typing import Annotated

import typer

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.receiver.settings import (
    DEFAULT_HOST,
    DEFAULT_INBOX,
    DEFAULT_PORT,
    DEFAULT_SOURCE,
    HELP,
    build_settings,
    get_environment_name,
)

app = typer.Typer(
    name="receiver",
    help="Take PushMetrics webhooks, keep them, and feed them to whoever waits.",
    rich_markup_mode=None,
    pretty_exceptions_show_locals=False,
)


@app.callback(invoke_without_command=True)
def receiver(
    context: typer.Context,
    host: Annotated[str, typer.Option(envvar=get_environment_name("host"), help=HELP["host"])] = DEFAULT_HOST,
    port: Annotated[
        int, typer.Option(envvar=get_environment_name("port"), help=HELP["port"], min=0, max=65535)
    ] = DEFAULT_PORT,
    inbox: Annotated[
        str, typer.Option(envvar=get_environment_name("inbox"), help=HELP["inbox"])
    ] = DEFAULT_INBOX,
    source: Annotated[
        str, typer.Option(envvar=get_environment_name("source"), help=HELP["source"])
    ] = DEFAULT_SOURCE,
    token: Annotated[
        str | None, typer.Option(envvar=get_environment_name("token"), help=HELP["token"])
    ] = None,
    signing_secret: Annotated[
        list[str] | None,
        typer.Option(envvar=get_environment_name("signing_secret"), help=HELP["signing_secret"]),
    ] = None,
    reader_token: Annotated[
        str | None, typer.Option(envvar=get_environment_name("reader_token"), help=HELP["reader_token"])
    ] = None,
    access_log: Annotated[
        bool, typer.Option(envvar=get_environment_name("access_log"), help=HELP["access_log"])
    ] = True,
) -> None:
    """Take PushMetrics webhooks, keep them, and feed them to whoever waits, until stopped."""
    if context.invoked_subcommand is not None:
        return
    try:
        settings = build_settings(
            inbox=inbox,
            source=source,
            token=token,
            signing_secrets=signing_secret or (),
            reader_token=reader_token,
        )
        from airflow_provider_pushmetrics.receiver.server import serve

        serve(settings, host=host, port=port, has_access_log=access_log)
    except PushMetricsConfigurationError as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from None
