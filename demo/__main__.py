"""``python -m demo``: what ``make demo`` and ``make stop`` run."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from airflow_provider_pushmetrics.redaction import redact
from demo.display import Display
from demo.errors import DemoError, Interrupted, ignore_signals, raise_at_signals
from demo.folder import DemoFolder
from demo.main_job import TRIGGER_DAG, run_main_job, start_everything
from demo.processes import MARKER_VARIABLE, DemoProcesses, adopt_orphans, reap_children
from demo.settings import AIRFLOW_USER, choose_ports
from demo.system import DemoSystem


def run_demo(folder: DemoFolder, display: Display, *, keep: bool) -> None:
    """Run the main job, and leave the system running or stop it; it is stopped if a step fails."""
    adopt_orphans()
    try:
        with open_system(folder, display) as system:
            start_everything(system, display)
            run_main_job(system, display)
            if keep:
                folder.write_access(system.list_access())
                show_access(system, display)
    finally:
        if not folder.read_access():
            reap_children()


@contextmanager
def open_system(folder: DemoFolder, display: Display) -> Iterator[DemoSystem]:
    """Prepare a system, and stop everything that it started when the block ends, unless it is to be kept."""
    with folder.lock():
        left = DemoProcesses(folder.root)
        if left.find_members() and (access := folder.read_access()):
            raise DemoError(
                f"a demo is running already: Airflow at {access['airflow_url']}; its user and password"
                f" are in {str(folder.state_file)!r}. Stop it with `make stop`."
            )
        left.stop()
        ports = choose_ports(os.environ)
        folder.clear()
        system = DemoSystem(folder, *ports)
        try:
            yield system
        except DemoError as error:
            message, log = (
                redact(one, *system.credentials.list_secrets()) for one in (str(error), error.log)
            )
            raise DemoError(message, log=log) from None
        finally:
            if not folder.read_access():
                ignore_signals()
                with display.step("Stop everything"):
                    system.stop()


def show_access(system: DemoSystem, display: Display) -> None:
    """Tell a person how to continue with a system that is left running."""
    display.print_line(
        f"Airflow is left running: {system.airflow_url}\n"
        f"  user {AIRFLOW_USER}, password {system.credentials.airflow_password}\n"
        f"  Again with other parameters: {system.airflow_url}/dags/{TRIGGER_DAG}, 'Trigger', change"
        " origin and month.\n"
        f"The PushMetrics service is left running too: {system.service_url}\n"
        f"  sign in there with the api_token that {system.folder.state_file} holds\n"
        f"Logs and results: {system.folder.root}\n"
        "Stop it all: make stop"
    )


def stop_demo(folder: DemoFolder, display: Display) -> None:
    """Stop the demo of this folder, whether it is running, was left running or was killed."""
    processes = DemoProcesses(folder.root)
    if not processes.find_members():
        display.print_line("No demo is running.")
        return
    with display.step("Stop the demo"):
        processes.stop()
        folder.state_file.unlink(missing_ok=True)


def main() -> int:
    """Run the command; 0 when all went well, 1 after a failed step, 128 plus its number after a signal."""
    parser = argparse.ArgumentParser(prog="python -m demo", description="Run the main job in a real Airflow.")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--keep", action="store_true", help="leave everything running at the end")
    what.add_argument("--stop", action="store_true", help="stop what runs")
    options = parser.parse_args()
    folder, display = DemoFolder(Path(".demo").resolve()), Display()
    if not options.stop and os.environ.get(MARKER_VARIABLE) != str(folder.root):
        # Once more, as one of the demo's own processes, which --stop finds by this variable.
        os.execve(  # noqa: S606 - it is this program
            sys.executable, sys.orig_argv, {**os.environ, MARKER_VARIABLE: str(folder.root)}
        )
    try:
        raise_at_signals()
        if options.stop:
            stop_demo(folder, display)
        else:
            run_demo(folder, display, keep=options.keep)
    except DemoError as error:
        display.show_failure(str(error), error.log)
        display.print_line(f"All logs: {folder.logs} and {folder.airflow_home / 'logs'}")
        return 1
    except Interrupted as interruption:
        (number,) = interruption.args
        display.print_line(f"Ended early, by {number.name}.")
        return 128 + int(number)
    return 0


if __name__ == "__main__":
    sys.exit(main())
