"""Ids of the service's rows that are left out, so that few rows have high ids."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.orm import Session


def skip_ids(session: Session, table: str, count: int) -> None:
    """Leave out ids of a table, which has had a row."""
    if session.get_bind().dialect.name == "postgresql":
        # Each by itself: setting the sequence could take it back, beside others that take ids.
        session.execute(text(f"SELECT count(nextval('{table}_id_seq')) FROM generate_series(1, {count})"))
    else:
        session.execute(text(f"UPDATE sqlite_sequence SET seq = seq + {count} WHERE name = '{table}'"))
