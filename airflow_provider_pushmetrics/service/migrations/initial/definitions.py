"""Short forms of what the tables consist of, with the names that the models' naming convention gives."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

MOMENT = sa.DateTime(timezone=True)

UNFINISHED = {
    "run": "finished_on IS NULL",
    "query_run": "finished_on IS NULL",
    "delivery": "finished_on IS NULL",
    "message": "status = 'pending'",
}
"""The condition of unfinished rows, for the tables whose rows workers claim."""


def column(
    name: str, kind: Any, *, nullable: bool = False, server_default: str | None = None
) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=nullable, server_default=server_default)


def reference(
    table: str, name: str, other: str, *, ondelete: str | None = None, nullable: bool = False
) -> sa.Column[Any]:
    """Build the column of a table with the id of a row of another one."""
    key = sa.ForeignKey(f"{other}.id", name=op.f(f"fk_{table}_{name}"), ondelete=ondelete)
    return sa.Column(name, sa.Integer, key, nullable=nullable)


def unique(table: str, *columns: str) -> sa.UniqueConstraint:
    return sa.UniqueConstraint(*columns, name=op.f(f"uq_{table}_{'_'.join(columns)}"))


def create(table: str, *parts: sa.Column[Any] | sa.UniqueConstraint, is_entity: bool = True) -> None:
    """
    Create a table with an id.

    :param is_entity: Whether its rows have a uid and the moment of their creation too.
    """
    entity = (column("uid", sa.String(32)), column("created_on", MOMENT), unique(table, "uid"))
    op.create_table(
        table,
        *parts,
        *(entity if is_entity else ()),
        column("id", sa.Integer),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
        sqlite_autoincrement=True,
    )


def index(table: str, *columns: str, name: str | None = None, rows: str | None = None) -> None:
    """
    Create an index.

    :param rows: The condition of the rows that are in it; all if it is None.
    """
    condition = None if rows is None else sa.text(rows)
    op.create_index(
        op.f(name or f"ix_{table}_{'_'.join(columns)}"),
        table,
        list(columns),
        unique=False,
        sqlite_where=condition,
        postgresql_where=condition,
    )


def index_age(table: str) -> None:
    """Index the rows of a workspace by their age."""
    index(table, "workspace_id", "created_on", name=f"ix_{table}_age")


def index_list(table: str, *columns: str) -> None:
    """Index the rows of a workspace in the order of their list."""
    index(table, "workspace_id", *columns, "id", name=f"ix_{'_'.join((table, *columns))}_list")


def index_work(table: str, *columns: str) -> None:
    """Index the unfinished rows of a table that no worker has claimed, and those that one has."""
    waiting = f"worker_id IS NULL AND {UNFINISHED[table]}"
    claimed = f"worker_id IS NOT NULL AND {UNFINISHED[table]}"
    index(table, *columns, name=f"ix_{table}_waiting", rows=waiting)
    index(table, "worker_id", name=f"ix_{table}_claimed", rows=claimed)
