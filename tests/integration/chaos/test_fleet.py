"""Processes are killed and frozen whole, and come back."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import psutil
import pytest

from demo.processes import DemoProcesses
from tests.chaos.fleet import Fleet
from tests.chaos.servers import connect, find_databases
from tests.fakes.waiting import wait_until

T = TypeVar("T")
PARENT = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(600)'])"


@pytest.fixture(name="fleet")
def start_parent(tmp_path: Path) -> Fleet:
    fleet = Fleet(DemoProcesses(tmp_path), tmp_path)
    fleet.add("parent", 1, [sys.executable, "-c", PARENT], {})
    return fleet


def list_processes(fleet: Fleet) -> list[psutil.Process]:
    """List a parent and its child; none before the child is there."""
    leader = fleet.members["parent-1"].process
    assert leader is not None
    children = psutil.Process(leader.pid).children()
    return [psutil.Process(leader.pid), *children] if children else []


def supervise_until(fleet: Fleet, look: Callable[[], T | None]) -> T:
    def supervise_and_look() -> T | None:
        fleet.supervise()
        return look()

    return wait_until(supervise_and_look)


def test_a_kill_ends_all_that_a_process_started_and_the_supervisor_starts_it_again(fleet: Fleet) -> None:
    killed = wait_until(lambda: list_processes(fleet))
    fleet.kill("parent-1")
    psutil.wait_procs(killed[1:], timeout=60)
    assert not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in killed)
    supervise_until(fleet, lambda: fleet.members["parent-1"].ended)
    fresh = supervise_until(fleet, lambda: fleet.members["parent-1"].process)
    assert fresh.pid != killed[0].pid
    fleet.stop()
    assert fleet.processes.find_members() == set()


def test_a_freeze_stops_all_for_its_time(fleet: Fleet) -> None:
    frozen = wait_until(lambda: list_processes(fleet))
    began = time.monotonic()
    fleet.freeze("parent-1", 0.5)
    wait_until(lambda: all(process.status() == psutil.STATUS_STOPPED for process in frozen))
    while fleet.has_frozen():
        fleet.supervise()
    assert time.monotonic() - began >= 0.5
    wait_until(lambda: all(process.status() != psutil.STATUS_STOPPED for process in frozen))
    fleet.stop()


def test_a_killed_postgresql_comes_back_with_what_was_committed(postgres: tuple[Fleet, Path]) -> None:
    fleet, folder = postgres
    with connect(folder, "service") as connection:
        connection.execute("CREATE TABLE kept (id int)")
        connection.execute("INSERT INTO kept VALUES (7)")
    fleet.kill("postgres-1")
    supervise_until(fleet, lambda: fleet.members["postgres-1"].ended)
    supervise_until(fleet, lambda: find_databases(folder))
    with connect(folder, "service") as connection:
        assert connection.execute("SELECT id FROM kept").fetchall() == [{"id": 7}]
