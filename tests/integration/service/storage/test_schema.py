"""Starting while the database is away, and beside processes of a newer version."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError

from airflow_provider_pushmetrics import __version__
from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.service.accounts.bootstrap import bootstrap
from airflow_provider_pushmetrics.service.models import Run, Worker
from airflow_provider_pushmetrics.service.storage.database import MIGRATIONS, TRUSTED_SECONDS, Database
from airflow_provider_pushmetrics.service.storage.encryption import Cipher, load_secret_keys
from airflow_provider_pushmetrics.service.storage.schema import prepare_schema
from tests.fakes.relay import Relay
from tests.fakes.service_process import API_TOKEN, find_free_port, run_service, run_worker
from tests.fakes.service_reports import TRIGGER_TOKEN, make_report, sql
from tests.fakes.waiting import wait_until

MINOR = __version__.rsplit(".", 1)[0]

NEWER = """\
import sqlalchemy as sa
from alembic import op

revision = {revision!r}
down_revision = {before!r}


def upgrade():
    op.add_column("run", sa.Column("added", sa.Integer(), server_default="7", nullable=False))
    op.create_table("added", sa.Column("id", sa.Integer(), primary_key=True))
"""


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def migrate_by_newer_version(database: Database, folder: Path, revision: str) -> None:
    """Migrate as a version does that has one revision more."""
    shutil.copytree(MIGRATIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    newer = NEWER.format(revision=revision, before=f"{MINOR}_0001")
    (folder / "versions" / "0002_add.py").write_text(newer, encoding="ascii")
    config = Config()
    config.set_main_option("script_location", str(folder))
    with database.engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def test_service_waits_for_a_database_that_is_away_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    url = f"postgresql+psycopg://u:secret@127.0.0.1:{find_free_port()}/d"
    database, time = Database(url), Time()
    with pytest.raises(
        PushMetricsConfigurationError, match=r"did not answer within 60 s: .+ --wait-for"
    ) as found:
        prepare_schema(database, 60, monotonic=lambda: time.now, sleep=time.sleep)
    assert time.now == 60
    assert len(caplog.records) == 1
    assert "waiting for it for up to 60 s" in caplog.text
    assert "secret" not in f"{caplog.text} {found.value}"
    database.close()


def test_broken_file_of_sqlite_is_not_waited_for(tmp_path: Path) -> None:
    time, file = Time(), tmp_path / "service.db"
    file.mkdir()
    database = Database(f"sqlite:///{file}")
    with pytest.raises(OperationalError):
        prepare_schema(database, 60, sleep=time.sleep)
    assert time.now == 0
    database.close()


def test_process_of_the_same_minor_version_goes_on_with_a_newer_schema(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    migrate_by_newer_version(database, tmp_path / "newer", f"{MINOR}_0002")
    prepare_schema(database, 0)
    assert f"a newer schema (revision '{MINOR}_0002') than version {__version__}" in caplog.text
    with database.reading() as session:
        assert session.scalars(select(Run)).all() == []


def test_process_of_another_minor_version_says_which_one_it_needs(database: Database, tmp_path: Path) -> None:
    migrate_by_newer_version(database, tmp_path / "newer", "99.1_0002")
    with pytest.raises(PushMetricsConfigurationError, match=r"version 99\.1 .+ install version 99\.1 here"):
        prepare_schema(database, 0)


def test_every_revision_begins_with_its_minor_version() -> None:
    """Older processes read from it whether they can go on."""
    for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions():
        found = re.fullmatch(r"(\d+)\.(\d+)_\d{4}", script.revision)
        assert found is not None, script.revision
        assert tuple(map(int, found.groups())) <= tuple(map(int, MINOR.split(".")))


@contextmanager
def prepare_shared(folder: Path, url: str) -> Iterator[Database]:
    """Prepare a database and the data folder of processes that share it, with a report."""
    folder.mkdir()
    database = Database(url)
    database.migrate()
    bootstrap(database, folder, API_TOKEN)
    make_report(database, Cipher(*load_secret_keys(folder)), folder, q=sql("SELECT 1 AS n"))
    yield database
    database.close()


@pytest.mark.postgres
def test_command_ends_with_a_sentence_if_the_database_stays_away(tmp_path: Path) -> None:
    url = f"postgresql://u:p@127.0.0.1:{find_free_port()}/d"
    with run_worker(tmp_path / "data", "--database-url", url, "--wait-for-database", "0.5") as worker:
        assert worker.wait(timeout=240) == 1
    said = (tmp_path / "data.log").read_text()
    assert "pushmetrics worker: the database did not answer within 0.5 s" in said
    assert "Traceback" not in said


@pytest.mark.postgres
@pytest.mark.parametrize("message", range(1, 14))
def test_a_connection_that_breaks_while_it_is_opened_is_waited_for(postgres_url: str, message: int) -> None:
    """SQLAlchemy asks a server about itself by its first connection, and has other errors there."""
    time_ = Time()
    with Relay.open(postgres_url) as relay:
        relay.breaks_in = message
        database = Database(relay.url)
        prepare_schema(database, 10, monotonic=lambda: time_.now, sleep=time_.sleep)
        with database.reading() as session:
            assert session.scalars(select(Run)).all() == []
        database.close()
    assert relay.breaks_in < 0
    assert time_.now > 0


@pytest.mark.slow
@pytest.mark.postgres
def test_termination_ends_the_wait_for_the_database(tmp_path: Path) -> None:
    """The first process of a container ignores a signal for which it has no handler."""
    options = ("--database-url", f"postgresql://u:p@127.0.0.1:{find_free_port()}/d")
    folders = [tmp_path / name for name in ("worker", "service")]
    with (
        run_worker(folders[0], *options) as worker,
        run_service(folders[1], *options, "--no-worker") as service,
    ):
        for folder in folders:
            log = folder.with_suffix(".log")
            wait_until(lambda log=log: "waiting for it" in log.read_text())  # type: ignore[misc]
        for process in (worker, service.process):
            process.terminate()
            assert process.wait(timeout=240) == 0


@pytest.mark.postgres
def test_connection_that_ended_while_it_rested_is_replaced(postgres_url: str) -> None:
    database = Database(postgres_url)
    with database.reading() as session:
        ended = session.scalar(text("SELECT pg_backend_pid()"))
    other = Database(postgres_url)
    with other.writing() as session:
        assert session.scalar(text("SELECT pg_terminate_backend(:pid, 10000)"), {"pid": ended})
    time.sleep(2 * TRUSTED_SECONDS)
    with database.reading() as session:
        assert session.scalar(text("SELECT pg_backend_pid()")) != ended
    database.close()
    other.close()


@pytest.mark.slow
@pytest.mark.postgres
def test_processes_of_two_versions_share_a_database_and_start_while_it_is_away(
    tmp_path: Path, postgres_url: str
) -> None:
    """A newer process migrates beside a worker; then a service and a worker of the older version start."""
    folder = tmp_path / "data"
    with prepare_shared(folder, postgres_url) as database, Relay.open(postgres_url) as relay:
        options = ("--database-url", relay.url, "--wait-for-database", "600")

        def list_workers() -> list[int]:
            with database.reading() as session:
                return list(session.scalars(select(Worker.pid).order_by(Worker.id)))

        def count_successes() -> int:
            with database.reading() as session:
                return len(session.scalars(select(Run.id).where(Run.status == "success")).all())

        with run_worker(folder, *options) as old:
            wait_until(lambda: list_workers() == [old.pid])
            migrate_by_newer_version(database, tmp_path / "newer", f"{MINOR}_0002")
            with (
                relay.be_down(),
                run_service(folder, *options, "--no-worker") as service,
                run_worker(folder, *options) as second,
            ):
                log = folder.with_suffix(".log")
                wait_until(lambda: log.read_text().count("the database is away; waiting for it") == 2)
                assert service.process.poll() is None
                relay.be_up()
                service.wait_until_ready()
                wait_until(lambda: set(list_workers()) == {old.pid, second.pid})
                for _ in range(3):
                    service.client.post(f"/api/v1/report/1/webhook?token={TRIGGER_TOKEN}").raise_for_status()
                wait_until(lambda: count_successes() == 3)
                old.terminate()
                assert old.wait(timeout=240) == 0, log.read_text()[-20_000:]
                service.client.post(f"/api/v1/report/1/webhook?token={TRIGGER_TOKEN}").raise_for_status()
                wait_until(lambda: count_successes() == 4)
    assert log.read_text().count("has a newer schema") == 2
