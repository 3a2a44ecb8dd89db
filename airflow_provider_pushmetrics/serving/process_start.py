"""The start of a server process: what ends it, and waiting for PostgreSQL."""

from __future__ import annotations

import logging
import signal
import sys
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import InterfaceError, OperationalError, ResourceClosedError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.redaction import redact

RETRY_SECONDS = 1.0

UNAVAILABLE = (OperationalError, InterfaceError, PoolTimeoutError)
"""The errors of an unavailable database, whatever the statement."""

BROKEN_WHILE_OPENED = (ResourceClosedError, NotImplementedError)
"""What a first connection raises that is lost while SQLAlchemy and psycopg ask the server about itself."""

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
    Prepare a database of PostgreSQL, again and again while it is away; say so once.

    :param prepare: Prepares it. It is called at least once.
    :param wait_seconds: How long to wait.
    :raises PushMetricsConfigurationError: if the server does not answer in time.
    """
    deadline, is_logged = monotonic() + wait_seconds, False
    while True:
        try:
            return prepare()
        except (*UNAVAILABLE, *BROKEN_WHILE_OPENED) as error:
            reason = describe_driver_error(error)
        if monotonic() >= deadline:
            raise PushMetricsConfigurationError(
                f"the database did not answer within {wait_seconds:g} s: {reason}. Start it, check the"
                " database URL, or wait longer by --wait-for-database."
            )
        if not is_logged:
            log.warning("the database is away; waiting for it for up to %g s: %s", wait_seconds, reason)
            is_logged = True
        sleep(RETRY_SECONDS)


def describe_driver_error(error: Exception) -> str:
    """Write the driver's message in one line, without credentials."""
    return redact(" ".join(str(getattr(error, "orig", None) or error).split()))
