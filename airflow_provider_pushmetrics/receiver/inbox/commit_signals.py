"""Learning that another process has committed to the inbox: each database has its own way to say so."""

from __future__ import annotations

import threading
from typing import Any, Protocol, cast

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError

CHANNEL = "pushmetrics_inbox"
"""PostgreSQL's name for what is announced with ``NOTIFY``."""

CHECK_INTERVAL_SECONDS = 0.1
"""How often SQLite is asked; it has no way to tell by itself."""

LISTEN_SECONDS = 0.5
"""How long one wait for PostgreSQL's word lasts, and so how late a watch may end."""


class Changes(Protocol):
    """Tells of commits. It holds one connection of its own, and one thread uses it."""

    def wait(self, stop: threading.Event) -> bool:
        """Wait a moment, at most until ``stop`` is set; tell whether anything may have been committed."""

    def close(self) -> None:
        """Give the connection up."""


def open_changes(engine: Engine) -> Changes:
    """
    Begin to listen.

    :raises sqlalchemy.exc.SQLAlchemyError: if the database cannot be used now.
    """
    return SqliteChanges(engine) if engine.dialect.name == "sqlite" else PostgresqlChanges(engine)


def announce_change(connection: Connection) -> None:
    """Have the commit of this transaction tell other processes, where the database has to be asked to."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"NOTIFY {CHANNEL}"))


class SqliteChanges:
    """
    Asks SQLite whether anybody else has committed since: ``PRAGMA data_version`` reads one shared page.

    :param engine: The inbox's engine.
    """

    def __init__(self, engine: Engine) -> None:
        self._connection = engine.raw_connection()
        self._connection.detach()
        self._version = self._read()

    def wait(self, stop: threading.Event) -> bool:
        """Wait a tenth of a second; tell whether the file has changed."""
        stop.wait(CHECK_INTERVAL_SECONDS)
        before, self._version = self._version, self._read()
        return self._version != before

    def close(self) -> None:
        """Give the connection up."""
        self._connection.close()

    def _read(self) -> int:
        cursor = self._connection.cursor()
        try:
            cursor.execute("PRAGMA data_version")
            row: Any = cursor.fetchone()
            return int(row[0])
        except Exception as error:
            raise OperationalError("PRAGMA data_version", None, error) from error
        finally:
            cursor.close()


class PostgresqlChanges:
    """
    Listens for the word that every commit to the inbox sends.

    :param engine: The inbox's engine.
    """

    def __init__(self, engine: Engine) -> None:
        self._connection = engine.raw_connection()
        self._driver = cast("Any", self._connection.driver_connection)
        self._connection.detach()  # it listens for good, and is no use to anybody else
        try:
            self._driver.autocommit = True
            self._driver.execute(f"LISTEN {CHANNEL}")
        except Exception as error:
            self._connection.close()
            raise OperationalError("LISTEN", None, error) from error

    def wait(self, stop: threading.Event) -> bool:
        """Wait for the word, half a second at most."""
        try:
            return any(True for _ in self._driver.notifies(timeout=LISTEN_SECONDS, stop_after=1))
        except Exception as error:
            raise OperationalError("LISTEN", None, error) from error

    def close(self) -> None:
        """Give the connection up."""
        self._connection.close()
