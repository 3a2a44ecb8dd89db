"""Notifications of commits for each database, and sessions of PostgreSQL behind poolers."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol, cast

from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import OperationalError

from airflow_provider_pushmetrics.serving.background import BackgroundLoop

ANYTHING = "*"
"""Stands for every name: nobody knows what was committed."""

CHECK_INTERVAL_SECONDS = 0.05
"""How often SQLite is asked; it cannot tell by itself. A question takes 20 microseconds."""

LISTEN_SECONDS = 0.5
"""How long one wait for PostgreSQL's notification lasts, and so how late a watch may end."""

PROBE_SECONDS = 2.0
"""How long a notification of our own may take before the connection counts as one that carries none."""

PROBE_AGAIN_SECONDS = 300.0

POLL_SECONDS = 1.0
"""How often work is looked for where no notification arrives."""

RETRY_SECONDS = 1.0

UNWATCHED_SECONDS = 10.0
"""
How long a database is watched after the last one who waited has left: most come again at once.

Then the connection is closed. One that listens and is not read fills up, and its session would end no more.
"""

REFUSED_WRITE = "25006"
"""PostgreSQL's code for a write to a server that accepts none: a standby, or one that is switched over."""

IS_READ_ONLY = "SHOW transaction_read_only"

LOCK_SECONDS = 15.0
"""A statement that waits longer for a lock fails. It is less than a sender of webhooks waits."""

IDLE_IN_TRANSACTION_SECONDS = 30.0
"""After this, the server ends a transaction whose process is frozen, and releases its locks."""

SESSION_TIMEOUTS = {
    "lock_timeout": LOCK_SECONDS,
    "idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION_SECONDS,
}

SET_LISTEN_URL = (
    "Behind a pooler such as PgBouncer, set the option listen_database_url to a URL without the pooler."
)
CHECK_LISTEN_URL = "listen_database_url must lead to the same database, without a pooler."

log = logging.getLogger(__name__)


class CannotListenError(OperationalError):
    """A connection cannot listen: it leads to a standby, for example."""


class Changes(Protocol):
    """Reports commits. It has a connection of its own, and only one thread uses it."""

    def wait(self, stop: threading.Event) -> Collection[str]:
        """Wait for a short time, at most until ``stop`` is set; return the names of what was committed."""

    def close(self) -> None:
        """Close the connection."""


def open_changes(
    engine: Engine, channel: str, table: str | None = None, *, listen_engine: Engine | None = None
) -> Changes:
    """
    Begin to listen.

    :param channel: PostgreSQL's name for the notifications; SQLite has none.
    :param table: A table of SQLite that counts what was committed: its columns are ``name`` and ``version``.
    :param listen_engine: Connects to the same database without a pooler; None if ``engine`` does.
    :raises sqlalchemy.exc.SQLAlchemyError: if the database cannot be used now.
    """
    if engine.dialect.name == "sqlite":
        return SqliteChanges(engine, table)
    try:
        changes = PostgresqlChanges(listen_engine or engine, channel)
    except OperationalError as error:
        if listen_engine is None:
            raise
        log.warning(
            "cannot connect to listen_database_url: %s. The database is polled every %s s.",
            error.orig,
            POLL_SECONDS,
        )
        return PollingChanges()
    try:
        carries = _carries_notifications(changes, engine)
    except CannotListenError as error:
        if listen_engine is None:
            raise
        log.warning(
            "cannot listen at listen_database_url: %s. The database is polled every %s s. %s",
            error.orig,
            POLL_SECONDS,
            CHECK_LISTEN_URL,
        )
        return PollingChanges()
    if carries:
        return changes
    log.warning(
        "the connection to PostgreSQL carries no notifications: the database is polled every %s s. %s",
        POLL_SECONDS,
        SET_LISTEN_URL if listen_engine is None else CHECK_LISTEN_URL,
    )
    return PollingChanges()


def _carries_notifications(changes: PostgresqlChanges, engine: Engine) -> bool:
    """Begin to listen, and return whether notifications arrive; otherwise the connection is closed."""
    arrives = False
    try:
        arrives = changes.listen() and changes.probe(engine)
    finally:
        if not arrives:
            changes.close()
    return arrives


def announce_change(connection: Connection, channel: str) -> None:
    """Notify listeners when this transaction commits, on databases that do not do so themselves."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"NOTIFY {channel}"))


class SqliteChanges:
    """
    Polls SQLite for commits of other connections: ``PRAGMA data_version`` reads one shared page.

    :param table: The table that counts what was committed. Without one, the names are unknown.
    """

    def __init__(self, engine: Engine, table: str | None = None) -> None:
        self._connection = engine.raw_connection()
        self._connection.detach()
        self._table = table
        self._version = self._read_version()
        self._counts = self._read_counts()

    def wait(self, stop: threading.Event) -> Collection[str]:
        """Wait for the interval, and return the names of what was committed."""
        stop.wait(CHECK_INTERVAL_SECONDS)
        version = self._read_version()
        if version == self._version:
            return ()
        before, counts = self._counts, self._read_counts()
        # A later version than the counts that were read is seen the next time.
        self._version, self._counts = version, counts
        return [name for name, count in counts.items() if count != before.get(name)]

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _read_version(self) -> int:
        ((version,),) = self._fetch("PRAGMA data_version")
        return int(version)

    def _read_counts(self) -> dict[str, int]:
        if self._table is None:
            return {ANYTHING: self._read_version()}
        return dict(self._fetch(f"SELECT name, version FROM {self._table}"))  # noqa: S608 (the names are our own)

    def _fetch(self, sql: str) -> list[Any]:
        cursor = self._connection.cursor()
        try:
            cursor.execute(sql)
            return list(cursor.fetchall())
        except Exception as error:
            raise OperationalError(sql, None, error) from error
        finally:
            cursor.close()


class PostgresqlChanges:
    """Listens for notifications; their payloads are the names of what was committed."""

    def __init__(self, engine: Engine, channel: str) -> None:
        self._channel = channel
        self._connection = engine.connect()
        self._driver = cast("Any", self._connection.connection.driver_connection)
        self._connection.detach()  # other code must not get a connection that listens

    def listen(self) -> bool:
        """
        Begin to listen, and return whether this connection can.

        A pooler would keep the ``LISTEN`` in a session that it gives to other clients. A server that accepts
        no writes has nothing to tell: after a failover, another one has.
        """
        try:
            self._driver.autocommit = True
            if is_pooled(self._driver):
                return False
            if accepts_no_writes(self._driver):
                raise PermissionError("the server accepts no writes")
            self._driver.execute(f"LISTEN {self._channel}")
        except Exception as error:
            raise CannotListenError("LISTEN", None, error) from error
        return True

    def probe(self, engine: Engine) -> bool:
        """Return whether a notification that another connection sends arrives here."""
        token = uuid.uuid4().hex
        with engine.begin() as other:
            other.execute(
                text("SELECT pg_notify(:channel, :token)"), {"channel": self._channel, "token": token}
            )
        deadline = time.monotonic() + PROBE_SECONDS
        while (seconds := deadline - time.monotonic()) > 0:
            if token in self._receive(seconds):
                return True
        return False

    def wait(self, stop: threading.Event) -> Collection[str]:
        """Wait for a notification, half a second at most."""
        return self._receive(LISTEN_SECONDS)

    def close(self) -> None:
        self._connection.close()

    def _receive(self, seconds: float) -> set[str]:
        try:
            return {notify.payload for notify in self._driver.notifies(timeout=seconds, stop_after=1)}
        except Exception as error:
            raise OperationalError("LISTEN", None, error) from error


class PollingChanges:
    """Assumes at regular intervals that something was committed."""

    def __init__(self) -> None:
        self._opened_at = time.monotonic()

    def wait(self, stop: threading.Event) -> Collection[str]:
        """Wait for the interval."""
        stop.wait(POLL_SECONDS)
        return (ANYTHING,)

    def is_old(self) -> bool:
        """Return whether it is time to try notifications again: the probe may only have been slow."""
        return time.monotonic() - self._opened_at > PROBE_AGAIN_SECONDS

    def close(self) -> None:
        """Do nothing: no connection is open."""


class CommitWatch:
    """
    A thread that calls functions when the database signals that there may be work for them.

    :param channel: PostgreSQL's name for the notifications.
    :param wakes: What to call, by the name of what was committed.
    :param table: SQLite's counts; see :func:`open_changes`.
    :param listen_engine: Connects without a pooler; see :func:`open_changes`.
    """

    def __init__(
        self,
        engine: Engine,
        channel: str,
        wakes: Mapping[str, Callable[[], object]],
        *,
        table: str | None = None,
        listen_engine: Engine | None = None,
    ) -> None:
        self._engine = engine
        self._listen_engine = listen_engine
        self._channel = channel
        self._table = table
        self._wakes = wakes
        self._changes: Changes | None = None
        self._loop = BackgroundLoop(
            "commit-watch",
            self._watch_once,
            interval_seconds=0,
            retry_seconds=RETRY_SECONDS,
        )

    def start(self) -> None:
        """Start to listen."""
        self._loop.start()

    def stop(self) -> bool:
        """Stop; return whether the thread has ended."""
        has_ended = self._loop.stop()
        if has_ended:
            self._close()
        return has_ended

    def _watch_once(self) -> None:
        try:
            if isinstance(self._changes, PollingChanges) and self._changes.is_old():
                self._close()
            if self._changes is None:
                self._changes = open_changes(
                    self._engine, self._channel, self._table, listen_engine=self._listen_engine
                )
                changed: Collection[str] = (
                    ANYTHING,
                )  # something may have been committed before this connection listened
            else:
                changed = self._changes.wait(self._loop.stopping)
        except Exception:
            self._close()
            raise
        for name, wake in self._wakes.items():
            if name in changed or ANYTHING in changed:
                wake()

    def _close(self) -> None:
        changes, self._changes = self._changes, None
        if changes is not None:
            changes.close()


def is_pooled(connection: Any) -> bool:
    """
    Return whether a connection of psycopg goes through a pooler.

    A pooler gives its clients a process id that it has invented.
    """
    ((pid,),) = connection.execute("SELECT pg_backend_pid()").fetchall()
    return bool(pid != connection.info.backend_pid)


def accepts_no_writes(connection: Any) -> bool:
    """Return whether the next transaction of a connection of psycopg can only read."""
    ((value,),) = connection.execute(IS_READ_ONLY).fetchall()
    return bool(value == "on")


def limit_sessions(engine: Engine, timeouts_seconds: Mapping[str, float] = SESSION_TIMEOUTS) -> None:
    """
    Set timeouts in each new session, but not behind a pooler: it would give the session to other clients.

    They are not startup options, which PgBouncer rejects.
    """
    values = ", ".join(f"('{name}', '{round(seconds * 1000)}')" for name, seconds in timeouts_seconds.items())
    statement = f"SELECT set_config(name, value, false) FROM (VALUES {values}) AS timeouts (name, value)"  # noqa: S608 (our own names, and numbers)

    def limit(connection: Any, _record: object) -> None:
        connection.autocommit = True
        try:
            # In one statement: behind a pooler, two could run in different sessions.
            connection.execute(f"{statement} WHERE pg_backend_pid() = {connection.info.backend_pid}")
        finally:
            connection.autocommit = False

    event.listen(engine, "connect", limit)
    event.listen(engine, "handle_error", _convert_lost_session)


def _convert_lost_session(context: ExceptionContext) -> None:
    """
    Raise a lost connection where psycopg has an internal error, and replace all connections.

    That is for an idle transaction that the server ended, and for a server that accepts no writes: it was
    switched over, and its sessions may remain so afterwards.
    """
    error = context.original_exception
    if getattr(error, "sqlstate", None) == REFUSED_WRITE:
        context.is_disconnect = True
    if context.is_disconnect and not isinstance(context.sqlalchemy_exception, OperationalError):
        raise OperationalError(context.statement, None, error) from error
