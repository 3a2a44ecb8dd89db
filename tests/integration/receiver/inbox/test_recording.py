"""Recording on SQLite by the driver, beside the same written with SQLAlchemy."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.exc import OperationalError

from airflow_provider_pushmetrics.receiver.inbox.database import open_engine
from airflow_provider_pushmetrics.receiver.inbox.recording import record
from airflow_provider_pushmetrics.receiver.inbox.records import IncomingWebhook, Recorded
from airflow_provider_pushmetrics.receiver.inbox.sqlite_recording import COLUMNS, record_in_sqlite
from airflow_provider_pushmetrics.receiver.inbox.store import Inbox
from airflow_provider_pushmetrics.receiver.inbox.tables import events, state
from airflow_provider_pushmetrics.serving.sqlite import IMMEDIATE

NOW = datetime(2025, 6, 9, 17, 11, 23, 456789, tzinfo=UTC)


def build(number: int, source: str = "demo") -> IncomingWebhook:
    body = b'{"event": "x", "number": %d, "bytes": "\xc3\xa9\x00"}' % number
    return IncomingWebhook(
        source, f"key-{number}", body, "x", report_id=number, run_id=None, replay_of=number or None
    )


GROUPS = [
    [build(0)],
    [build(number) for number in range(1, 78)],
    [build(3), build(100), build(100), build(3, "other"), build(4, "other"), build(101)],
    [build(100), build(3, "other")],
]


@pytest.fixture
def engines(tmp_path: Path) -> Iterator[tuple[Engine, Engine]]:
    pair = open_engine(f"sqlite:///{tmp_path}/one.db"), open_engine(f"sqlite:///{tmp_path}/two.db")
    yield pair
    for engine in pair:
        engine.dispose()


def record_by_sqlalchemy(engine: Engine, deliveries: Sequence[IncomingWebhook]) -> list[Recorded]:
    with engine.connect().execution_options(**{IMMEDIATE: True}) as connection, connection.begin():
        return record(connection, deliveries, lambda: NOW)


def read_all(engine: Engine) -> list[object]:
    with engine.connect() as connection:
        rows = connection.execute(select(events).order_by(events.c.id)).all()
        return [*rows, *connection.execute(select(state))]


def test_driver_and_sqlalchemy_record_the_same(engines: tuple[Engine, Engine]) -> None:
    fast, simple = engines
    for group in GROUPS:
        assert record_in_sqlite(fast, group, lambda: NOW) == record_by_sqlalchemy(simple, group)
    assert read_all(fast) == read_all(simple)


def test_every_column_is_written() -> None:
    assert set(COLUMNS) == set(events.columns.keys())


def test_failure_is_sqlalchemys_keeps_nothing_and_leaves_the_connection_usable(
    engines: tuple[Engine, Engine], tmp_path: Path
) -> None:
    engine = engines[0]
    blocker = sqlite3.connect(tmp_path / "one.db", isolation_level=None)
    blocker.execute(
        "CREATE TRIGGER refuse BEFORE UPDATE ON pushmetrics_inbox_state"
        " BEGIN SELECT RAISE(ABORT, 'refused'); END"
    )
    with pytest.raises(Exception, match="refused") as refused:
        record_in_sqlite(engine, [build(1)], lambda: NOW)
    assert type(refused.value).__module__ == "sqlalchemy.exc"
    assert read_all(engine)[:-1] == []
    blocker.execute("DROP TRIGGER refuse")
    assert record_in_sqlite(engine, [build(1)], lambda: NOW)[0].id == 1
    blocker.close()


def test_locked_database_is_an_operational_error(engines: tuple[Engine, Engine], tmp_path: Path) -> None:
    engine = engines[0]
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout=10")
    blocker = sqlite3.connect(tmp_path / "one.db", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(OperationalError, match="locked"):
        record_in_sqlite(engine, [build(1)], lambda: NOW)
    blocker.close()


def test_stored_delivery_is_read_as_it_was_recorded(inbox: Inbox) -> None:
    deliveries = [build(0), IncomingWebhook("demo", "key", b"\x00\xff", "y", 1, 2, 3, 4)]
    recorded = inbox.record(deliveries)
    assert [inbox.find_delivery(item.id) for item in recorded] == deliveries
    assert inbox.find_delivery(99) is None


def test_moment_of_another_zone_is_recorded_in_utc_by_both(engines: tuple[Engine, Engine]) -> None:
    tokyo = NOW.astimezone(timezone(timedelta(hours=9)))
    fast, simple = engines
    record_in_sqlite(fast, [build(0)], lambda: tokyo)
    with simple.connect().execution_options(**{IMMEDIATE: True}) as connection, connection.begin():
        record(connection, [build(0)], lambda: tokyo)
    found = []
    for engine in engines:
        with engine.connect() as connection:
            found.append(connection.exec_driver_sql(f"SELECT received_at FROM {events.name}").scalar())
    assert found == ["2025-06-09 17:11:23.456789"] * 2
