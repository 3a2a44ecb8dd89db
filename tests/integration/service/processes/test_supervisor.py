"""The supervisor of a worker, with small programs for workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from airflow_provider_pushmetrics.service.processes.supervisor import Assignment, Supervisor, spawn
from airflow_provider_pushmetrics.service.settings import ServiceSettings
from tests.fakes.waiting import wait_until

FAITHFUL = """
import os, pickle, sys
assignment = pickle.load(sys.stdin.buffer)
os.write(1, b".")
os.read(0, 1)
(assignment.settings.data_dir / "name").write_text(assignment.worker_id)
"""
COUNTING = """
import os, sys
sys.stdout.write(".a\\0" + "b" * 100_000 + "\\0c")
sys.stdout.flush()
sys.stdin.buffer.read()
"""
STUBBORN = "import os, sys, time; os.write(1, b'.'); time.sleep(60)"
BROKEN = "raise SystemExit(3)"


class Spawner:
    """Starts workers, and remembers them."""

    def __init__(self) -> None:
        self.started: list[subprocess.Popen[bytes]] = []

    def __call__(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        self.started.append(spawn(command))
        return self.started[-1]


@pytest.fixture
def spawner() -> Spawner:
    return Spawner()


def supervise(data_dir: Path, spawner: Spawner, program: str, *, shutdown_seconds: int = 5) -> Supervisor:
    settings = ServiceSettings(data_dir, shutdown_seconds=shutdown_seconds)
    command = (sys.executable, "-c", program)
    supervisor = Supervisor(
        Assignment(settings, "me"), command=command, spawn=spawner, first_pause_seconds=0.01
    )
    supervisor.prepare()
    return supervisor


def test_worker_is_told_what_it_must_know_and_stopped(tmp_path: Path, spawner: Spawner) -> None:
    supervisor = supervise(tmp_path, spawner, FAITHFUL)
    assert not supervisor.is_alive()
    supervisor.start()
    wait_until(supervisor.is_alive)
    assert supervisor.stop()
    assert (tmp_path / "name").read_text() == "me"
    assert [process.poll() for process in spawner.started] == [0]


def test_figures_are_the_last_whole_ones_of_the_worker_that_runs(tmp_path: Path, spawner: Spawner) -> None:
    supervisor = supervise(tmp_path, spawner, COUNTING)
    supervisor.start()
    wait_until(lambda: supervisor.render_figures() == b"b" * 100_000)
    spawner.started[0].kill()
    wait_until(lambda: len(spawner.started) == 2 and supervisor.is_alive())
    wait_until(lambda: supervisor.render_figures() == b"b" * 100_000)
    supervisor.stop()
    assert supervisor.render_figures() == b""


def test_worker_that_was_killed_is_replaced(tmp_path: Path, spawner: Spawner) -> None:
    supervisor = supervise(tmp_path, spawner, FAITHFUL)
    supervisor.start()
    wait_until(supervisor.is_alive)
    os.kill(spawner.started[0].pid, signal.SIGKILL)
    wait_until(lambda: len(spawner.started) == 2 and supervisor.is_alive())
    supervisor.stop()
    assert [process.poll() for process in spawner.started] == [-signal.SIGKILL, 0]


def test_worker_that_cannot_start_is_tried_again_with_growing_pauses(
    tmp_path: Path, spawner: Spawner, caplog: pytest.LogCaptureFixture
) -> None:
    supervisor = supervise(tmp_path, spawner, BROKEN)
    supervisor.start()
    wait_until(lambda: len(spawner.started) == 4)
    assert not supervisor.is_alive()
    supervisor.stop()
    for pause in ("0.01", "0.02", "0.04"):
        assert f"the worker ended with code 3; starting another in {pause} s" in caplog.text


def test_worker_that_does_not_stop_in_time_is_killed(
    tmp_path: Path, spawner: Spawner, caplog: pytest.LogCaptureFixture
) -> None:
    supervisor = supervise(tmp_path, spawner, STUBBORN, shutdown_seconds=-4)
    supervisor.start()
    wait_until(supervisor.is_alive)
    supervisor.stop()
    assert spawner.started[0].poll() == -signal.SIGKILL
    assert "did not stop within 1" in caplog.text


def test_supervisor_that_never_started_leaves_nothing(tmp_path: Path, spawner: Spawner) -> None:
    supervisor = supervise(tmp_path, spawner, FAITHFUL)
    supervisor.stop()
    assert spawner.started[0].poll() is not None
