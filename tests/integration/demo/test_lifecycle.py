from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from demo.__main__ import open_system, show_access, stop_demo
from demo.display import Display
from demo.errors import DemoError, interruptible
from demo.processes import DemoProcesses
from demo.settings import find_free_ports
from demo.state import DemoFolder
from demo.system import DemoSystem
from tests.fakes.waiting import wait_until


@pytest.fixture(autouse=True)
def restore_signals() -> Iterator[None]:
    """A demo that ends ignores signals; the tests that follow must not."""
    with interruptible():
        yield


@pytest.fixture(name="out")
def make_out() -> io.StringIO:
    return io.StringIO()


@pytest.fixture(name="display")
def make_display(out: io.StringIO) -> Display:
    return Display(Console(file=out, soft_wrap=True))


@pytest.fixture(name="environ")
def choose_environ() -> dict[str, str]:
    service, airflow = find_free_ports(2)
    ports = {"PUSHMETRICS_DEMO_SERVICE_PORT": str(service), "PUSHMETRICS_DEMO_AIRFLOW_PORT": str(airflow)}
    return {"PATH": os.environ["PATH"], **ports}


@pytest.fixture(name="folder")
def make_folder(tmp_path: Path) -> Iterator[DemoFolder]:
    folder = DemoFolder(tmp_path / ".demo")
    yield folder
    DemoProcesses(folder.root).stop(grace_seconds=0)


def start_sleeper(system: DemoSystem) -> None:
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    log = system.folder.logs / "service.log"
    system.processes.start("a sleeper", command, env={}, log=log, cwd=system.folder.root)
    # Another demo knows it by its environment alone, which /proc shows when the program has been loaded.
    wait_until(DemoProcesses(system.folder.root).find_members)


def test_everything_is_stopped_when_the_demo_ends(
    folder: DemoFolder, display: Display, environ: dict[str, str]
) -> None:
    with open_system(folder, display, environ) as system:
        start_sleeper(system)
        assert len(system.processes.find_members()) == 1
    assert not system.processes.find_members()
    assert folder.find_access() == {}


def test_everything_is_stopped_when_a_step_fails_and_no_token_is_told(
    folder: DemoFolder, display: Display, environ: dict[str, str]
) -> None:
    def fail() -> None:
        with open_system(folder, display, environ) as system:
            failed.append(system)
            start_sleeper(system)
            token = system.credentials.reader_token
            raise DemoError(f"the receiver refused {token}.", log=f"sent {token}")

    failed: list[DemoSystem] = []
    with pytest.raises(DemoError, match=r"the receiver refused \*\*\*\.") as raised:
        fail()
    assert raised.value.log == "sent ***"
    assert not failed[0].processes.find_members()


def test_a_demo_that_is_kept_goes_on_until_it_is_stopped(
    folder: DemoFolder, display: Display, environ: dict[str, str], out: io.StringIO
) -> None:
    with open_system(folder, display, environ) as system:
        start_sleeper(system)
        system.keep()
        show_access(system, display)
    assert len(system.processes.find_members()) == 1
    assert system.credentials.airflow_password in out.getvalue()
    assert "make stop" in out.getvalue()
    said = "".join(out.getvalue().split())
    assert f"theapi_tokenthat{folder.state_file}holds" in said
    assert system.credentials.api_token not in said
    assert folder.find_access()["api_token"] == system.credentials.api_token
    stop_demo(folder, display)
    assert folder.find_access() == {}
    assert not system.processes.find_members()
    system.stop()


def test_a_second_demo_says_that_one_is_kept_and_leaves_it_alone(
    folder: DemoFolder, display: Display, environ: dict[str, str]
) -> None:
    with open_system(folder, display, environ) as system:
        start_sleeper(system)
        system.keep()
    with (
        pytest.raises(DemoError, match=r"a demo is running already: Airflow at http.*`make stop`"),
        open_system(folder, display, environ),
    ):
        pass
    assert len(system.processes.find_members()) == 1
    system.stop()


def test_a_kept_demo_whose_processes_are_gone_is_in_nobodys_way(
    folder: DemoFolder, display: Display, environ: dict[str, str]
) -> None:
    with open_system(folder, display, environ) as system:
        system.keep()
    with open_system(folder, display, environ):
        pass


def test_what_a_killed_demo_left_is_stopped_first(
    folder: DemoFolder, display: Display, environ: dict[str, str], out: io.StringIO
) -> None:
    with open_system(folder, display, environ) as system:
        start_sleeper(system)
        system.keep()
    folder.write_access({})  # as after SIGKILL: nothing was stopped, and it is not a kept demo
    with open_system(folder, display, environ):
        assert not system.processes.find_members()
    system.stop()
    assert "Stop what an earlier demo left running" in out.getvalue()


def test_two_demos_at_once_are_refused(folder: DemoFolder, display: Display, environ: dict[str, str]) -> None:
    with (
        open_system(folder, display, environ),
        pytest.raises(DemoError, match=r"a demo is already running in .*"),
        open_system(folder, display, environ),
    ):
        pass


LEADER = """
import pathlib, sys, time
from demo.errors import interruptible
from demo.state import DemoFolder
with interruptible(), DemoFolder(pathlib.Path(sys.argv[1])).lock():
    print("locked", flush=True)
    time.sleep(60)
"""


def test_stopping_asks_a_demo_at_work_to_end_first(
    folder: DemoFolder, display: Display, out: io.StringIO
) -> None:
    """This one has started no process yet."""
    command = [sys.executable, "-c", LEADER, str(folder.root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as leader:
        assert leader.stdout is not None
        leader.stdout.readline()
        stop_demo(folder, display)
        _, errors = leader.communicate(timeout=60)
    assert errors.endswith("Interrupted: SIGTERM\n")
    assert "Stop the demo: done" in out.getvalue()


def test_a_thing_that_does_not_come_is_named_with_the_limit(folder: DemoFolder) -> None:
    system, polls = DemoSystem(folder, 9001, 9002), list[str]()
    with pytest.raises(DemoError, match=r"a healthy Airflow did not come within 0 s"):
        system.wait_for("a healthy Airflow", lambda: polls.append("x"), timeout_seconds=0)
    assert polls == ["x"]
    answers = iter([None, None, "thing"])
    assert system.wait_for("it", lambda: next(answers), timeout_seconds=60, poll_seconds=0) == "thing"
    system.stop()
