"""Timeouts for PostgreSQL, and closing connections to a server that does not respond."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import weakref
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.engine import URL

from airflow_provider_pushmetrics.serving.commit_signals import IDLE_IN_TRANSACTION_SECONDS, LOCK_SECONDS

INBOX_CONNECT_SECONDS = 5
UNACKNOWLEDGED_SECONDS = 10.0
"""A connection is closed if sent data is not acknowledged within this time."""

KEEPALIVE_IDLE_SECONDS = 5
KEEPALIVE_INTERVAL_SECONDS = 2
KEEPALIVE_COUNT = 3
"""An idle connection is closed after 5 + 3 · 2 s without a response."""

STATEMENT_SECONDS = 30.0
"""More than lock and webhook may take; the server ends longer statements."""


@dataclass(frozen=True)
class PostgresqlTimeouts:
    """
    How long a connection to PostgreSQL waits. Options in the inbox's URL override these.

    :param lock_seconds: For a lock of another transaction.
    :param idle_in_transaction_seconds: For the next statement of a transaction, before the server ends it.
    :param statement_seconds: For one statement.
    """

    lock_seconds: float = LOCK_SECONDS
    idle_in_transaction_seconds: float = IDLE_IN_TRANSACTION_SECONDS
    statement_seconds: float = STATEMENT_SECONDS

    def build_connect_args(self, url: URL) -> dict[str, Any]:
        """Build the driver's arguments for an inbox."""
        arguments = {
            "connect_timeout": INBOX_CONNECT_SECONDS,
            "tcp_user_timeout": round(UNACKNOWLEDGED_SECONDS * 1000),
            "keepalives_idle": KEEPALIVE_IDLE_SECONDS,
            "keepalives_interval": KEEPALIVE_INTERVAL_SECONDS,
            "keepalives_count": KEEPALIVE_COUNT,
            "prepare_threshold": None,  # a pooler gives each transaction another session
        }
        return {name: value for name, value in arguments.items() if name not in url.query}

    def list_session_timeouts(self, url: URL) -> dict[str, float]:
        """List the timeouts of a session in seconds, without those that the URL's ``options`` set."""
        settings = {
            "lock_timeout": self.lock_seconds,
            "idle_in_transaction_session_timeout": self.idle_in_transaction_seconds,
            "statement_timeout": self.statement_seconds,
        }
        own = str(url.query.get("options", ""))
        return {name: seconds for name, seconds in settings.items() if name not in own}


DEFAULT_TIMEOUTS = PostgresqlTimeouts()


class OpenSockets:
    """
    The connections of an engine. On SQLite this does nothing.

    :param engine: The engine. Its existing connections are closed, so that all are known.
    """

    def __init__(self, engine: Engine) -> None:
        self._lock = threading.Lock()
        self._driver_error = engine.dialect.loaded_dbapi.Error
        self._connections: weakref.WeakSet[Any] = weakref.WeakSet()
        if engine.dialect.name == "postgresql":
            engine.dispose()
            event.listen(engine, "connect", self._add)

    def hang_up(self) -> None:
        """Close every current connection, from any thread, whatever another one waits for on it."""
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            with contextlib.suppress(OSError, self._driver_error):  # it may have just been closed
                _shut_down(connection.fileno())

    def _add(self, connection: Any, _record: object) -> None:
        with self._lock:
            self._connections.add(connection)


def _shut_down(file_number: int) -> None:
    # The driver's own close() would free the connection while another thread waits on it.
    with socket.socket(fileno=os.dup(file_number)) as copy:
        copy.shutdown(socket.SHUT_RDWR)
