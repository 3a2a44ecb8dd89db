"""Starting: what is made at the first time, and what stops it with a sentence."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.service.accounts.authentication import Authenticator
from airflow_provider_pushmetrics.service.accounts.bootstrap import bootstrap
from airflow_provider_pushmetrics.service.cli import app
from airflow_provider_pushmetrics.service.demo_report import find_flights_data, load_demo
from airflow_provider_pushmetrics.service.storage.data_folder import lock_folder
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.service.storage.encryption import Cipher
from tests.fakes.kept_logging import keep_logging
from tests.fakes.service_process import find_free_port

CIPHER = Cipher("k" * 32)


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    database = Database(url)
    database.migrate()
    yield database
    database.close()


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


def run_command(*arguments: str, **environment: str) -> tuple[int, str]:
    with keep_logging():
        result = CliRunner().invoke(app, arguments, env=environment)
    return result.exit_code, result.stderr


def test_first_token_is_made_for_its_owner_and_only_its_place_is_shown(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bootstrap(database, tmp_path, None)
    path = tmp_path / "bootstrap-token"
    token = path.read_text().strip()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Authenticator(database, CIPHER, 900).find_principal(token) is not None
    assert str(path) in caplog.text
    assert token not in caplog.text
    path.unlink()
    bootstrap(database, tmp_path, None)
    assert not path.exists(), "there is a token already"


@pytest.mark.parametrize("token", ["not safe at all", "short", "ünicode-ünicode-ünicode"])
def test_first_token_that_may_not_ride_in_a_url_is_refused_unseen(
    database: Database, tmp_path: Path, token: str
) -> None:
    with pytest.raises(PushMetricsConfigurationError, match="BOOTSTRAP_TOKEN is not a valid token") as caught:
        bootstrap(database, tmp_path, token)
    assert token not in str(caught.value)


def test_taken_port_is_named_with_the_way_out(tmp_path: Path, taken_port: int) -> None:
    code, error = run_command(
        PUSHMETRICS_SERVICE_PORT=str(taken_port), PUSHMETRICS_SERVICE_DATA=str(tmp_path / "d")
    )
    assert code == 1
    assert error == (
        f"pushmetrics service: port {taken_port} on '127.0.0.1' is in use: stop what uses it, or choose"
        " another with --port or PUSHMETRICS_SERVICE_PORT.\n"
    )
    assert not (tmp_path / "d").exists()


def test_other_database_is_refused_without_showing_its_password() -> None:
    code, error = run_command("--database-url", "mysql://u:s3cret@h/d")
    assert code == 1
    assert "not one of PostgreSQL" in error
    assert "s3cret" not in error


def test_data_folder_serves_one_service_at_a_time_by_whatever_path(tmp_path: Path) -> None:
    folder, other_path = tmp_path / "data", tmp_path / "link"
    other_path.symlink_to(folder, target_is_directory=True)
    with lock_folder(folder):
        code, error = run_command("--port", str(find_free_port()), "--data", str(other_path))
        assert code == 1
        assert "is in use by another service or restore: stop that one, or choose another folder" in error
    with lock_folder(folder):
        pass


HOLDER = """
import sys, time
from pathlib import Path
from airflow_provider_pushmetrics.service.storage.data_folder import wait_for_folder
lock = wait_for_folder(Path(sys.argv[1]), "lock")
print("locked", flush=True)
time.sleep(600)
"""


def test_data_folder_of_a_killed_process_is_free_and_passes_to_who_waits(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "locked\n"
        with pytest.raises(PushMetricsConfigurationError, match="in use"):
            lock_folder(tmp_path)
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as second:
            first.kill()
            assert second.stdout is not None
            assert second.stdout.readline() == "locked\n"
            second.kill()
    with lock_folder(tmp_path):
        pass


def test_demo_without_its_data_names_the_extra(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = str(find_flights_data().parent.parent)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if os.path.abspath(entry or ".") != site])
    with pytest.raises(PushMetricsConfigurationError, match=r"airflow-provider-pushmetrics\[demo\]"):
        load_demo(database, CIPHER, tmp_path)
    assert not list(tmp_path.rglob("*.duckdb"))


def test_data_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for data in (tmp_path / "file", tmp_path / "file" / "below"):
        code, error = run_command("--port", str(find_free_port()), PUSHMETRICS_SERVICE_DATA=str(data))
        assert (code, str(data) in error) == (1, True), error
        assert "cannot be used" in error
