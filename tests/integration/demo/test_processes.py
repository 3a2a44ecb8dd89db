from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from demo.errors import DemoError
from demo.folder import DemoFolder
from demo.processes import MARKER_VARIABLE, DemoProcesses, is_alive, read_tail
from demo.settings import build_base_environment
from tests.fakes.waiting import wait_until

ROOT = Path(__file__).resolve().parents[3]
SLEEP = "import time; time.sleep(600)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); {SLEEP}"
ORPHANING = (
    f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEP!r}], start_new_session=True)"
)
UNMARKED = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {STUBBORN!r}], env={{}})"
RENAMED = f"""
from setproctitle import setproctitle
setproctitle("airflow scheduler -- DagFileProcessorManager" + " " * 5000)
{STUBBORN}
"""
DYING_PARENT = f"""
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", {RENAMED!r}], start_new_session=True)
time.sleep(600)
"""

WITHOUT_MAIN_THREAD = """
import ctypes, threading, time
threading.Thread(target=time.sleep, args=(600,)).start()
print("up", flush=True)
ctypes.CDLL(None).pthread_exit(None)
"""
TRACING = f"""
import ctypes, os, subprocess, sys, time
trace = ctypes.CDLL(None, use_errno=True).ptrace
trace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
child = subprocess.Popen([sys.executable, "-c", {SLEEP!r}], env={{{MARKER_VARIABLE!r}: sys.argv[1]}})
SEIZE, STOP_AT_EXIT = 0x4206, 0x40
failed = trace(SEIZE, child.pid, None, STOP_AT_EXIT)
print(os.strerror(ctypes.get_errno()) if failed else child.pid, flush=True)
time.sleep(600)
"""
"""A debugger: its child, which has the marker, does not end by SIGKILL as long as this program runs."""


@pytest.fixture(name="processes")
def make_processes(tmp_path: Path) -> Iterator[DemoProcesses]:
    processes = DemoProcesses(tmp_path)
    yield processes
    processes.stop()


def start(processes: DemoProcesses, folder: Path, code: str) -> subprocess.Popen[bytes]:
    """Start Python with the environment of a demo; its output is in a file beside."""
    env = build_base_environment(os.environ, DemoFolder(folder), Path(sys.executable).parent)
    return processes.start([sys.executable, "-c", code], env=env, log=folder / "it.log", cwd=folder)


def wait_for_output(folder: Path) -> None:
    wait_until(lambda: "up" in read_tail(folder / "it.log"))


def test_an_orphan_in_a_session_of_its_own_is_stopped(processes: DemoProcesses, tmp_path: Path) -> None:
    start(processes, tmp_path, ORPHANING)

    def find_orphan() -> psutil.Process | None:
        members = list(processes.find_members())
        with suppress(psutil.Error):
            return members[0] if len(members) == 1 and members[0].ppid() != os.getpid() else None
        return None

    orphan = wait_until(find_orphan)
    processes.stop()
    assert not is_alive(orphan)


def test_a_child_without_the_marker_that_ignores_signals_is_stopped(
    processes: DemoProcesses, tmp_path: Path
) -> None:
    start(processes, tmp_path, UNMARKED)
    wait_for_output(tmp_path)
    members = processes.find_members()
    assert [
        MARKER_VARIABLE in one.environ() for one in sorted(members, key=lambda one: one.create_time())
    ] == [
        True,
        False,
    ]
    DemoProcesses(tmp_path).stop()
    assert not any(map(is_alive, members))


def test_a_renamed_process_that_ignores_signals_is_stopped_after_its_parent_died(
    processes: DemoProcesses, tmp_path: Path
) -> None:
    """A title as long as that overwrites the environment of a process, unless that is forbidden."""
    child = start(processes, tmp_path, DYING_PARENT)
    wait_for_output(tmp_path)
    child.kill()
    child.wait()
    later = DemoProcesses(tmp_path)  # as `make stop`, which knows nothing but the folder
    (left,) = later.find_members()
    assert left.cmdline()[0].startswith("airflow scheduler -- DagFileProcessorManager")
    later.stop()
    assert not is_alive(left)


@pytest.fixture(name="held")
def hold_process(tmp_path: Path) -> Iterator[int]:
    """Run a process of the demo in ``.demo`` that no signal ends before the test does, and give its id."""
    command = [sys.executable, "-c", TRACING, str(tmp_path / ".demo")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as debugger:
        assert debugger.stdout
        said = debugger.stdout.readline().strip()
        try:
            if not said.isdecimal():
                pytest.skip(f"a process must not trace its child here: {said}")
            yield int(said)
        finally:
            debugger.kill()
    wait_until(lambda: not psutil.pid_exists(int(said)) or not is_alive(psutil.Process(int(said))))


def test_a_process_that_sigkill_does_not_end_is_named_and_stopping_ends(held: int, tmp_path: Path) -> None:
    with pytest.raises(
        DemoError, match=rf"not ended 1 s after SIGKILL: process {held} \(.*`make stop` again"
    ):
        DemoProcesses(tmp_path / ".demo").stop(timeout_seconds=1)


@pytest.mark.slow
def test_stopping_fails_with_the_id_of_the_process_that_is_left(held: int, tmp_path: Path) -> None:
    command = [sys.executable, "-B", "-m", "demo", "--stop"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    stopped = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert (stopped.returncode, stopped.stderr) == (1, "")
    assert f"not ended 30 s after SIGKILL: process {held} (" in stopped.stdout


def test_a_process_whose_main_thread_has_ended_is_alive(processes: DemoProcesses, tmp_path: Path) -> None:
    child = psutil.Process(start(processes, tmp_path, WITHOUT_MAIN_THREAD).pid)
    wait_for_output(tmp_path)
    wait_until(lambda: child.status() == psutil.STATUS_ZOMBIE)
    assert processes.find_members() == {child}
    processes.stop()
    assert not is_alive(child)


def test_processes_of_another_folder_are_left_alone(processes: DemoProcesses, tmp_path: Path) -> None:
    start(processes, tmp_path, STUBBORN)
    wait_for_output(tmp_path)
    DemoProcesses(tmp_path / "other").stop()
    assert len(processes.find_members()) == 1


def test_a_process_that_ended_is_named_with_the_end_of_its_log(
    processes: DemoProcesses, tmp_path: Path
) -> None:
    child = start(processes, tmp_path, "print('no such database'); raise SystemExit(3)")
    child.wait()
    with pytest.raises(DemoError, match="ended with code 3") as raised:
        processes.require_alive()
    assert raised.value.log == "no such database"


def test_a_tail_is_the_last_lines(tmp_path: Path) -> None:
    lines = [f"line {number}" for number in range(100)]
    (tmp_path / "log").write_text("\n".join(lines))
    assert read_tail(tmp_path / "log", lines=5).splitlines() == lines[-5:]


def test_a_killed_child_is_no_member(processes: DemoProcesses, tmp_path: Path) -> None:
    """It is a zombie until its parent asks for its end."""
    child = start(processes, tmp_path, STUBBORN)
    wait_for_output(tmp_path)
    os.kill(child.pid, signal.SIGKILL)
    wait_until(lambda: psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE)
    assert processes.find_members() == set()
