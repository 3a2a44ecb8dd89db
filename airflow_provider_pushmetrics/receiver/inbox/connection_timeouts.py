"""Timeouts for PostgreSQL, and closing connections to a server that does not respond."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
import time
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.engine import URL

from airflow_provider_pushmetrics.serving.commit_signals import IDLE_IN_TRANSACTION_SECONDS, LOCK_SECONDS

log = logging.getLogger(__name__)

INBOX_CONNECT_SECONDS = 5
UNACKNOWLEDGED_SECONDS = 10.0
"""A connection is closed if sent data is not acknowledged within this time."""

KEEPALIVE_IDLE_SECONDS = 5
KEEPALIVE_INTERVAL_SECONDS = 2
KEEPALIVE_COUNT = 3
"""An idle connection is closed after 5 + 3 · 2 s without a response."""

STATEMENT_SECONDS = 30.0
"""More than lock and webhook may take; the server ends longer statements."""

STUCK_SECONDS = STATEMENT_SECONDS + 15.0
"""What takes this long waits for an unreachable server: another would have ended the statement."""


@dataclass(frozen=True)
class PostgresqlTimeouts:
    """
    How long a connection to PostgreSQL waits. Options in the inbox's URL override these.

    :param lock_seconds: For a lock of another transaction.
    :param idle_in_transaction_seconds: For the next statement of a transaction, before the server ends it.
    :param statement_seconds: For one statement.
    :param stuck_seconds: For a whole use of the database, before all connections are closed.
    """

    lock_seconds: float = LOCK_SECONDS
    idle_in_transaction_seconds: float = IDLE_IN_TRANSACTION_SECONDS
    statement_seconds: float = STATEMENT_SECONDS
    stuck_seconds: float = STUCK_SECONDS

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
    :param stuck_seconds: How long a use of the database may take.
    """

    def __init__(self, engine: Engine, stuck_seconds: float = STUCK_SECONDS) -> None:
        self._stuck_seconds = stuck_seconds
        self._lock = threading.Lock()
        self._driver_error = engine.dialect.loaded_dbapi.Error
        self._connections: weakref.WeakSet[Any] = weakref.WeakSet()
        self._uses: dict[object, float] = {}
        if engine.dialect.name == "postgresql":
            engine.dispose()
            event.listen(engine, "connect", self._add)

    @contextlib.contextmanager
    def use(self) -> Iterator[None]:
        """Remember how long the block uses the database."""
        use = object()
        with self._lock:
            self._uses[use] = time.monotonic()
        try:
            yield
        finally:
            with self._lock:
                self._uses.pop(use, None)

    def hang_up_if_stuck(self) -> None:
        """Close every current connection if a use of the database takes too long; once for each use."""
        now = time.monotonic()
        with self._lock:
            stuck = [use for use, began in self._uses.items() if now - began >= self._stuck_seconds]
            for use in stuck:
                del self._uses[use]
        if stuck:
            log.warning(
                "PostgreSQL has not answered for %g s: all connections to it are closed, and made anew.",
                self._stuck_seconds,
            )
            self.hang_up()

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
