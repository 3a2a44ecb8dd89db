from __future__ import annotations

import io
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from airflow_provider_pushmetrics.demo.__main__ import main, show_access
from airflow_provider_pushmetrics.demo.display import Display
from airflow_provider_pushmetrics.demo.folder import DemoFolder
from airflow_provider_pushmetrics.demo.lifecycle import keep_running, open_system, stop_demo
from airflow_provider_pushmetrics.demo.processes.children import ProcessFamily
from airflow_provider_pushmetrics.demo.processes.ports import find_free_ports
from airflow_provider_pushmetrics.demo.processes.signals import interruptible
from airflow_provider_pushmetrics.demo.state import DemoState, find_state, write_state
from airflow_provider_pushmetrics.demo.system import DemoSystem
from airflow_provider_pushmetrics.exceptions import DemoError
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
    if state := find_state(folder.state_file):
        ProcessFamily(state.marker).stop(grace_seconds=0)


def start_sleeper(system: DemoSystem) -> None:
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    log = system.folder.service_log
    system.family.start("a sleeper", command, env={}, log=log, cwd=system.folder.root)
    # Another demo knows it by its environment alone, which /proc shows when the program has been loaded.
    wait_until(ProcessFamily(system.family.marker).find_members)


def test_everything_is_stopped_when_the_demo_ends(
    folder: DemoFolder, display: Display, environ: dict[str, str]
) -> None:
    with open_system(folder, display, environ) as (system, _):
        start_sleeper(system)
        assert find_state(folder.state_file) is not None
        assert len(system.family.find_members()) == 1
    assert system.family.find_members() == []
    assert find_state(folder.state_file) is None


def test_everything_is_stopped_when_a_step_fails_and_no_token_is_told(
    folder: DemoFolder, display: Display, environ: dict[str, str]
) -> None:
    def fail() -> None:
        with open_system(folder, display, environ) as (system, _):
            failed.append(system)
            start_sleeper(system)
            token = system.credentials.reader_token
            raise DemoError(f"the receiver refused {token}.", log=f"sent {token}")

    failed: list[DemoSystem] = []
    with pytest.raises(DemoError, match=r"the receiver refused \*\*\*\.") as raised:
        fail()
    assert raised.value.log == "sent ***"
    assert failed[0].family.find_members() == []


def test_a_demo_that_is_kept_goes_on_until_it_is_stopped(
    folder: DemoFolder, display: Display, environ: dict[str, str], out: io.StringIO
) -> None:
    with open_system(folder, display, environ) as (system, stay):
        start_sleeper(system)
        keep_running(system, stay)
        show_access(system, display)
    assert len(system.family.find_members()) == 1
    assert system.credentials.airflow_password in out.getvalue()
    assert "make stop" in out.getvalue()
    said = "".join(out.getvalue().split())
    assert f"theapi_tokenthat{folder.state_file}holds" in said
    assert system.credentials.api_token not in said
    state = find_state(folder.state_file)
    assert state is not None
    assert state.api_token == system.credentials.api_token
    assert state.api_token not in repr(state)
    stop_demo(folder, display)
    assert system.family.find_members() == []
    assert find_state(folder.state_file) is None
    system.stop()


def test_a_second_demo_says_that_one_is_kept_and_leaves_it_alone(
    folder: DemoFolder, display: Display, environ: dict[str, str]
) -> None:
    with open_system(folder, display, environ) as (system, stay):
        start_sleeper(system)
        keep_running(system, stay)
    with (
        pytest.raises(DemoError, match=r"a demo is running already: Airflow at http.*`make stop`"),
        open_system(folder, display, environ),
    ):
        pass
    assert len(system.family.find_members()) == 1
    system.stop()


def test_a_kept_demo_whose_processes_are_gone_is_in_nobodys_way(
    folder: DemoFolder, display: Display, environ: dict[str, str]
) -> None:
    with open_system(folder, display, environ) as (system, stay):
        keep_running(system, stay)
    with open_system(folder, display, environ):
        pass


def test_what_a_killed_demo_left_is_stopped_first(
    folder: DemoFolder, display: Display, environ: dict[str, str], out: io.StringIO
) -> None:
    with open_system(folder, display, environ) as (system, stay):
        start_sleeper(system)
        stay.kept = (
            True  # as if it were killed here: nothing is stopped, and the note is not one of a kept demo
        )
    with open_system(folder, display, environ):
        assert system.family.find_members() == []
    system.stop()
    assert "Stop what an earlier demo left running" in out.getvalue()


def test_two_demos_at_once_are_refused(folder: DemoFolder, display: Display, environ: dict[str, str]) -> None:
    with (
        open_system(folder, display, environ),
        pytest.raises(DemoError, match=r"a demo is already running in .*"),
        open_system(folder, display, environ),
    ):
        pass


def test_the_access_is_not_there_before_the_report_is_open(
    folder: DemoFolder, display: Display, environ: dict[str, str]
) -> None:
    with open_system(folder, display, environ) as (system, _), pytest.raises(DemoError, match="open_report"):
        _ = system.access


def test_stopping_asks_a_demo_at_work_to_end_first(folder: DemoFolder, display: Display) -> None:
    folder.claim()
    code = "import time; time.sleep(60)"
    family = ProcessFamily()
    family.start("it", [sys.executable, "-c", code], env={}, log=folder.root / "log", cwd=folder.root)
    leader = family.find_members()[0]
    state = DemoState(marker="other", pid=leader.pid, pid_started_at=leader.create_time())
    write_state(folder.state_file, state)
    stop_demo(folder, display)
    assert family.find_members() == []
    family.stop()


def test_the_command_says_when_there_is_nothing_to_stop(
    folder: DemoFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.root.parent)
    assert main(["--stop"]) == 0
    assert capsys.readouterr().out == "No demo is running.\n"


def test_the_command_fails_with_the_reason(
    folder: DemoFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        monkeypatch.setenv("PUSHMETRICS_DEMO_SERVICE_PORT", str(port))
        monkeypatch.chdir(folder.root.parent)
        assert main([]) == 1
    assert f"The demo failed: port {port} of 127.0.0.1 is in use" in capsys.readouterr().out
