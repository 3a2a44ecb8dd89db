from __future__ import annotations

import io
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from demo.__main__ import open_system, show_access, stop_demo
from demo.display import Display
from demo.errors import SIGNALS, DemoError
from demo.folder import DemoFolder
from demo.processes import DemoProcesses
from demo.settings import DEFAULT_PORTS, find_free_ports
from demo.system import DemoSystem
from tests.fakes.waiting import wait_until


@pytest.fixture(autouse=True)
def prepare_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Choose free ports; and a demo that ends ignores signals, which the tests that follow must not."""
    for variable, port in zip(DEFAULT_PORTS, find_free_ports(2), strict=True):
        monkeypatch.setenv(variable, str(port))
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(name="out")
def make_out() -> io.StringIO:
    return io.StringIO()


@pytest.fixture(name="display")
def make_display(out: io.StringIO) -> Display:
    return Display(Console(file=out, soft_wrap=True))


@pytest.fixture(name="folder")
def make_folder(tmp_path: Path) -> Iterator[DemoFolder]:
    folder = DemoFolder(tmp_path / ".demo")
    yield folder
    DemoProcesses(folder.root).stop()


def start_sleeper(system: DemoSystem) -> None:
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    system.processes.start(command, env={}, log=system.folder.logs / "x.log", cwd=system.folder.root)
    wait_until(system.processes.find_members)


def leave_running(folder: DemoFolder, display: Display) -> DemoSystem:
    """Start a demo that is kept."""
    with open_system(folder, display) as system:
        start_sleeper(system)
        folder.write_access(system.list_access())
        show_access(system, display)
    return system


def test_everything_is_stopped_when_the_demo_ends(folder: DemoFolder, display: Display) -> None:
    with open_system(folder, display) as system:
        start_sleeper(system)
    assert not system.processes.find_members()
    assert folder.read_access() == {}


def test_everything_is_stopped_when_a_step_fails_and_no_token_is_told(
    folder: DemoFolder, display: Display
) -> None:
    def fail() -> None:
        with open_system(folder, display) as system:
            start_sleeper(system)
            token = system.credentials.reader_token
            raise DemoError(f"the receiver refused {token}.", log=f"sent {token}")

    with pytest.raises(DemoError, match=r"the receiver refused \*\*\*\.") as raised:
        fail()
    assert raised.value.log == "sent ***"
    assert not DemoProcesses(folder.root).find_members()


def test_a_demo_that_is_kept_goes_on_until_it_is_stopped(
    folder: DemoFolder, display: Display, out: io.StringIO
) -> None:
    system = leave_running(folder, display)
    assert len(system.processes.find_members()) == 1
    assert system.credentials.airflow_password in out.getvalue()
    assert "make stop" in out.getvalue()
    assert f"the api_token that {folder.state_file} holds" in out.getvalue()
    assert system.credentials.api_token not in out.getvalue()
    assert folder.read_access()["api_token"] == system.credentials.api_token
    assert folder.state_file.stat().st_mode & 0o777 == 0o600
    stop_demo(folder, display)
    assert not system.processes.find_members()
    system.stop()


def test_a_second_demo_says_that_one_is_kept_and_leaves_it_alone(
    folder: DemoFolder, display: Display
) -> None:
    system = leave_running(folder, display)
    message = r"a demo is running already: Airflow at http.*`make stop`"
    with pytest.raises(DemoError, match=message), open_system(folder, display):
        pass
    assert len(system.processes.find_members()) == 1
    system.stop()


def test_a_kept_demo_whose_processes_are_gone_is_in_nobodys_way(folder: DemoFolder, display: Display) -> None:
    leave_running(folder, display).stop()
    with open_system(folder, display):
        assert folder.read_access() == {}


def test_what_a_killed_demo_left_is_stopped_and_cleared_first(folder: DemoFolder, display: Display) -> None:
    killed = leave_running(folder, display)
    folder.state_file.unlink()  # as after SIGKILL: nothing was stopped, and it is not a kept demo
    (folder.results / "old.json").write_text("[]")
    with open_system(folder, display) as system:
        assert not system.processes.find_members()
        assert list(folder.results.iterdir()) == []
        assert folder.root.stat().st_mode & 0o777 == 0o700
    killed.stop()


def test_two_demos_at_once_are_refused(folder: DemoFolder, display: Display) -> None:
    with (
        open_system(folder, display),
        pytest.raises(DemoError, match=r"a demo is already running in .*"),
        open_system(folder, display),
    ):
        pass


def test_a_thing_that_does_not_come_is_named_with_the_limit(folder: DemoFolder) -> None:
    system, polls = DemoSystem(folder, 9001, 9002), list[str]()
    with pytest.raises(DemoError, match=r"a healthy Airflow did not come within 0 s"):
        system.wait_for("a healthy Airflow", lambda: polls.append("x"), timeout_seconds=0)
    assert polls == ["x"]
    answers = iter([None, "thing"])
    assert system.wait_for("it", lambda: next(answers)) == "thing"
    system.stop()
