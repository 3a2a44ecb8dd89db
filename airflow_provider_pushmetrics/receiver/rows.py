"""Adding many events in one statement."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from itertools import chain
from typing import Any

from sqlalchemy import Connection, insert

from airflow_provider_pushmetrics.receiver.tables import events

Row = Mapping[str, Any]

COLUMNS = tuple(column.name for column in events.columns)


def insert_rows(connection: Connection, rows: Sequence[Row]) -> None:
    """
    Add rows to the events.

    SQLite's driver gives up the interpreter lock around every row of an ``executemany`` and has to win it
    back from the event loop each time: so many rows go into one ``VALUES``. psycopg pipelines them by itself.
    """
    if connection.dialect.name != "sqlite":
        connection.execute(insert(events), list(rows))
        return
    for chunk in _split_by_powers_of_two(rows):
        values = tuple(chain.from_iterable(map(_write_row, chunk)))
        connection.exec_driver_sql(_build_insert(len(chunk)), values)


def _split_by_powers_of_two(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Split 77 rows into 64, 8, 4 and 1: few statements, which the driver keeps prepared."""
    start = 0
    while start < len(rows):
        size = 1 << ((len(rows) - start).bit_length() - 1)
        yield rows[start : start + size]
        start += size


@cache
def _build_insert(count: int) -> str:
    row = f"({', '.join('?' * len(COLUMNS))})"
    return f"INSERT INTO {events.name} ({', '.join(COLUMNS)}) VALUES {', '.join([row] * count)}"


def _write_row(row: Row) -> Sequence[Any]:
    """Write a row's values as SQLAlchemy does, in the order of the columns."""
    received_at: datetime = row["received_at"]
    written = received_at.strftime("%Y-%m-%d %H:%M:%S.%f")
    return [written if name == "received_at" else row[name] for name in COLUMNS]
