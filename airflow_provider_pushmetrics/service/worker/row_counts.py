"""
Bringing the counts of rows up to date: rows with settled ids are added to what was counted before.

An id is settled if no open transaction can have it. On SQLite, one transaction at a time writes. On
PostgreSQL, a transaction may commit an id after others have committed higher ones, but it has locked the
table before it took the id. So the ids up to one that was seen are settled when all transactions have ended
that had this lock afterwards.
"""

from __future__ import annotations

import time
from collections.abc import Set

from sqlalchemy import TextClause, func, select, text
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.service.models.row_counts import (
    COUNTED,
    ID_RANGE,
    Counted,
    DeletedRows,
    RowCount,
)
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.serving.background import BackgroundLoop

COUNT_SECONDS = 30.0

SETTLE_SECONDS = 5.0
"""How long to wait for open transactions; the next call waits for others."""

CHECK_SECONDS = 0.05

BATCH_IDS = 50 * ID_RANGE
"""How many ids are counted in one transaction, for which other writers wait on SQLite."""

ROW_COUNT_LOCK = 7_305_815
"""Any number that no other program locks in this database."""

TRY_LOCK = select(func.pg_try_advisory_xact_lock(ROW_COUNT_LOCK))

LIST_WRITERS = text(
    "SELECT virtualtransaction FROM pg_locks WHERE locktype = 'relation' AND mode = 'RowExclusiveLock'"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    " AND relation = CAST(:kind AS regclass)"
)

ADD_ROWS = """
INSERT INTO row_count (workspace_id, kind, until, number)
SELECT workspace_id, :kind, :until, sum(number) FROM (
    SELECT workspace_id, count(*) AS number FROM {kind}
    WHERE id >= :since AND id < :until GROUP BY workspace_id
    {deleted}
) AS changes WHERE true GROUP BY workspace_id
ON CONFLICT (workspace_id, kind)
DO UPDATE SET until = excluded.until, number = row_count.number + excluded.number
"""

TAKE_DELETED = """
WITH deleted AS (DELETE FROM deleted_rows WHERE kind = :kind RETURNING workspace_id, id_range, number)
"""
SUBTRACT_DELETED = f"""
    UNION ALL SELECT deleted.workspace_id, -deleted.number FROM deleted
    JOIN row_count ON row_count.workspace_id = deleted.workspace_id AND row_count.kind = :kind
    WHERE deleted.id_range * {ID_RANGE} < row_count.until
"""  # noqa: S608 (the names are our own)


class RowCounter:
    """Brings the counts up to date in a background thread. Several workers may do so at the same time."""

    def __init__(self, database: Database, *, settle_seconds: float = SETTLE_SECONDS) -> None:
        self._database = database
        self._settle_seconds = settle_seconds
        self._is_postgresql = database.engine.dialect.name == "postgresql"
        self._loop = BackgroundLoop(
            "row-counts", self.run_once, interval_seconds=COUNT_SECONDS, starts_at_once=True
        )

    def start(self) -> None:
        """Begin, at once."""
        self._loop.start()

    def stop(self) -> bool:
        """Stop after the running transaction, and return whether the thread has ended."""
        return self._loop.stop()

    def run_once(self) -> None:
        """Count the rows that are not counted yet, and whose ids are settled."""
        for kind in COUNTED:
            until = self._find_settled(kind)
            while until is not None and self._count_batch(kind, until) and not self._loop.stopping.is_set():
                pass

    def _find_settled(self, kind: Counted) -> int | None:
        """Find an id at the end of a range, with settled ids below it; None if there is nothing to do."""
        with self._database.reading() as session:
            until = (session.scalar(select(func.max(kind.id))) or 0) // ID_RANGE * ID_RANGE
            counted = _find_counted(session, kind)
            if until > counted and (not self._is_postgresql or self._wait_for_writers(session, kind)):
                return until
            deleted = select(DeletedRows.id).where(DeletedRows.kind == kind.__tablename__).limit(1)
            return None if session.scalar(deleted) is None else counted

    def _wait_for_writers(self, session: Session, kind: Counted) -> bool:
        """Wait for the transactions that write to a table now; return whether they have ended."""
        writers = _list_writers(session, kind)
        deadline = time.monotonic() + self._settle_seconds
        while writers and time.monotonic() < deadline and not self._loop.stopping.wait(CHECK_SECONDS):
            writers &= _list_writers(session, kind)
        return not writers

    def _count_batch(self, kind: Counted, until: int) -> bool:
        """Count some rows below an id, and subtract deleted ones; return whether there are more."""
        with self._database.recording() as session:
            if self._is_postgresql and not session.scalar(TRY_LOCK):
                return False
            counted = _find_counted(session, kind)
            first = session.scalar(select(func.min(kind.id)).where(kind.id >= counted, kind.id < until))
            since = until if first is None else first // ID_RANGE * ID_RANGE
            end = max(counted, min(since + BATCH_IDS, until))
            ids = {"kind": kind.__tablename__, "since": max(counted, since), "until": end}
            session.execute(_build_statement(kind, is_postgresql=self._is_postgresql), ids)
        return end < until


def _find_counted(session: Session, kind: Counted) -> int:
    """Find the id below which the rows of all workspaces are counted."""
    return session.scalar(select(func.max(RowCount.until)).where(RowCount.kind == kind.__tablename__)) or 0


def _list_writers(session: Session, kind: Counted) -> Set[str]:
    return set(session.scalars(LIST_WRITERS, {"kind": kind.__tablename__}))


def _build_statement(kind: Counted, *, is_postgresql: bool) -> TextClause:
    """Build one statement, so that what it counts and what it subtracts are of the same moment."""
    add = ADD_ROWS.format(kind=kind.__tablename__, deleted=SUBTRACT_DELETED if is_postgresql else "")
    return text(TAKE_DELETED + add if is_postgresql else add)
