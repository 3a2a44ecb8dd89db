"""SQLite, configured for durability and for several processes."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DatabaseError, OperationalError

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.serving.private_files import FILE_MODE, create_private_file

IMMEDIATE = "begin_immediate"
"""
The execution option of a transaction that writes: it takes the write lock when it begins.

If it took the lock at its first write, after a read, another writer in between would make it fail at once,
despite the busy timeout.
"""

SYNCHRONOUS = "synchronous"
"""The execution option for the durability of a writing transaction's commit; FULL by default."""

WAL_RETRY_SECONDS = 0.05

DAMAGED = "-damaged"
"""Ends the name of the empty file beside a database in which a check has found damage, or has not ended."""


def create_sqlite_engine(
    url: str | URL, *, busy_timeout_seconds: float, pool_size: int, max_overflow: int
) -> Engine:
    """
    Open a pool of connections to a file.

    :param busy_timeout_seconds: How long a transaction waits for the write lock.
    """
    engine = create_engine(
        url,
        connect_args={"timeout": busy_timeout_seconds, "check_same_thread": False},
        pool_size=pool_size,
        max_overflow=max_overflow,
        hide_parameters=True,  # they would be in errors, and so in logs
    )
    event.listen(
        engine, "connect", lambda connection, _: prepare_connection(connection, busy_timeout_seconds)
    )
    event.listen(engine, "begin", _begin)
    if engine.url.database and not engine.url.database.startswith(("file:", ":")):
        # SQLite gives its other files, such as the write-ahead log, the mode of this one.
        event.listen(engine, "do_connect", partial(_create_file, engine.url.database))
    return engine


def check_after_crash(engine: Engine) -> None:
    """
    Check a file that was not closed properly: its write-ahead log is still there.

    SQLite deletes the log when the last connection is closed, also after damage was found. So a marker stays
    beside the file until a check finds no damage.

    If another process uses the file now, there is a log too, and the check only takes its time.

    :raises PushMetricsConfigurationError: if the file is damaged.
    """
    path = engine.url.database or ""
    marker = Path(path + DAMAGED)
    is_doubtful = _has_content(Path(f"{path}-wal")) or marker.exists()
    if engine.dialect.name != "sqlite" or not is_doubtful or not Path(path).exists():
        return
    with suppress(OSError):  # what is wrong with the folder is said elsewhere
        marker.touch(FILE_MODE)  # before the check, which may fail for another reason
    fault = _find_fault(engine)
    if fault is not None:
        raise PushMetricsConfigurationError(
            f"the database file {path!r} is damaged ({fault}): restore a backup, or copy the file and save"
            " what is left with the command '.recover' of sqlite3. Until then it is not used."
        )
    with suppress(OSError):
        marker.unlink()


def _find_fault(engine: Engine) -> str | None:
    try:
        with engine.connect() as connection:
            found = str(connection.exec_driver_sql("PRAGMA quick_check(1)").scalar())
    except DatabaseError as error:
        code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
        if code not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise
        found = str(error.orig)
    return None if found == "ok" else " ".join(found.split())


class FileIdentity:
    """
    Notices that the file of an engine was removed or replaced since the first check.

    SQLite goes on with the removed file, and reports no error. What is committed to it is lost when the last
    connection is closed. Does nothing for another database.
    """

    def __init__(self, engine: Engine) -> None:
        path = engine.url.database or ""
        is_file = engine.dialect.name == "sqlite" and path and not path.startswith(("file:", ":"))
        self._path = path if is_file else None
        self._known: tuple[int, int] | None = None

    def check(self) -> None:
        """
        Compare the file with that of the first check.

        :raises sqlalchemy.exc.OperationalError: if it is another one, or none.
        """
        if self._path is None:
            return
        try:
            found = os.stat(self._path)
        except OSError as error:
            if self._known is None or not isinstance(error, FileNotFoundError):
                raise OperationalError("stat", None, error) from None
            identity = None
        else:
            identity = (found.st_dev, found.st_ino)
        if self._known not in (None, identity):
            what = f"the database file {self._path!r} was removed or replaced while it was open"
            raise OperationalError("stat", None, OSError(f"{what}: restart this process"))
        self._known = identity


def _has_content(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except OSError:
        return False


def _create_file(path: str, *_: object) -> None:
    with suppress(OSError):  # SQLite says what is wrong
        create_private_file(path)


def prepare_connection(
    connection: sqlite3.Connection,
    busy_timeout_seconds: float,
    *,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """
    Set up a new connection.

    :raises sqlite3.Error: if the file cannot be used.
    """
    # Python's driver would begin transactions itself, and too late; _begin does it instead.
    connection.isolation_level = None
    _switch_to_wal(connection, monotonic() + busy_timeout_seconds, monotonic, sleep)
    # FULL: a commit is on the disk when it returns. In WAL mode, NORMAL would lose it with the power.
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    # SQLite writes undo records for statements of many rows. In a file, that is a third of all writes.
    connection.execute("PRAGMA temp_store=MEMORY")


def _switch_to_wal(
    connection: sqlite3.Connection,
    deadline: float,
    monotonic: Callable[[], float],
    sleep: Callable[[float], None],
) -> None:
    """Switch to the write-ahead log, with retries: SQLite does not wait for another process here."""
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or monotonic() > deadline:
                raise
        sleep(WAL_RETRY_SECONDS)


def _begin(connection: Connection) -> None:
    options: Any = connection.get_execution_options()
    is_immediate = options.get(IMMEDIATE, False)
    if is_immediate:
        connection.exec_driver_sql(f"PRAGMA synchronous={options.get(SYNCHRONOUS, 'FULL')}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_immediate else "BEGIN")
