"""Timeouts of a session of PostgreSQL, and poolers such as PgBouncer, behind which a session is shared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import OperationalError

LOCK_SECONDS = 15.0
"""A statement that waits longer for a lock fails. It is less than a sender of webhooks waits."""

IDLE_IN_TRANSACTION_SECONDS = 30.0
"""After this, the server ends a transaction whose process is frozen, and releases its locks."""

SESSION_TIMEOUTS = {
    "lock_timeout": LOCK_SECONDS,
    "idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION_SECONDS,
}


def is_pooled(connection: Any) -> bool:
    """
    Return whether a connection of psycopg goes through a pooler.

    A pooler makes up the process id that a client is told when it connects.
    """
    ((pid,),) = connection.execute("SELECT pg_backend_pid()").fetchall()
    return bool(pid != connection.info.backend_pid)


def limit_sessions(engine: Engine, timeouts_seconds: Mapping[str, float] = SESSION_TIMEOUTS) -> None:
    """
    Set timeouts in each new session, but not behind a pooler: it would give the session to other clients.

    They are not startup options, which PgBouncer rejects.
    """
    values = ", ".join(f"('{name}', '{round(seconds * 1000)}')" for name, seconds in timeouts_seconds.items())
    statement = f"SELECT set_config(name, value, false) FROM (VALUES {values}) AS timeouts (name, value)"

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
    """Raise the end of an idle transaction, which psycopg calls an internal error, as a lost connection."""
    error = context.original_exception
    if context.is_disconnect and not isinstance(context.sqlalchemy_exception, OperationalError):
        raise OperationalError(context.statement, None, error) from error
