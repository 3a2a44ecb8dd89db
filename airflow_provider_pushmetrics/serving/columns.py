"""Column types with the same behavior on SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import DateTime
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """
    A timestamp, stored and read in UTC. SQLite stores no time zone.

    A timestamp without a zone raises a ``ValueError``: Python would treat it as the local time of the server.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Store UTC."""
        return None if value is None else to_utc(value)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Read UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def to_utc(moment: datetime) -> datetime:
    """
    Convert a timestamp to UTC.

    :raises ValueError: if it has no zone.
    """
    if moment.tzinfo is None:
        raise ValueError(
            f"the timestamp {moment.isoformat()} has no zone: give it one, such as datetime.UTC."
        )
    return moment.astimezone(UTC)
