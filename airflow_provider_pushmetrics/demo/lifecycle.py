"""Begin and end a demo in its folder, whatever an earlier one left there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

from airflow_provider_pushmetrics.demo.credentials import AIRFLOW_USER
from airflow_provider_pushmetrics.demo.display import Display
from airflow_provider_pushmetrics.demo.folder import DemoFolder, find_dags_folder
from airflow_provider_pushmetrics.demo.processes.children import ProcessFamily
from airflow_provider_pushmetrics.demo.processes.ports import choose_ports
from airflow_provider_pushmetrics.demo.processes.signals import ignore_signals
from airflow_provider_pushmetrics.demo.state import DemoState, find_state, hold_lock, write_state
from airflow_provider_pushmetrics.demo.system import DemoSystem
from airflow_provider_pushmetrics.exceptions import DemoError

LEADER_TIMEOUT_SECONDS = 60


@dataclass
class RunningSystem:
    """
    The end of a demo.

    :param kept: Whether it is left running.
    """

    kept: bool = False


@contextmanager
def open_system(
    folder: DemoFolder, display: Display, environ: Mapping[str, str]
) -> Iterator[tuple[DemoSystem, RunningSystem]]:
    """
    Prepare a system, and stop everything that it started when the block ends.

    :raises DemoError: if a demo runs in this folder already, or a port is taken.
    """
    dags = find_dags_folder()
    folder.claim()
    with hold_lock(folder.lock_file):
        _stop_leftovers(folder, display)
        system = DemoSystem(folder, choose_ports(environ), dags, environ)
        folder.clear()
        # Written before the first process starts: if this one is killed, the next command finds the others.
        write_state(folder.state_file, DemoState.of_this_process(system.family.marker))
        stay = RunningSystem()
        try:
            yield system, stay
        except DemoError as error:
            raise DemoError(system.redact(str(error)), log=system.redact(error.log)) from None
        finally:
            if not stay.kept:
                _stop_system(system, display)


def keep_running(system: DemoSystem, stay: RunningSystem) -> None:
    """Leave the system running when the demo ends, and save its URLs and credentials."""
    state = DemoState.of_this_process(
        system.family.marker,
        kept=True,
        service_url=system.ports.service_url,
        airflow_url=system.ports.airflow_url,
        airflow_user=AIRFLOW_USER,
        airflow_password=system.credentials.airflow_password,
        api_token=system.credentials.api_token,
    )
    write_state(system.folder.state_file, state)
    stay.kept = True


def stop_demo(folder: DemoFolder, display: Display) -> None:
    """Stop the demo of this folder, whether it is running, was left running or was killed."""
    state = find_state(folder.state_file)
    if state is None:
        display.print_line("No demo is running.")
        return
    with display.step("Stop the demo") as step:
        _end_leader(state)
        step.note = _describe_killed(ProcessFamily(state.marker).stop())
        folder.state_file.unlink(missing_ok=True)


def _end_leader(state: DemoState) -> None:
    leader = None if state.kept else state.find_leader()
    if leader is None:
        return
    leader.terminate()
    try:
        leader.wait(LEADER_TIMEOUT_SECONDS)
    except psutil.TimeoutExpired:
        raise DemoError(
            f"the running demo (process {leader.pid}) does not end. Inspect it with `ps`."
        ) from None


def _stop_leftovers(folder: DemoFolder, display: Display) -> None:
    state = find_state(folder.state_file)
    if state is None:
        return
    family = ProcessFamily(state.marker)
    if family.find_members():
        if state.kept:
            raise DemoError(
                f"a demo is running already: Airflow at {state.airflow_url}; its user and password are in"
                f" {str(folder.state_file)!r}. Stop it with `make stop`."
            )
        with display.step("Stop what an earlier demo left running"):
            family.stop()
    folder.state_file.unlink(missing_ok=True)


def _stop_system(system: DemoSystem, display: Display) -> None:
    ignore_signals()
    with display.step("Stop everything") as step:
        step.note = _describe_killed(system.stop())
    system.folder.state_file.unlink(missing_ok=True)


def _describe_killed(killed: list[str]) -> str:
    return f"killed, since they did not end by themselves: {', '.join(killed)}" if killed else ""
