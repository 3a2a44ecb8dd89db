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
from demo.processes import DemoProcesses, describe_process, is_alive, read_tail
from demo.settings import build_base_environment
from demo.state import DemoFolder
from tests.fakes.waiting import wait_until

SLEEP = "import time; time.sleep(60)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); " + SLEEP
ORPHANING = (
    f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEP!r}], start_new_session=True)"
)
Start = Callable[[str], Path]


@pytest.fixture(name="processes")
def make_processes(tmp_path: Path) -> Iterator[DemoProcesses]:
    processes = DemoProcesses(tmp_path)
    yield processes
    processes.stop(grace_seconds=0)


@pytest.fixture(name="start")
def make_start(processes: DemoProcesses, tmp_path: Path) -> Start:
    def start(code: str) -> Path:
        log, env = tmp_path / "it.log", {"PATH": os.environ["PATH"]}
        processes.start("the service", [sys.executable, "-c", code], env=env, log=log, cwd=tmp_path)
        return log

    return start


def test_an_orphan_in_a_session_of_its_own_is_stopped(processes: DemoProcesses, start: Start) -> None:
    start(ORPHANING)

    def is_orphaned() -> bool:
        members = list(processes.find_members())
        with suppress(psutil.Error):
            return len(members) == 1 and members[0].ppid() != os.getpid()
        return False

    wait_until(is_orphaned)
    assert processes.stop() == []
    assert not processes.find_members()


def test_a_process_that_does_not_end_is_killed_and_named(processes: DemoProcesses, start: Start) -> None:
    log = start(STUBBORN)
    wait_until(lambda: "up" in read_tail(log))
    assert len(processes.stop(grace_seconds=0.3)) == 1
    assert not processes.find_members()


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
    processes: DemoProcesses, tmp_path: Path, word: str, signal_name: str
) -> None:
    log, script = tmp_path / "it.log", tmp_path / "airflow"
    script.write_text(SLOW_PARENT)
    command = [sys.executable, str(script), word]
    processes.start("it", command, env={"PATH": os.environ["PATH"]}, log=log, cwd=tmp_path)
    wait_until(lambda: "up" in read_tail(log))
    assert processes.stop() == []
    assert read_tail(log).splitlines()[-2:] == [f"by {signal_name}", "parent gone: True"]


RENAMED = """
import signal, time
from setproctitle import setproctitle
signal.signal(signal.SIGTERM, signal.SIG_IGN)
setproctitle("airflow scheduler -- DagFileProcessorManager" + " " * 5000)
print("up", flush=True)
time.sleep(600)
"""
DYING_PARENT = f"""
import os, signal, subprocess, sys, time
subprocess.Popen([sys.executable, "-c", {RENAMED!r}], start_new_session=True)
time.sleep(600)
"""


def test_a_renamed_process_that_ignores_signals_is_killed_after_its_parent_died(
    processes: DemoProcesses, tmp_path: Path
) -> None:
    """A title as long as that overwrites the environment of a process, unless that is forbidden."""
    env = build_base_environment(os.environ, DemoFolder(tmp_path), Path(sys.executable).parent)
    log = tmp_path / "it.log"
    command = [sys.executable, "-c", DYING_PARENT]
    child = processes.start("airflow scheduler", command, env=env, log=log, cwd=tmp_path)
    wait_until(lambda: "up" in read_tail(log))
    child.kill()
    child.wait()
    later = DemoProcesses(tmp_path)  # as `make stop`, which knows nothing but the folder
    (left,) = later.find_members()
    assert left.cmdline()[0].startswith("airflow scheduler -- DagFileProcessorManager")
    assert later.stop(grace_seconds=0.3) == ["airflow scheduler"]
    wait_until(lambda: not is_alive(left))


def test_leftovers_are_found_by_their_folder_and_those_of_another_folder_are_left_alone(
    processes: DemoProcesses, start: Start, tmp_path: Path
) -> None:
    start(SLEEP)
    another = DemoProcesses(tmp_path)
    wait_until(another.find_members)
    DemoProcesses(tmp_path / "other").stop()
    assert len(processes.find_members()) == 1
    another.stop()
    assert not processes.find_members()


def test_a_process_that_ended_is_named_with_the_end_of_its_log(
    processes: DemoProcesses, start: Start
) -> None:
    log = start("print('no such database'); raise SystemExit(3)")
    wait_until(lambda: not processes.find_members())
    with pytest.raises(DemoError, match=r"the service .* ended unexpectedly") as raised:
        processes.require_alive()
    assert raised.value.log == read_tail(log) == "no such database"


def test_a_program_that_is_not_there_is_an_error(processes: DemoProcesses, tmp_path: Path) -> None:
    with pytest.raises(DemoError, match=r"airflow standalone cannot be started: .*/no/such/program"):
        processes.start(
            "airflow standalone", ["/no/such/program"], env={}, log=tmp_path / "log", cwd=tmp_path
        )


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
