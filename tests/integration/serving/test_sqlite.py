"""SQLite as both servers use it."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.serving.sqlite import (
    IMMEDIATE,
    SYNCHRONOUS,
    check_after_crash,
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


def leave_log(path: Path) -> None:
    """Leave a write-ahead log behind as a crash does; this one has nothing of use in it."""
    Path(f"{path}-wal").write_bytes(b"log")


def check(path: Path) -> None:
    """Check a file as a start does."""
    engine = create_sqlite_engine(f"sqlite:///{path}", busy_timeout_seconds=1, pool_size=2, max_overflow=2)
    try:
        check_after_crash(engine)
    finally:
        engine.dispose()


def test_damaged_file_is_refused_until_it_is_replaced(engine: Engine, tmp_path: Path) -> None:
    path, marker = tmp_path / "x.db", tmp_path / "x.db-damaged"
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE t AS SELECT hex(randomblob(3000)) AS text")
        for _ in range(6):
            connection.exec_driver_sql("INSERT INTO t SELECT text FROM t")
        connection.commit()
    engine.dispose()
    whole = path.read_bytes()
    path.write_bytes(whole[:8192] + b"\xa5" * 8192 + whole[16384:])
    leave_log(path)
    for _ in range(3):
        with pytest.raises(
            PushMetricsConfigurationError, match=r"x\.db' is damaged \(.+\): restore a backup"
        ):
            check(path)
    assert stat.S_IMODE(marker.stat().st_mode) == 0o600
    path.write_bytes(whole)
    check(path)
    assert not marker.exists()


def test_file_is_checked_again_if_the_check_could_not_end(engine: Engine, tmp_path: Path) -> None:
    path, marker = tmp_path / "x.db", tmp_path / "x.db-damaged"
    with sqlite3.connect(path, isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        leave_log(path)
        with pytest.raises(OperationalError, match="locked"):
            check_after_crash(engine)
        other.execute("COMMIT")
    other.close()
    assert marker.exists()
    check(path)
    assert not marker.exists()


def test_marker_of_a_file_that_is_gone_makes_no_file(tmp_path: Path) -> None:
    (tmp_path / "x.db-damaged").touch()
    check(tmp_path / "x.db")
    assert [path.name for path in tmp_path.iterdir()] == ["x.db-damaged"]
