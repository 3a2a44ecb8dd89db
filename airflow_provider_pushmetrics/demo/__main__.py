"""``python -m airflow_provider_pushmetrics.demo``: what ``make demo`` and ``make stop`` run."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from airflow_provider_pushmetrics.demo.credentials import AIRFLOW_USER
from airflow_provider_pushmetrics.demo.display import Display
from airflow_provider_pushmetrics.demo.folder import DemoFolder
from airflow_provider_pushmetrics.demo.lifecycle import keep_running, open_system, stop_demo
from airflow_provider_pushmetrics.demo.main_job import run_main_job, show_outcome, start_everything
from airflow_provider_pushmetrics.demo.processes.ports import AIRFLOW_PORT, SERVICE_PORT
from airflow_provider_pushmetrics.demo.processes.signals import Interrupted, interruptible
from airflow_provider_pushmetrics.demo.processes.subreaper import adopt_orphans
from airflow_provider_pushmetrics.demo.system import TRIGGER_DAG, DemoSystem
from airflow_provider_pushmetrics.exceptions import DemoError


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_pushmetrics.demo",
        description="Run the main job in a real Airflow: trigger a report, wait for it, fetch its result, and"
        " start a second Dag by the report's webhook. Everything is kept in the folder .demo.",
        epilog=f"Environment: {SERVICE_PORT.variable} (default {SERVICE_PORT.default}),"
        f" {AIRFLOW_PORT.variable} (default {AIRFLOW_PORT.default}).",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--keep", action="store_true", help="leave everything running at the end")
    what.add_argument("--stop", action="store_true", help="stop what runs")
    return parser.parse_args(arguments)


def run_demo(folder: DemoFolder, display: Display, environ: Mapping[str, str], *, keep: bool) -> None:
    """
    Run the main job, and leave the system running or stop it.

    :raises DemoError: if a step could not be done; everything has been stopped then.
    """
    adopt_orphans()
    with open_system(folder, display, environ) as (system, stay):
        start_everything(system, display)
        show_outcome(run_main_job(system, display), display)
        if keep:
            keep_running(system, stay)
            show_access(system, display)


def show_access(system: DemoSystem, display: Display) -> None:
    """Tell a person how to continue with a system that is left running."""
    display.print_line(
        f"Airflow is left running: {system.ports.airflow_url}\n"
        f"  user {AIRFLOW_USER}, password {system.credentials.airflow_password}\n"
        f"  Again with other parameters: {system.ports.airflow_url}/dags/{TRIGGER_DAG}, 'Trigger', change"
        " origin and month.\n"
        f"The PushMetrics service is left running too: {system.ports.service_url}\n"
        f"  sign in there with the api_token that {system.folder.state_file} holds\n"
        f"Logs and results: {system.folder.root}\n"
        "Stop it all: make stop"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run the command.

    :return: The exit code: 0 when all went well, 1 after a failed step, 128 plus its number after a signal.
    """
    options = parse_arguments(sys.argv[1:] if arguments is None else arguments)
    folder, display = DemoFolder(Path(".demo").resolve()), Display()
    try:
        with interruptible():
            if options.stop:
                stop_demo(folder, display)
            else:
                run_demo(folder, display, os.environ, keep=options.keep)
    except DemoError as error:
        display.show_failure(str(error), error.log)
        if folder.logs.is_dir():
            display.print_line(f"All logs: {folder.logs} and {folder.airflow_home / 'logs'}")
        return 1
    except Interrupted as interruption:
        display.print_line(f"Ended early, by {interruption}.")
        return 128 + interruption.signal_number
    return 0


if __name__ == "__main__":
    sys.exit(main())
