"""Timestamps, always in UTC."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeAlias, overload

from sqlalchemy import ColumnElement, func, literal, select
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.serving.columns import UtcDateTime

Clock: TypeAlias = Callable[[], datetime]

DatabaseClock: TypeAlias = Callable[[Session], datetime]
"""Reads the time of the database: for a time that one process writes and another one compares."""

ClockColumn: TypeAlias = Callable[[Session], ColumnElement[datetime]]
"""Builds a column with that time."""


CLOCK: ColumnElement[datetime] = func.clock_timestamp(type_=UtcDateTime)
SELECT_CLOCK = select(CLOCK)


def get_now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)


def build_clock_column(session: Session) -> ColumnElement[datetime]:
    """Build a column with the time of the database, for a statement that reads other columns too."""
    if session.get_bind().dialect.name != "postgresql":
        return literal(get_now(), UtcDateTime)
    return CLOCK


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
