"""Processes that start while another one is frozen in its own start."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from airflow_provider_pushmetrics.service.runtime import BOOTSTRAP_LOCK
from airflow_provider_pushmetrics.service.storage.database import MIGRATION_LOCK, Database
from tests.fakes.interpreter import SERVER_PYTHON
from tests.fakes.service_process import API_TOKEN, run_ready_service, run_service, run_worker
from tests.fakes.waiting import LIMIT_SECONDS, wait_until

pytestmark = pytest.mark.postgres

START = """\
import os, pathlib, signal, sys
from sqlalchemy import event
from airflow_provider_pushmetrics.service.runtime import assemble
from airflow_provider_pushmetrics.service.settings import ServiceSettings

def freeze(_connection, _cursor, statement, *_):
    if statement.lstrip().startswith(sys.argv[4]):
        sys.argv[4] = "once"
        os.kill(os.getpid(), signal.SIGSTOP)

settings = ServiceSettings(
    pathlib.Path(sys.argv[1]), database_url=sys.argv[2], bootstrap_token=sys.argv[3], executes=False,
    wait_for_database_seconds=3600,  # the server may have ended its session meanwhile: it tries again
)
parts = assemble(settings)
event.listen(parts.database.engine, "before_cursor_execute", freeze)
parts.prepare()
"""


@contextmanager
def freeze_start(data_dir: Path, url: str, statement: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process that is frozen before a statement."""
    process = subprocess.Popen([SERVER_PYTHON, "-c", START, str(data_dir), url, API_TOKEN, statement])
    try:
        wait_until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_STOPPED)
        yield process
    finally:
        process.kill()
        process.wait(LIMIT_SECONDS)


@pytest.mark.slow
@pytest.mark.parametrize("statement", ["CREATE TABLE run", "INSERT INTO api_token"])
def test_start_ends_with_a_sentence_while_another_is_frozen(
    tmp_path: Path, postgres_url: str, statement: str
) -> None:
    data, options = tmp_path / "data", ("--database-url", postgres_url)
    with freeze_start(data, postgres_url, statement) as frozen:
        with run_service(data, *options, "--no-worker", "--wait-for-database", "6") as other:
            assert other.process.wait(LIMIT_SECONDS) == 1
        said = (tmp_path / "data.log").read_text()
        assert said.count("locked by another process; waiting for it for up to 6 s") == 1
        assert "pushmetrics service: another process has migrated the database, or locked its tables" in said
        assert "Traceback" not in said
        os.kill(frozen.pid, signal.SIGCONT)
        assert frozen.wait(LIMIT_SECONDS) == 0
    with run_ready_service(data, *options, "--no-worker"):
        pass


@pytest.mark.slow
def test_start_with_nothing_to_prepare_needs_no_lock(tmp_path: Path, postgres_url: str) -> None:
    data, options = tmp_path / "data", ("--database-url", postgres_url)
    with run_ready_service(data, *options, "--no-worker"):
        pass
    database = Database(postgres_url)
    with database.lock(MIGRATION_LOCK), database.lock(BOOTSTRAP_LOCK):
        with run_ready_service(data, *options, "--no-worker", "--wait-for-database", "0"):
            pass
        with run_worker(data, *options, "--wait-for-database", "0"):
            wait_until(lambda: "working" in (tmp_path / "data.log").read_text())
    database.close()
