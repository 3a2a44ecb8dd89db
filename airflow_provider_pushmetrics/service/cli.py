"""The commands ``pushmetrics service`` and ``pushmetrics worker``; they import the service when they run."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import typer

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError, PushMetricsUnavailableError
from airflow_provider_pushmetrics.service.settings import ServiceSettings, complete_settings
from airflow_provider_pushmetrics.serving.options import list_options, take_options
from airflow_provider_pushmetrics.serving.private_files import set_private_umask

STORE = {"data_dir", "database_url", "listen_database_url", "results_url", "secret_keys"}
"""The options that name a service's database, files and keys."""

ABOUT_RUNNING = {one.name for one in list_options(ServiceSettings)} - STORE
ONLY_SERVICE = (
    "port", "demo", "executes", "trigger_returns_run_id", "exchange_rate", "max_pending_runs",
    "connections_per_address",
)  # fmt: skip


app = typer.Typer(
    name="service",
    help="Run the PushMetrics reference service, or look after it.",
    rich_markup_mode=None,
    pretty_exceptions_show_locals=False,
)


@app.callback(invoke_without_command=True)
@take_options(ServiceSettings, without=("health_port",))
def service(settings: ServiceSettings) -> None:
    """
    Run the PushMetrics reference service.

    Set secrets in the environment or in files, since a list of processes shows options.
    """

    def serve(completed: ServiceSettings) -> None:
        from airflow_provider_pushmetrics.service.processes.server import serve

        serve(completed)

    _run("service", settings, serve)


@app.command("rotate-key")
@take_options(ServiceSettings, without=ABOUT_RUNNING | {"results_url"})
def rotate_key(settings: ServiceSettings) -> None:
    """
    Encrypt all stored secrets with the newest secret key, while the service runs.

    It can be interrupted and repeated. It says when the older keys can be removed.
    """

    def rotate(completed: ServiceSettings) -> None:
        from airflow_provider_pushmetrics.service.maintenance.access import open_store
        from airflow_provider_pushmetrics.service.maintenance.secret_keys import (
            describe_rotation,
            rotate_secrets,
        )
        from airflow_provider_pushmetrics.service.storage.encryption import Cipher, read_secret_keys

        with open_store(completed) as database:
            cipher = Cipher(*(completed.secret_keys or read_secret_keys(completed.data_dir)))
            typer.echo(describe_rotation(rotate_secrets(database, cipher)))

    _run("service rotate-key", settings, rotate)


@app.command()
@take_options(
    ServiceSettings,
    without=ABOUT_RUNNING - {"result_retention_days"},
    argument="The file to write; it must not exist yet.",
)
def backup(settings: ServiceSettings, archive: str) -> None:
    """
    Write database and results to one file, while the service runs.

    Secrets stay encrypted, and the secret keys are not in the file: keep them elsewhere. Missing results are
    an error, unless the service has --result-retention-days.
    """

    def write(completed: ServiceSettings) -> None:
        from airflow_provider_pushmetrics.service.maintenance.backup import back_up

        done = back_up(completed, Path(archive))
        typer.echo(
            f"Wrote {archive}: the database and {done.results} results. {done.missing} more had been deleted."
            " The secret keys are not in it: without them, its secrets cannot be decrypted."
        )

    _run("service backup", settings, write)


@app.command()
@take_options(ServiceSettings, without=ABOUT_RUNNING, argument="The file that backup wrote.")
def restore(settings: ServiceSettings, archive: str) -> None:
    """Restore a backup to an empty data folder, and an empty database on PostgreSQL."""

    def load(completed: ServiceSettings) -> None:
        from airflow_provider_pushmetrics.service.maintenance.restore import restore

        count = restore(completed, Path(archive))
        typer.echo(
            f"Restored the database and {count} results. Set the secret keys that the service had, then start"
            " it: it sends again what was not sent when the backup was made."
        )

    _run("service restore", settings, load)


@take_options(ServiceSettings, without=ONLY_SERVICE)
def worker(settings: ServiceSettings) -> None:
    """
    Execute runs and deliveries for services on the same PostgreSQL; start as many as you like.

    The data folder must be the same for all of them, since results and the secret key are in it, unless
    --results-url and secret keys are set.
    """

    def work(completed: ServiceSettings) -> None:
        from airflow_provider_pushmetrics.service.processes.worker import work

        work(completed)

    _run("worker", settings, work)


def _run(command: str, settings: ServiceSettings, run: Callable[[ServiceSettings], None]) -> None:
    set_private_umask()
    try:
        run(complete_settings(settings, os.environ))
    except (PushMetricsConfigurationError, PushMetricsUnavailableError) as error:
        typer.echo(f"pushmetrics {command}: {error}", err=True)
        raise typer.Exit(1) from None
