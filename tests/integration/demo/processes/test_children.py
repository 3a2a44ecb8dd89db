from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from airflow_provider_pushmetrics.demo.processes.children import (
    ProcessFamily,
    describe_command,
    describe_process,
    read_tail,
)
from airflow_provider_pushmetrics.exceptions import DemoError
from tests.fakes.waiting import wait_until

SLEEP = "import time; time.sleep(60)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); " + SLEEP
ORPHANING = (
    f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEP!r}], start_new_session=True)"
)
PARENT = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEP!r}]); " + SLEEP

Start = Callable[..., Path]


@pytest.fixture(name="family")
def make_family() -> Iterator[ProcessFamily]:
    family = ProcessFamily()
    yield family
    family.stop(grace_seconds=0)


@pytest.fixture(name="start")
def make_start(family: ProcessFamily, tmp_path: Path) -> Start:
    def start(code: str, name: str = "it", parts: frozenset[str] = frozenset()) -> Path:
        log = tmp_path / "it.log"
        command = [sys.executable, "-c", code]
        family.start(name, command, env={"PATH": os.environ["PATH"]}, log=log, cwd=tmp_path, parts=parts)
        return log

    return start


def test_a_process_is_found_and_stopped(family: ProcessFamily, start: Start) -> None:
    start(SLEEP)
    wait_until(lambda: len(family.find_members()) == 1)
    assert family.stop() == []
    assert family.find_members() == []


def test_an_orphan_in_a_session_of_its_own_is_stopped_too(family: ProcessFamily, start: Start) -> None:
    start(ORPHANING)

    def is_orphaned() -> bool:
        members = family.find_members()
        return len(members) == 1 and members[0].pid == os.getsid(members[0].pid)

    wait_until(is_orphaned)
    family.stop()
    assert family.find_members() == []


def test_a_process_that_does_not_end_is_killed_and_named(family: ProcessFamily, start: Start) -> None:
    log = start(STUBBORN)
    wait_until(lambda: "up" in read_tail(log))
    killed = family.stop(grace_seconds=0.3)
    assert len(killed) == 1
    assert family.find_members() == []


HEIR = """
import os, signal, time
parent = os.getppid()
def tell(*_):
    print("parent gone:", os.getppid() != parent, flush=True)
    raise SystemExit
signal.signal(signal.SIGTERM, tell)
print("up", flush=True)
time.sleep(60)
"""
SLOW_PARENT = f"""
import signal, subprocess, sys, time
def end(number, _):
    time.sleep(0.5)
    print("by", signal.Signals(number).name, flush=True)
    raise SystemExit
signal.signal(signal.SIGTERM, end)
signal.signal(signal.SIGINT, end)
child = subprocess.Popen([sys.executable, "-c", {HEIR!r}])
child.wait()
"""


@pytest.mark.parametrize(("word", "signal_name"), [("other", "SIGTERM"), ("standalone", "SIGINT")])
def test_a_parent_is_asked_before_its_children_and_airflow_standalone_by_an_interrupt(
    family: ProcessFamily, tmp_path: Path, word: str, signal_name: str
) -> None:
    log, script = tmp_path / "it.log", tmp_path / "airflow"
    script.write_text(SLOW_PARENT)
    command = [sys.executable, str(script), word]
    family.start("it", command, env={"PATH": os.environ["PATH"]}, log=log, cwd=tmp_path)
    wait_until(lambda: "up" in read_tail(log))
    assert family.stop() == []
    assert read_tail(log).splitlines()[-2:] == [f"by {signal_name}", "parent gone: True"]


def test_a_process_of_another_family_is_left_alone(
    family: ProcessFamily, start: Start, tmp_path: Path
) -> None:
    start(SLEEP)
    wait_until(lambda: len(family.find_members()) == 1)
    ProcessFamily().stop()
    assert len(family.find_members()) == 1


def test_leftovers_are_found_by_the_marker_alone(family: ProcessFamily, start: Start) -> None:
    start(SLEEP)
    another = ProcessFamily(family.marker)
    wait_until(another.find_members)
    another.stop()
    assert family.find_members() == []


def test_a_process_that_ended_is_named_with_the_end_of_its_log(family: ProcessFamily, start: Start) -> None:
    log = start("print('no such database'); raise SystemExit(3)", name="the PushMetrics service")
    wait_until(lambda: "no such database" in read_tail(log))
    wait_until(lambda: not family.find_members())
    with pytest.raises(DemoError, match=r"the PushMetrics service .* ended unexpectedly") as raised:
        family.require_alive()
    assert raised.value.log == "no such database"


def test_the_death_of_a_part_is_noticed(family: ProcessFamily, start: Start) -> None:
    start(PARENT, parts=frozenset({"-c"}))
    wait_until(lambda: len(family.find_members()) == 2)
    family.require_alive()
    child = max(family.find_members(), key=psutil.Process.create_time)
    child.kill()
    wait_until(lambda: child.status() == psutil.STATUS_ZOMBIE)
    with pytest.raises(DemoError, match=rf"process {child.pid}\) ended unexpectedly"):
        family.require_alive()


def test_a_program_that_is_not_there_is_an_error(family: ProcessFamily, tmp_path: Path) -> None:
    with pytest.raises(DemoError, match=r"airflow standalone cannot be started: .*/no/such/program"):
        family.start("airflow standalone", ["/no/such/program"], env={}, log=tmp_path / "log", cwd=tmp_path)


def test_a_log_that_is_not_there_ends_with_nothing(tmp_path: Path) -> None:
    assert read_tail(tmp_path / "none.log") == ""


def test_a_process_that_is_gone_can_be_described() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        gone = psutil.Process(process.pid)
    assert describe_process(gone) == "a process that has ended"


@pytest.mark.parametrize(
    ("command", "described"),
    [
        ("/v/bin/python /v/bin/airflow scheduler --x", "airflow scheduler"),
        ("airflow api_server -- host:127.0.0.1", "airflow api_server"),
        ("python3.12", "python3.12"),
        ("", ""),
    ],
)
def test_a_command_is_described_without_its_interpreter(command: str, described: str) -> None:
    assert describe_command(command) == described


@pytest.mark.parametrize("log_lines", [0, 3, 100])
def test_a_tail_is_the_last_lines(tmp_path: Path, log_lines: int) -> None:
    lines = [f"line {number}" for number in range(log_lines)]
    (tmp_path / "log").write_text("\n".join(lines))
    assert read_tail(tmp_path / "log", lines=5).splitlines() == lines[-5:]
