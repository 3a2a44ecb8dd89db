"""Backups and restores of a database behind PgBouncer, which shares its sessions with other clients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, select, text
from sqlalchemy.engine import URL
from typer.testing import CliRunner, Result

from airflow_provider_pushmetrics.receiver.cli import app as receiver
from airflow_provider_pushmetrics.receiver.inbox.records import IncomingWebhook
from airflow_provider_pushmetrics.receiver.inbox.store import Inbox
from airflow_provider_pushmetrics.service.cli import app as service
from airflow_provider_pushmetrics.service.models import Workspace
from airflow_provider_pushmetrics.service.storage.database import Database
from tests.fakes.postgres import make_database
from tests.fakes.postgres_programs import add_postgres_programs

pytestmark = pytest.mark.postgres

KEY = "k" * 32


@pytest.fixture(autouse=True)
def programs(monkeypatch: pytest.MonkeyPatch) -> None:
    add_postgres_programs(monkeypatch)


@pytest.fixture
def other_url(postgres_server_url: str) -> Iterator[str]:
    """Give the URL of another, empty database of the server."""
    with make_database(postgres_server_url) as url:
        yield url


def write(url: URL) -> str:
    return url.render_as_string(hide_password=False)


def use_receiver(name: str, archive: Path, url: URL, direct: str = "") -> Result:
    variables = {"PUSHMETRICS_RECEIVER_INBOX": write(url), "PUSHMETRICS_RECEIVER_LISTEN_DATABASE_URL": direct}
    return CliRunner().invoke(receiver, [name, str(archive)], env=variables)


def use_service(name: str, archive: Path, url: URL, direct: str = "") -> Result:
    data = archive.parent / "data"
    (data / "results").mkdir(parents=True, exist_ok=True)
    variables = {
        "PUSHMETRICS_SERVICE_DATABASE_URL": write(url),
        "PUSHMETRICS_SERVICE_LISTEN_DATABASE_URL": direct,
        "PUSHMETRICS_SERVICE_SECRET_KEYS": KEY,
    }
    return CliRunner().invoke(service, [name, str(archive), "--data", str(data)], env=variables)


def read_search_path(url: URL) -> str:
    """Read a setting of the one session of the pooler."""
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            return str(connection.execute(text("SHOW search_path")).scalar_one())
    finally:
        engine.dispose()


def make_inbox(url: str) -> None:
    inbox = Inbox(url)
    inbox.record([IncomingWebhook("demo", "key", b'{"number": 1}', "report.run")])
    inbox.close()


def count_events(url: str) -> int:
    inbox = Inbox(url)
    try:
        return inbox.count_events()
    finally:
        inbox.close()


def make_service(url: str) -> None:
    database = Database(url)
    database.migrate()
    with database.writing() as session:
        session.add(Workspace(name="kept"))
    database.close()


def count_workspaces(url: str) -> int:
    database = Database(url)
    try:
        with database.reading() as session:
            return len(session.scalars(select(Workspace.id).where(Workspace.name == "kept")).all())
    finally:
        database.close()


@pytest.mark.parametrize(
    ("use", "make", "count"),
    [
        pytest.param(use_receiver, make_inbox, count_events, id="receiver"),
        pytest.param(use_service, make_service, count_workspaces, id="service"),
    ],
)
def test_a_database_behind_a_pooler_is_backed_up_and_restored_without_it(
    use: Callable[..., Result],
    make: Callable[[str], None],
    count: Callable[[str], int],
    pooled_url: URL,
    postgres_url: str,
    other_url: str,
    tmp_path: Path,
) -> None:
    make(postgres_url)
    before, archive = read_search_path(pooled_url), tmp_path / "a.tar"
    refused = use("backup", archive, pooled_url)
    assert (refused.exit_code, archive.exists()) == (1, False)
    assert "--listen-database-url" in refused.stderr
    wrong = use("backup", archive, pooled_url, other_url)
    assert wrong.exit_code == 1
    assert "another database" in wrong.stderr
    done = use("backup", archive, pooled_url, postgres_url)
    assert done.exit_code == 0, done.stderr
    empty = pooled_url.set(database=other_url.rpartition("/")[2].partition("?")[0])
    refused = use("restore", archive, empty)
    assert refused.exit_code == 1
    assert "--listen-database-url" in refused.stderr
    done = use("restore", archive, empty, other_url)
    assert done.exit_code == 0, done.stderr
    assert read_search_path(pooled_url) == read_search_path(empty) == before
    assert count(other_url) == 1
