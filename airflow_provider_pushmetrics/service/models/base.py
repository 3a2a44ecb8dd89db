"""The base of all tables."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

from sqlalchemy import Index, MetaData, String, Table, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from airflow_provider_pushmetrics.service.storage.clock import get_now
from airflow_provider_pushmetrics.service.storage.ids import generate_uid
from airflow_provider_pushmetrics.serving.columns import UtcDateTime

CONSTRAINT_NAMES = {
    "ix": "ix_%(column_0_N_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}
"""Only named constraints can be changed by later migrations."""


SECRET = "secret"  # noqa: S105 (a name, not a secret)
"""In the ``info`` of a column that holds encrypted values: what they are, in the plural."""


class Base(DeclarativeBase):
    """The base of all tables: ids are never reused, also on SQLite."""

    metadata = MetaData(naming_convention=CONSTRAINT_NAMES)
    __table_args__: Any = {"sqlite_autoincrement": True}
    type_annotation_map = {datetime: UtcDateTime}

    id: Mapped[int] = mapped_column(primary_key=True)


def get_table(model: type[Base]) -> Table:
    """Get the table of a class, for an insert that makes no object: what is written for each run."""
    return cast("Table", model.__table__)


class Claimable:
    """A row of work. ``worker_id`` is the worker that has claimed it, as long as it works on it."""

    worker_id: Mapped[str | None] = mapped_column(String(64))


def index_work(table: str, *columns: str, unfinished: str) -> tuple[Index, Index]:
    """Index the unfinished rows that no worker has claimed, and those that one has."""
    waiting = text(f"worker_id IS NULL AND {unfinished}")
    claimed = text(f"worker_id IS NOT NULL AND {unfinished}")
    return (
        Index(f"ix_{table}_waiting", *columns, sqlite_where=waiting, postgresql_where=waiting),
        Index(f"ix_{table}_claimed", "worker_id", sqlite_where=claimed, postgresql_where=claimed),
    )


def index_age(table: str) -> Index:
    """Index the rows of a workspace by their age: lists are ordered by it, and old rows are deleted."""
    return Index(f"ix_{table}_age", "workspace_id", "created_on")


def index_list(table: str, *columns: str) -> Index:
    """
    Index the rows of a workspace in the order of their list, which are counted by the index alone.

    :param columns: The columns of a filter of the list.
    """
    return Index(f"ix_{'_'.join((table, *columns))}_list", "workspace_id", *columns, "id")


class Identified:
    """A row with a short uid for URLs."""

    uid: Mapped[str] = mapped_column(String(32), unique=True, default=generate_uid)
    created_on: Mapped[datetime] = mapped_column(default=get_now)
