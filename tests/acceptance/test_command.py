"""The demo as a person runs it: how it begins, and how it ends when things go wrong."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from demo.folder import DemoFolder
from demo.processes import DemoProcesses, is_alive
from demo.settings import find_free_ports
from tests.fakes.short_folder import make_short_folder
from tests.fakes.waiting import wait_until

LIMIT_SECONDS = 600
ROOT = Path(__file__).resolve().parents[2]


@dataclass
class RunningDemo:
    """
    The demo, started as a process of its own in a folder of its own.

    :param folder: That folder.
    :param service_port: Where its service listens.
    """

    folder: DemoFolder
    service_port: int
    process: subprocess.Popen[str] = field(init=False)
    seen: set[psutil.Process] = field(default_factory=set)

    def run(self, *arguments: str) -> None:
        for outside in self.outside:
            outside.mkdir(exist_ok=True)
        home, temporary = map(str, self.outside)
        environ = {**os.environ, "HOME": home, "TMPDIR": temporary, "PYTHONPATH": str(ROOT)}
        environ["PUSHMETRICS_DEMO_SERVICE_PORT"] = str(self.service_port)
        environ["PUSHMETRICS_DEMO_AIRFLOW_PORT"] = str(find_free_ports(1)[0])
        self.process = subprocess.Popen(
            [sys.executable, "-m", "demo", *arguments],
            cwd=self.folder.root.parent,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    @property
    def outside(self) -> tuple[Path, Path]:
        """A home and a folder for temporary files, where nothing must be left."""
        return self.folder.root.with_name("home"), self.folder.root.with_name("tmp")

    def list_files_outside(self) -> list[Path]:
        return [path for outside in self.outside for path in outside.rglob("*")]

    def find_members(self) -> list[psutil.Process]:
        members = list(DemoProcesses(self.folder.root).find_members())
        self.seen.update(members)
        return members

    def find_member(self, *words: str) -> psutil.Process | None:
        for member in self.find_members():
            try:
                if all(word in " ".join(member.cmdline()) for word in words):
                    return member
            except psutil.Error:
                continue
        return None

    def find_zombies(self) -> list[psutil.Process]:
        """Find ended processes that were seen as members, and that nobody has collected."""
        return [process for process in self.seen if process.is_running()]

    def wait_for_member(self, *words: str) -> psutil.Process:
        deadline = time.monotonic() + LIMIT_SECONDS
        while (member := self.find_member(*words)) is None:
            assert self.process.poll() is None, self.process.communicate()[0]
            assert time.monotonic() < deadline, f"there is no process {words}"
            time.sleep(0.1)
        return member

    def wait_for_end(self) -> tuple[int, str]:
        output, _ = self.process.communicate(timeout=LIMIT_SECONDS)
        return self.process.returncode, output

    def clean_up(self) -> None:
        self.find_members()
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
        DemoProcesses(self.folder.root).stop()


@pytest.fixture(name="demo")
def make_demo() -> Iterator[RunningDemo]:
    with make_short_folder() as folder:
        demo = RunningDemo(DemoFolder(folder / ".demo"), find_free_ports(1)[0])
        yield demo
        demo.clean_up()


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (signal.SIGTERM, ("pushmetrics", "service")),
        (signal.SIGHUP, ("airflow", "scheduler")),
        # A task: at this moment the main job runs.
        (signal.SIGINT, ("airflow", "worker", "--")),
    ],
)
def test_an_interrupted_demo_leaves_no_process(
    demo: RunningDemo, number: signal.Signals, words: tuple[str, str]
) -> None:
    demo.run()
    demo.wait_for_member(*words)
    demo.process.send_signal(number)
    code, output = demo.wait_for_end()
    assert code == 128 + number
    assert f"Ended early, by {number.name}" in output
    assert demo.find_members() == []
    assert demo.list_files_outside() == []
    assert demo.find_zombies() == []


def test_stopping_leaves_nothing_of_an_airflow_of_which_a_part_was_killed(demo: RunningDemo) -> None:
    """Its children are orphans, and the demo is killed too, so only the next command can stop them."""
    demo.run()
    part = demo.wait_for_member("airflow", "dag-processor")
    wait_until(lambda: part.children(), "a child of the Dag processor", LIMIT_SECONDS)
    demo.wait_for_member("airflow", "triggerer")
    # By their parents: a process that had lost the marker would not be found by the demo.
    started = psutil.Process(demo.process.pid).children(recursive=True)
    part.kill()
    demo.process.kill()
    demo.wait_for_end()
    assert demo.find_members() != []
    demo.run("--stop")
    code, output = demo.wait_for_end()
    assert code == 0, output
    assert [process for process in started if is_alive(process)] == []


def test_stopping_ends_a_demo_at_work(demo: RunningDemo) -> None:
    demo.run()
    demo.wait_for_member("pushmetrics", "service")
    at_work = demo.process
    demo.run("--stop")
    code, output = demo.wait_for_end()
    assert (code, "Stop the demo: done" in output) == (0, True)
    at_work.communicate(timeout=LIMIT_SECONDS)
    assert at_work.returncode == -signal.SIGKILL
    assert demo.find_members() == []


def test_a_taken_port_is_an_error_that_names_the_port_and_the_variable(demo: RunningDemo) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", demo.service_port))
        listener.listen()
        demo.run()
        code, output = demo.wait_for_end()
    assert code == 1
    assert f"port {demo.service_port} of 127.0.0.1 is in use" in output
    assert "PUSHMETRICS_DEMO_SERVICE_PORT=" in output
    assert demo.find_members() == []


def test_stopping_when_nothing_runs_is_no_error(demo: RunningDemo) -> None:
    demo.run("--stop")
    code, output = demo.wait_for_end()
    assert (code, output) == (0, "No demo is running.\n")
