"""Sessions of PostgreSQL: their timeouts, and what a pooler in transaction mode allows."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError

from airflow_provider_pushmetrics.receiver.inbox.records import IncomingWebhook
from airflow_provider_pushmetrics.receiver.inbox.store import Inbox
from airflow_provider_pushmetrics.service.storage.database import Database, is_unavailable
from airflow_provider_pushmetrics.serving.commit_signals import (
    ANYTHING,
    PollingChanges,
    PostgresqlChanges,
    limit_sessions,
    open_changes,
)
from tests.fakes.postgres import make_read_only
from tests.fakes.service_process import find_free_port

pytestmark = pytest.mark.postgres

CHANNEL = "pushmetrics_test"
TIMEOUTS = "SELECT current_setting('lock_timeout'), current_setting('idle_in_transaction_session_timeout')"


@pytest.fixture
def direct(postgres_url: str) -> Iterator[Engine]:
    engine = create_engine(postgres_url)
    yield engine
    engine.dispose()


@pytest.fixture
def pooled(pooled_url: URL) -> Iterator[Engine]:
    engine = create_engine(pooled_url)
    yield engine
    engine.dispose()


def test_probe_leaves_no_listen_in_the_session_of_a_pooler(
    pooled: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    changes = open_changes(pooled, CHANNEL)
    assert isinstance(changes, PollingChanges)
    assert list(changes.wait(threading.Event())) == [ANYTHING]
    changes.close()
    with pooled.begin() as connection:  # the pool has one session
        assert connection.execute(text("SELECT pg_listening_channels()")).all() == []
    assert "carries no notifications" in caplog.text
    assert "listen_database_url" in caplog.text


def test_commit_through_a_pooler_is_heard_on_a_connection_without_it(pooled: Engine, direct: Engine) -> None:
    changes = open_changes(pooled, CHANNEL, listen_engine=direct)
    assert isinstance(changes, PostgresqlChanges)
    with pooled.begin() as connection:
        connection.execute(text(f"NOTIFY {CHANNEL}, 'run'"))
    assert list(changes.wait(threading.Event())) == ["run"]
    changes.close()


def test_database_is_polled_if_nobody_listens_at_the_other_url(
    pooled: Engine, pooled_url: URL, caplog: pytest.LogCaptureFixture
) -> None:
    away = create_engine(pooled_url.set(port=find_free_port()))
    changes = open_changes(pooled, CHANNEL, listen_engine=away)
    assert isinstance(changes, PollingChanges)
    assert "cannot connect to listen_database_url" in caplog.text
    away.dispose()


def test_sessions_have_timeouts_without_a_pooler_and_none_behind_it(direct: Engine, pooled: Engine) -> None:
    for engine, timeouts in ((direct, ("15s", "30s")), (pooled, ("0", "0"))):
        limit_sessions(engine)
        with engine.begin() as connection:
            assert connection.execute(text(TIMEOUTS)).one() == timeouts


def test_worker_that_is_frozen_in_a_transaction_does_not_keep_its_rows(url: str) -> None:
    limits = {"lock_timeout": 60, "idle_in_transaction_session_timeout": 0.5}
    database = Database(url, session_timeouts=limits)
    with database.writing() as session:
        session.execute(text("CREATE TABLE work (n INTEGER)"))
        session.execute(text("INSERT INTO work VALUES (1)"))
    change = text("UPDATE work SET n = n + 1")
    with pytest.raises(Exception) as raised, database.writing() as frozen:  # noqa: PT011, PT012
        frozen.execute(change)
        with database.writing() as session:
            session.execute(change)
        frozen.execute(change)
    assert is_unavailable(raised.value), raised.value
    with database.reading() as session:
        assert session.execute(text("SELECT n FROM work")).scalar_one() == 2
    database.close()


def test_wait_for_a_lock_ends(url: str) -> None:
    database = Database(url, session_timeouts={"lock_timeout": 0.5})
    with database.writing() as session:
        session.execute(text("CREATE TABLE work (n INTEGER)"))
    with database.writing() as holder:
        holder.execute(text("LOCK TABLE work"))
        with pytest.raises(Exception) as raised, database.writing() as session:  # noqa: PT011
            session.execute(text("INSERT INTO work VALUES (1)"))
    assert is_unavailable(raised.value), raised.value
    database.close()


def test_database_that_accepts_no_writes_is_unavailable_and_its_sessions_are_replaced(url: str) -> None:
    database, inbox = Database(url), Inbox(url)
    with database.writing() as session:
        session.execute(text("CREATE TABLE work (n INTEGER)"))
    with make_read_only(url):
        with pytest.raises(Exception) as refused, database.writing() as session:  # noqa: PT011
            session.execute(text("INSERT INTO work VALUES (1)"))
        assert is_unavailable(refused.value), refused.value
        with pytest.raises(Exception) as refused:  # noqa: PT011
            inbox.record([IncomingWebhook("demo", "a", b"{}", "report.run")])
        assert is_unavailable(refused.value), refused.value
        with database.reading() as session:  # a session that stays in the pool
            session.execute(text("SELECT n FROM work"))
    with suppress(OperationalError), database.writing() as session:
        session.execute(text("INSERT INTO work VALUES (2)"))
    with suppress(OperationalError):
        inbox.record([IncomingWebhook("demo", "b", b"{}", "report.run")])
    with database.writing() as session:
        session.execute(text("INSERT INTO work VALUES (3)"))
    inbox.record([IncomingWebhook("demo", "c", b"{}", "report.run")])
    database.close()
    inbox.close()


def test_process_does_not_listen_on_a_server_that_accepts_no_writes(
    direct: Engine, postgres_url: str
) -> None:
    with make_read_only(postgres_url), pytest.raises(OperationalError, match="accepts no writes"):
        open_changes(direct, CHANNEL)
    direct.dispose()
    changes = open_changes(direct, CHANNEL)
    assert isinstance(changes, PostgresqlChanges)
    changes.close()


def test_process_that_migrates_may_wait_longer_than_others(url: str) -> None:
    first = Database(url, session_timeouts={"lock_timeout": 0.2, "idle_in_transaction_session_timeout": 0.2})
    first.migrate()
    waiting = threading.Event()

    def wait() -> None:
        with first.lock(1):
            waiting.set()

    thread = threading.Thread(target=wait)
    with first.lock(1):
        thread.start()
        assert not waiting.wait(1.0), "it waits, and the lock is kept"
    thread.join(120)
    assert waiting.is_set()
    first.close()


def test_receiver_stores_events_through_a_pooler_and_hears_of_them_without_it(
    pooled_url: URL, postgres_url: str, tmp_path: Path
) -> None:
    inbox = Inbox(pooled_url.render_as_string(hide_password=False), listen_url=postgres_url)
    changes = inbox.open_changes()
    assert isinstance(changes, PostgresqlChanges)
    inbox.record([IncomingWebhook("demo", "a", b"{}", "report.run")])
    assert changes.wait(threading.Event())
    changes.close()
    inbox.close()


@pytest.fixture
def url(postgres_url: str) -> str:
    return postgres_url
