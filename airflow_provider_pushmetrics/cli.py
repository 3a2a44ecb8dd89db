"""The command ``pushmetrics``: the reference service and the receiver."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from airflow_provider_pushmetrics import __version__
from airflow_provider_pushmetrics.serving.options import ignore_service_links

if TYPE_CHECKING:
    import typer


def main() -> None:
    """Run the command line; say which extra is missing, if one is."""
    try:
        app = build_app()
    except ModuleNotFoundError as error:
        print(  # noqa: T201 - there is no logger before there is a command line
            f"pushmetrics: the module {error.name!r} is missing. Install the part that you want to run:"
            " pip install 'airflow-provider-pushmetrics[receiver]' or '…[service]'.",
            file=sys.stderr,
        )
        sys.exit(1)
    ignore_service_links()
    app()


def build_app() -> typer.Typer:
    """Build the typer application; typer comes with an extra, so it is imported only here."""
    import typer

    from airflow_provider_pushmetrics.receiver.cli import app as receiver_app
    from airflow_provider_pushmetrics.service.cli import service, worker

    app = typer.Typer(
        rich_markup_mode=None,  # whose tables cut the names of environment variables short
        name="pushmetrics",
        help="Receive the webhooks of PushMetrics, or run the reference service.",
        no_args_is_help=True,
        invoke_without_command=True,
        pretty_exceptions_show_locals=False,  # locals hold tokens
    )

    @app.callback()
    def show_version(
        version: bool = typer.Option(False, "--version", is_eager=True, help="Show the version."),
    ) -> None:
        if version:
            typer.echo(f"airflow-provider-pushmetrics {__version__}")
            raise typer.Exit

    app.add_typer(receiver_app, name="receiver")
    app.command("service")(service)
    app.command("worker")(worker)
    return app
