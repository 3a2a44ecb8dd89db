"""The command ``pushmetrics``: Dags of reports, the state of an installation, the receiver, the service."""

from __future__ import annotations

import sys
from importlib import metadata
from typing import TYPE_CHECKING

from airflow_provider_pushmetrics import __version__
from airflow_provider_pushmetrics.serving.service_links import ignore_service_links

if TYPE_CHECKING:
    import typer

EXTRAS = {"receiver": "receiver", "service": "service", "worker": "service"}
"""The extra that a command needs."""


def main() -> None:
    """Run the command line; say which extra is missing, if one is."""
    ignore_service_links()
    try:
        build_app()()
    except ImportError as error:  # also a name that an old SQLAlchemy lacks
        extra = EXTRAS.get(_find_command(sys.argv[1:]))
        if extra is None or (error.name or "").startswith("airflow_provider_pushmetrics"):
            raise
        versions = find_version("apache-airflow"), find_version("sqlalchemy")
        print(describe_missing_extra(error, extra, *versions), file=sys.stderr)  # noqa: T201
        sys.exit(1)


def describe_missing_extra(
    error: ImportError, extra: str, airflow_version: str | None, sqlalchemy_version: str | None
) -> str:
    """
    Describe which extra is missing and how to install it.

    :param airflow_version: The installed version of Airflow; None without Airflow.
    :param sqlalchemy_version: The installed version of SQLAlchemy; None without it.
    """
    return (
        f"pushmetrics: this command needs the extra {extra!r}; {error.name or 'a module'!r} is missing or too"
        f" old. {advise_install(extra, airflow_version, sqlalchemy_version)}"
    )


def advise_install(extra: str, airflow_version: str | None, sqlalchemy_version: str | None) -> str:
    """
    Describe how to install an extra that needs SQLAlchemy 2, so that pip replaces nothing of Airflow.

    An Airflow 3.1 may have SQLAlchemy 1.4, because its FAB provider needs that.

    :param airflow_version: The installed version of Airflow; None without Airflow.
    :param sqlalchemy_version: The installed version of SQLAlchemy; None without it.
    """
    wanted = f"'airflow-provider-pushmetrics[{extra}]'"
    if airflow_version is None:
        return f"Install it: pip install {wanted}."
    if _is_before(airflow_version, (3, 1)):
        return (
            f"It needs SQLAlchemy 2, which Airflow {airflow_version} cannot have: here pip would replace"
            f" Airflow. Install it in a separate virtual environment: pip install {wanted}."
        )
    if sqlalchemy_version is not None and _is_before(sqlalchemy_version, (2, 0)):
        return (
            f"It needs SQLAlchemy 2, and this Airflow has {sqlalchemy_version}, which pip would replace here:"
            " an Airflow with the FAB provider would then no longer start. Install it in a separate virtual"
            f" environment: pip install {wanted}."
        )
    return f"Install it, and keep Airflow: pip install 'apache-airflow=={airflow_version}' {wanted}."


def build_app() -> typer.Typer:
    """Build the typer application; nothing that a command needs is imported before it runs."""
    import typer

    from airflow_provider_pushmetrics.commands.dag_files.cli import app as dag_app
    from airflow_provider_pushmetrics.commands.doctor.cli import doctor
    from airflow_provider_pushmetrics.receiver.cli import app as receiver_app
    from airflow_provider_pushmetrics.service.cli import app as service_app
    from airflow_provider_pushmetrics.service.cli import worker

    app = typer.Typer(
        rich_markup_mode=None,  # whose tables cut the names of environment variables short
        name="pushmetrics",
        help="Write and check Dags of reports, receive webhooks, or run the reference service.",
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

    app.add_typer(dag_app, name="dag")
    app.add_typer(receiver_app, name="receiver")
    app.command("doctor")(doctor)
    app.add_typer(service_app, name="service")
    app.command("worker")(worker)
    return app


def _find_command(arguments: list[str]) -> str:
    return next((word for word in arguments if not word.startswith("-")), "")


def find_version(distribution: str) -> str | None:
    """Find the installed version of a distribution; None if it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _is_before(version: str, limit: tuple[int, int]) -> bool:
    return tuple(int(part) for part in version.split(".")[:2]) < limit
