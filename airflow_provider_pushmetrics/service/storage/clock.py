"""Timestamps, always in UTC."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeAlias, overload

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.serving.columns import UtcDateTime

Clock: TypeAlias = Callable[[], datetime]

DatabaseClock: TypeAlias = Callable[[Session], datetime]
"""Reads the time of the database: for a time that one process writes and another one compares."""

CLOCK_FUNCTION = "clock_timestamp"
CLOCK: ColumnElement[datetime] = func.clock_timestamp(type_=UtcDateTime)
"""That time as a column, for statements with other columns. SQLite's connections have the same function."""

SELECT_CLOCK = select(CLOCK)


def get_now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)


def write_sqlite_now() -> str:
    """Write the current time as SQLAlchemy does for SQLite."""
    return get_now().replace(tzinfo=None).isoformat(" ", "microseconds")


def read_database_clock(session: Session) -> datetime:
    """Read the time of the database; SQLite's is the machine's."""
    if session.get_bind().dialect.name != "postgresql":
        return get_now()
    return session.scalars(SELECT_CLOCK).one()


@overload
def format_moment(moment: datetime) -> str: ...


@overload
def format_moment(moment: datetime | None) -> str | None: ...


def format_moment(moment: datetime | None) -> str | None:
    """Format a timestamp as ISO 8601 with ``+00:00``."""
    return None if moment is None else moment.astimezone(UTC).isoformat()


def format_event_moment(moment: datetime) -> str:
    """Format a timestamp as in events: whole seconds and ``+00:00``."""
    return moment.astimezone(UTC).replace(microsecond=0).isoformat()
