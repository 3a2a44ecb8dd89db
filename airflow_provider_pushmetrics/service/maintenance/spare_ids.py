"""
Ids that a restored service leaves out.

Airflow knows ids that were given after a backup: if a restored service gave them again, a task that waits for
a run would take another one for it, and a watcher would skip runs whose ids it has seen.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.service.storage.ids import MAX_INTEGER_ID

ID_GAP = 1_000_000

SKIP = "UPDATE sqlite_sequence SET seq = seq + ?"
BEGIN = (
    "INSERT INTO sqlite_sequence (name, seq) SELECT ?, ?"
    " WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = ?)"
)
"""A table that never had a row has no sequence yet."""

TAKE_NEXT = text("SELECT nextval(pg_get_serial_sequence(:name, 'id'))")
SET_LAST = text("SELECT setval(pg_get_serial_sequence(:name, 'id'), :last)")


def count_spare_ids(created_on: str, now: datetime) -> int:
    """
    Count the ids to leave out: more than were given since a backup, or by an earlier restore of it.

    :param created_on: When the backup was made, in ISO 8601.
    """
    return ID_GAP + max(0, int((now - datetime.fromisoformat(created_on)).total_seconds()))


def skip_ids_in_sqlite(connection: sqlite3.Connection, tables: Sequence[str], count: int) -> None:
    """Leave out ids."""
    connection.execute(SKIP, (count,))
    connection.executemany(BEGIN, [(name, count, name) for name in tables])


def skip_ids_in_postgresql(session: Session, tables: Sequence[str], count: int) -> None:
    """
    Leave out ids.

    :raises PushMetricsConfigurationError: if a table would have too few ids left.
    """
    for name in tables:
        last = session.execute(TAKE_NEXT, {"name": name}).scalar_one() + count
        if last > MAX_INTEGER_ID - ID_GAP:
            raise PushMetricsConfigurationError(
                f"the ids of the table {name!r} end at {MAX_INTEGER_ID:,}, and a restored service would"
                f" go on at {last:,}: it cannot be restored to PostgreSQL any more."
            )
        session.execute(SET_LAST, {"name": name, "last": last})
