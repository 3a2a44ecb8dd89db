"""Notifications of commits, on both databases."""

from __future__ import annotations

import threading
import time
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from airflow_provider_pushmetrics.serving.commit_signals import (
    ANYTHING,
    CHECK_LISTEN_URL,
    CommitWatch,
    PollingChanges,
    PostgresqlChanges,
    SqliteChanges,
    open_changes,
)
from airflow_provider_pushmetrics.serving.sqlite import IMMEDIATE, create_sqlite_engine
from tests.fakes.postgres import run_standby
from tests.fakes.waiting import wait_until

CHANNEL = "pushmetrics_test"


@pytest.mark.postgres
def test_notification_gives_the_name_of_what_was_committed(postgres_url: str) -> None:
    engine = create_engine(postgres_url)
    changes = open_changes(engine, CHANNEL)
    assert isinstance(changes, PostgresqlChanges)
    with engine.begin() as connection:
        connection.execute(text(f"NOTIFY {CHANNEL}, 'run'"))
        assert list(changes.wait(threading.Event())) == [], "not before the commit"
    assert list(changes.wait(threading.Event())) == ["run"]
    changes.close()
    engine.dispose()


@pytest.mark.postgres
def test_a_url_that_leads_to_a_standby_is_polled_instead_and_said(
    postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    engine = create_engine(postgres_url)
    with run_standby() as url:
        standby = create_engine(url)
        with standby.connect() as connection:
            assert connection.execute(text("SELECT pg_is_in_recovery()")).scalar_one()
        changes = open_changes(engine, CHANNEL, listen_engine=standby)
        assert isinstance(changes, PollingChanges)
        assert "cannot listen at listen_database_url" in caplog.text
        assert CHECK_LISTEN_URL in caplog.text
        assert standby.pool.checkedout() == 0  # type: ignore[attr-defined]
        standby.dispose()
    engine.dispose()


def test_sqlite_tells_of_the_commits_of_other_connections_and_of_nothing_else(tmp_path: Path) -> None:
    engine = create_sqlite_engine(
        f"sqlite:///{tmp_path}/a.db", busy_timeout_seconds=30, pool_size=2, max_overflow=0
    )
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (n INTEGER)"))
    changes = SqliteChanges(engine)
    assert list(changes.wait(threading.Event())) == []
    with engine.connect().execution_options(**{IMMEDIATE: True}) as connection, connection.begin():
        connection.execute(text("INSERT INTO t VALUES (1)"))
    assert list(changes.wait(threading.Event())) == [ANYTHING]
    assert list(changes.wait(threading.Event())) == []
    changes.close()
    engine.dispose()


def test_asking_sqlite_costs_less_than_a_hundredth_of_a_core(tmp_path: Path) -> None:
    engine = create_sqlite_engine(
        f"sqlite:///{tmp_path}/a.db", busy_timeout_seconds=30, pool_size=1, max_overflow=0
    )
    changes = SqliteChanges(engine)
    spent: list[float] = []

    def watch() -> None:
        began = time.thread_time()
        for _ in range(20):
            changes.wait(threading.Event())
        spent.append(time.thread_time() - began)

    thread = threading.Thread(target=watch)
    began = time.monotonic()
    thread.start()
    thread.join()
    assert spent[0] / (time.monotonic() - began) < 0.01
    changes.close()
    engine.dispose()


@pytest.mark.postgres
def test_failing_main_database_is_not_blamed_on_the_listen_url(
    postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    listen_engine, engine = create_engine(postgres_url), create_engine(f"{postgres_url}_absent")
    with pytest.raises(OperationalError, match="_absent"):
        open_changes(engine, CHANNEL, listen_engine=listen_engine)
    assert caplog.text == ""
    engine.dispose()
    listen_engine.dispose()


@pytest.mark.postgres
def test_unusable_listen_url_is_named_and_the_database_is_polled(
    postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    engine, absent = create_engine(postgres_url), create_engine(f"{postgres_url}_absent")
    assert isinstance(open_changes(engine, CHANNEL, listen_engine=absent), PollingChanges)
    assert "cannot connect to listen_database_url" in caplog.text
    assert "set the option" not in caplog.text
    engine.dispose()
    absent.dispose()


@pytest.mark.postgres
def test_watch_calls_all_when_it_begins_and_those_that_are_named_afterwards(postgres_url: str) -> None:
    engine = create_engine(postgres_url)
    called: list[str] = []
    wakes = {name: partial(called.append, name) for name in ("run", "delivery")}
    watch = CommitWatch(engine, CHANNEL, wakes)
    watch.start()
    wait_until(lambda: called == ["run", "delivery"])
    with engine.begin() as connection:
        connection.execute(text(f"NOTIFY {CHANNEL}, 'delivery'"))
    wait_until(lambda: called == ["run", "delivery", "delivery"])
    assert watch.stop()
    engine.dispose()
