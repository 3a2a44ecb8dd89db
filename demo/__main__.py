"""``python -m demo``: what ``make demo`` and ``make stop`` run."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from demo.display import Display
from demo.errors import DemoError, Interrupted, ignore_signals, interruptible
from demo.main_job import run_main_job, start_everything
from demo.processes import DemoProcesses, adopt_orphans, reap_children
from demo.settings import AIRFLOW_USER, DEFAULT_PORTS, choose_ports
from demo.state import DemoFolder
from demo.system import TRIGGER_DAG, DemoSystem


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m demo",
        description="Run the main job in a real Airflow: trigger a report, wait for it, fetch its result, and"
        " start a second Dag by the report's webhook. Everything is kept in the folder .demo.",
        epilog="Environment: "
        + ", ".join(f"{name} (default {port})" for name, port in DEFAULT_PORTS.items()),
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
    try:
        with open_system(folder, display, environ) as system:
            start_everything(system, display)
            run_main_job(system, display)
            if keep:
                system.keep()
                show_access(system, display)
    finally:
        reap_children()


@contextmanager
def open_system(folder: DemoFolder, display: Display, environ: Mapping[str, str]) -> Iterator[DemoSystem]:
    """
    Prepare a system, and stop everything that it started when the block ends, unless it is to be kept.

    :raises DemoError: if a demo runs in this folder already, or a port is in use.
    """
    with folder.lock():
        _stop_leftovers(folder, display)
        ports = choose_ports(environ)
        folder.clear()
        system = DemoSystem(folder, *ports, environ=environ)
        try:
            yield system
        except DemoError as error:
            raise DemoError(system.redact(str(error)), log=system.redact(error.log)) from None
        finally:
            if not folder.find_access():
                ignore_signals()
                with display.step("Stop everything") as step:
                    step.note = _describe_killed(system.stop())


def _stop_leftovers(folder: DemoFolder, display: Display) -> None:
    processes = DemoProcesses(folder.root)
    if processes.find_members():
        if access := folder.find_access():
            raise DemoError(
                f"a demo is running already: Airflow at {access['airflow_url']}; its user and password"
                f" are in {str(folder.state_file)!r}. Stop it with `make stop`."
            )
        with display.step("Stop what an earlier demo left running"):
            processes.stop()
    folder.write_access({})


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
    if not folder.root.exists():
        display.print_line("No demo is running.")
        return
    with folder.lock(stop_leader=True) as had_leader:
        processes = DemoProcesses(folder.root)
        if had_leader or processes.find_members():
            with display.step("Stop the demo") as step:
                step.note = _describe_killed(processes.stop())
        else:
            display.print_line("No demo is running.")
        folder.write_access({})


def _describe_killed(killed: list[str]) -> str:
    return f"killed, since they did not end by themselves: {', '.join(killed)}" if killed else ""


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
