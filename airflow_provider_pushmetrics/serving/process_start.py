"""The start of a server process: what ends it, and waiting for PostgreSQL or for another migration of it."""

from __future__ import annotations

import logging
import signal
import sys
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection, text
from sqlalchemy.exc import InterfaceError, OperationalError, ResourceClosedError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.redaction import redact

RETRY_SECONDS = 1.0

UNAVAILABLE = (OperationalError, InterfaceError, PoolTimeoutError)
"""The errors of an unavailable database, whatever the statement."""

BROKEN_WHILE_OPENED = (ResourceClosedError, NotImplementedError)
"""What a first connection raises that is lost while SQLAlchemy and psycopg ask the server about itself."""

MIGRATION_LOCK_SECONDS = 5.0
"""A migration that waits longer for a lock fails. Before it is tried again, what waits behind it goes on."""

MIGRATION_IDLE_SECONDS = 600.0
"""After this without a statement, the server ends a migration: its process is frozen."""

LOCK_NOT_AVAILABLE = "55P03"
"""PostgreSQL's code for a lock that was waited for too long."""

DEADLOCK = "40P01"
"""PostgreSQL's code for transactions that wait for each other."""

log = logging.getLogger(__name__)

T = TypeVar("T")


def exit_on_termination() -> None:
    """
    End the process at SIGTERM, until it has a handler that stops its work.

    The first process of a container would ignore the signal otherwise (pid_namespaces(7)).
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))


def wait_for_postgresql(
    prepare: Callable[[], T],
    wait_seconds: float,
    *,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """
    Prepare a database of PostgreSQL, again and again while it is away or locked; say so once.

    :param prepare: Prepares it. It is called at least once.
    :param wait_seconds: How long to wait.
    :raises PushMetricsConfigurationError: if the server does not answer in time, or remains locked.
    """
    deadline, logged = monotonic() + wait_seconds, set()
    while True:
        try:
            return prepare()
        except (*UNAVAILABLE, *BROKEN_WHILE_OPENED) as error:
            is_locked = find_sqlstate(error) == LOCK_NOT_AVAILABLE
            reason = describe_driver_error(error)
        if monotonic() >= deadline:
            raise PushMetricsConfigurationError(
                f"another process has migrated the database, or locked its tables, for {wait_seconds:g} s:"
                " end its session, which pg_stat_activity shows, or wait longer by --wait-for-database."
                if is_locked
                else f"the database did not answer within {wait_seconds:g} s: {reason}. Start it, check the"
                " database URL, or wait longer by --wait-for-database."
            )
        if is_locked not in logged:
            what = "migrated or locked by another process" if is_locked else "away"
            log.warning("the database is %s; waiting for it for up to %g s: %s", what, wait_seconds, reason)
            logged.add(is_locked)
        sleep(RETRY_SECONDS)


def lock_migration(connection: Connection, number: int) -> None:
    """
    Let one process at a time migrate a database, until the end of the transaction. SQLite locks its file.

    The statements of the migration may take any time, but not wait long for a lock.

    :param number: The number of the advisory lock.
    :raises sqlalchemy.exc.OperationalError: if another process has the lock; see :func:`wait_for_postgresql`.
    """
    if connection.dialect.name != "postgresql":
        return
    limits = {
        "lock_timeout": MIGRATION_LOCK_SECONDS,
        "idle_in_transaction_session_timeout": MIGRATION_IDLE_SECONDS,
        "statement_timeout": 0,
    }
    for name, seconds in limits.items():
        connection.execute(text(f"SET LOCAL {name} = {round(seconds * 1000)}"))
    connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": number})


def find_sqlstate(error: Exception) -> str | None:
    """Find PostgreSQL's code of an error of SQLAlchemy; None if it has none."""
    code: str | None = getattr(getattr(error, "orig", None), "sqlstate", None)
    return code


def describe_driver_error(error: Exception) -> str:
    """Write the driver's message in one line, without credentials."""
    return redact(" ".join(str(getattr(error, "orig", None) or error).split()))
