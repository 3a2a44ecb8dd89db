"""The commands ``pushmetrics service`` and ``pushmetrics worker``; they import the service when they run."""

from __future__ import annotations

import os
from collections.abc import Callable

import typer

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.service.settings import ServiceSettings, complete_settings
from airflow_provider_pushmetrics.serving.options import take_options

ONLY_SERVICE = ("port", "demo", "executes", "trigger_returns_run_id", "exchange_rate")


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


@take_options(ServiceSettings, without=ONLY_SERVICE)
def worker(settings: ServiceSettings) -> None:
    """
    Execute runs and deliveries for services on the same PostgreSQL; start as many as you like.

    The data folder must be the same for all of them: results and the secret key are in it.
    """

    def work(completed: ServiceSettings) -> None:
        from airflow_provider_pushmetrics.service.processes.worker import work

        work(completed)

    _run("worker", settings, work)


def _run(command: str, settings: ServiceSettings, run: Callable[[ServiceSettings], None]) -> None:
    try:
        run(complete_settings(settings, os.environ))
    except PushMetricsConfigurationError as error:
        typer.echo(f"pushmetrics {command}: {error}", err=True)
        raise typer.Exit(1) from None
