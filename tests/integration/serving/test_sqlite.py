"""SQLite as both servers use it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from airflow_provider_pushmetrics.serving.sqlite import (
    IMMEDIATE,
    SYNCHRONOUS,
    create_sqlite_engine,
    prepare_connection,
)

FULL, NORMAL = 2, 1


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = create_sqlite_engine(
        f"sqlite:///{tmp_path}/x.db", busy_timeout_seconds=0.01, pool_size=2, max_overflow=2
    )
    yield engine
    engine.dispose()


def read_pragma(engine: Engine, name: str) -> object:
    with engine.connect() as connection:
        return connection.exec_driver_sql(f"PRAGMA {name}").scalar()


def test_commits_are_durable_and_readers_do_not_wait(engine: Engine) -> None:
    found = {name: read_pragma(engine, name) for name in ("journal_mode", "synchronous", "foreign_keys")}
    assert found == {"journal_mode": "wal", "synchronous": FULL, "foreign_keys": 1}


def test_writing_transaction_has_the_lock_from_its_start(engine: Engine) -> None:
    writing = engine.execution_options(**{IMMEDIATE: True})
    with (
        writing.connect() as first,
        first.begin(),
        engine.connect() as reader,
        reader.begin(),
        writing.connect() as second,
        pytest.raises(OperationalError, match="database is locked"),
    ):
        second.begin()


def test_durability_is_set_for_one_transaction_alone(engine: Engine) -> None:
    hasty = engine.execution_options(**{IMMEDIATE: True, SYNCHRONOUS: "NORMAL"})
    durable = engine.execution_options(**{IMMEDIATE: True})
    assert [read_pragma(one, "synchronous") for one in (hasty, durable)] == [NORMAL, FULL]


class Clock:
    """A clock that sleeping moves, and after which something happens."""

    def __init__(self, after: Callable[[], object]) -> None:
        self.now = 0.0
        self._after = after

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.now > 1:
            self._after()


def test_switch_to_the_log_waits_for_another_process(tmp_path: Path) -> None:
    other, own = (sqlite3.connect(tmp_path / "x.db", timeout=0, isolation_level=None) for _ in range(2))
    other.execute("BEGIN EXCLUSIVE")
    clock = Clock(after=lambda: other.execute("COMMIT"))
    prepare_connection(own, 15, monotonic=clock, sleep=clock.sleep)
    assert own.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    for connection in (other, own):
        connection.close()


def test_switch_to_the_log_gives_up_in_time(tmp_path: Path) -> None:
    other, own = (sqlite3.connect(tmp_path / "x.db", timeout=0, isolation_level=None) for _ in range(2))
    other.execute("BEGIN EXCLUSIVE")
    clock = Clock(after=lambda: None)
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        prepare_connection(own, 15, monotonic=clock, sleep=clock.sleep)
    assert 15 <= clock.now < 16
    for connection in (other, own):
        connection.close()


def test_file_that_is_no_database_is_an_error_at_once(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"no database" * 100)
    own = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    clock = Clock(after=lambda: None)
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        prepare_connection(own, 15, monotonic=clock, sleep=clock.sleep)
    assert clock.now == 0
    own.close()
