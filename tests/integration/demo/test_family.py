from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from demo.errors import DemoError
from demo.family import ProcessFamily, describe_process, find_process, get_process_id, read_tail
from demo.state import ProcessId
from tests.fakes.waiting import wait_until

SLEEP = "import time; time.sleep(60)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); " + SLEEP
ORPHANING = (
    f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEP!r}], start_new_session=True)"
)
RENAMED = f"""
import os, subprocess, sys
env = {{"PATH": os.environ["PATH"]}}
subprocess.Popen([sys.executable, "-c", {STUBBORN!r}], env=env, start_new_session=True)
"""
"""Starts a process that ignores SIGTERM and has no marker in its environment, as after a change of title."""

Start = Callable[[str], Path]


@pytest.fixture(name="family")
def make_family() -> Iterator[ProcessFamily]:
    family = ProcessFamily()
    yield family
    family.stop(grace_seconds=0)


@pytest.fixture(name="start")
def make_start(family: ProcessFamily, tmp_path: Path) -> Start:
    def start(code: str) -> Path:
        log, env = tmp_path / "it.log", {"PATH": os.environ["PATH"]}
        family.start("the service", [sys.executable, "-c", code], env=env, log=log, cwd=tmp_path)
        return log

    return start


def test_an_orphan_in_a_session_of_its_own_is_stopped(family: ProcessFamily, start: Start) -> None:
    start(ORPHANING)

    def is_orphaned() -> bool:
        members = family.find_members()
        with suppress(psutil.Error):
            return len(members) == 1 and members[0].ppid() != os.getpid()
        return False

    wait_until(is_orphaned)
    assert family.stop() == []
    assert family.find_members() == []


def test_an_orphan_without_the_marker_that_heeds_no_signal_is_killed_by_the_next_command(
    tmp_path: Path,
) -> None:
    recorded: list[tuple[ProcessId, ...]] = []
    family = ProcessFamily(record=recorded.append)
    log = tmp_path / "it.log"
    command = [sys.executable, "-c", RENAMED + SLEEP]
    family.start("a part", command, env={"PATH": os.environ["PATH"]}, log=log, cwd=tmp_path)
    wait_until(lambda: len(family.find_members()) == 2 and "up" in read_tail(log))
    part = min(family.find_members(), key=psutil.Process.create_time)
    part.kill()
    wait_until(lambda: len(family.find_members()) == 1)
    (orphan,) = family.find_members()
    assert ProcessFamily(family.marker).find_members() == []
    another = ProcessFamily(family.marker, recorded[-1])
    assert another.find_members() == [orphan]
    assert len(another.stop(grace_seconds=0.3)) == 1
    assert family.find_members() == another.find_members() == []


def test_a_process_that_does_not_end_is_killed_and_named(family: ProcessFamily, start: Start) -> None:
    log = start(STUBBORN)
    wait_until(lambda: "up" in read_tail(log))
    assert len(family.stop(grace_seconds=0.3)) == 1
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


def test_leftovers_are_found_by_the_marker_alone_and_another_family_is_left_alone(
    family: ProcessFamily, start: Start
) -> None:
    start(SLEEP)
    another = ProcessFamily(family.marker)
    wait_until(another.find_members)
    ProcessFamily().stop()
    assert len(family.find_members()) == 1
    another.stop()
    assert family.find_members() == []


def test_another_process_with_a_reused_number_is_no_member(start: Start, family: ProcessFamily) -> None:
    start(SLEEP)
    (member,) = family.find_members()
    pid, started_at = get_process_id(member)
    assert find_process((pid, started_at)) == member
    assert find_process((pid, started_at - 3600)) is None
    assert ProcessFamily(seen=[(pid, started_at - 3600)]).find_members() == []


def test_a_process_that_ended_is_named_with_the_end_of_its_log(family: ProcessFamily, start: Start) -> None:
    log = start("print('no such database'); raise SystemExit(3)")
    wait_until(lambda: not family.find_members())
    with pytest.raises(DemoError, match=r"the service .* ended unexpectedly") as raised:
        family.require_alive()
    assert raised.value.log == read_tail(log) == "no such database"


def test_a_program_that_is_not_there_is_an_error(family: ProcessFamily, tmp_path: Path) -> None:
    with pytest.raises(DemoError, match=r"airflow standalone cannot be started: .*/no/such/program"):
        family.start("airflow standalone", ["/no/such/program"], env={}, log=tmp_path / "log", cwd=tmp_path)


def test_a_process_is_described_without_its_interpreter(tmp_path: Path) -> None:
    script = tmp_path / "airflow"
    script.write_text(SLEEP)
    with subprocess.Popen([sys.executable, script, "api_server", "--", "x"]) as process:
        running = psutil.Process(process.pid)
        wait_until(lambda: describe_process(running) == "airflow api_server")
        process.send_signal(signal.SIGKILL)
    assert describe_process(running) == "a process that has ended"


def test_a_tail_is_the_last_lines_and_nothing_without_a_log(tmp_path: Path) -> None:
    lines = [f"line {number}" for number in range(100)]
    (tmp_path / "log").write_text("\n".join(lines))
    assert read_tail(tmp_path / "log", lines=5).splitlines() == lines[-5:]
    assert read_tail(tmp_path / "none") == ""
