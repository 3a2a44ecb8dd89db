"""Read-only access to databases, enforced for each kind in its own way."""

from __future__ import annotations

import sqlite3
from typing import Any

from sqlalchemy import Connection, Engine, event

READ_ONLY_TRANSACTION = "SET TRANSACTION READ ONLY"
"""For one transaction, so that a pooler's connection does not stay read-only."""

READ_ONLY_BACKENDS = frozenset({"postgresql", "mysql", "mariadb", "oracle"})
"""Databases that support it. For others, the user must have only a reader's permissions."""

SQLITE_READS = frozenset(
    {
        sqlite3.SQLITE_SELECT,
        sqlite3.SQLITE_READ,
        sqlite3.SQLITE_FUNCTION,
        sqlite3.SQLITE_RECURSIVE,
        sqlite3.SQLITE_PRAGMA,
    }
)

SQLITE_PRAGMAS = frozenset({
    "database_list", "foreign_key_list", "function_list", "index_info", "index_list", "index_xinfo",
    "read_uncommitted", "table_info", "table_list", "table_xinfo",
})  # fmt: skip
"""Pragmas that describe a database, and the one that SQLAlchemy executes first."""

REFUSED_FUNCTIONS = frozenset({"load_extension", "fts3_tokenizer"})


def make_read_only(engine: Engine) -> None:
    """Make all transactions of an engine read-only, if the database supports it."""
    name = engine.dialect.name
    if name == "sqlite":

        @event.listens_for(engine, "connect")
        def restrict(connection: Any, _: Any) -> None:
            # A file opened read-only still lets VACUUM INTO and ATTACH write others.
            connection.set_authorizer(authorize_reading)

    elif name in READ_ONLY_BACKENDS:

        @event.listens_for(engine, "begin")
        def begin(connection: Connection) -> None:
            connection.exec_driver_sql(READ_ONLY_TRANSACTION)


def authorize_query(
    action: int, first: str | None, second: str | None, database: str | None, trigger: str | None
) -> int:
    """Authorize a SQLite statement like :func:`authorize_reading`, but hide the file's folder."""
    if action == sqlite3.SQLITE_PRAGMA and first == "database_list":
        return sqlite3.SQLITE_DENY
    return authorize_reading(action, first, second, database, trigger)


def authorize_reading(
    action: int, first: str | None, second: str | None, database: str | None, trigger: str | None
) -> int:
    """Authorize a SQLite statement only to read."""
    is_allowed = action in SQLITE_READS
    if action == sqlite3.SQLITE_PRAGMA:
        is_allowed = first in SQLITE_PRAGMAS
    if action == sqlite3.SQLITE_UPDATE:
        # SQLite requests this when it declares json_each and similar. No statement can update this table.
        is_allowed = first == "sqlite_master"
    if action == sqlite3.SQLITE_FUNCTION:
        is_allowed = second not in REFUSED_FUNCTIONS
    return sqlite3.SQLITE_OK if is_allowed else sqlite3.SQLITE_DENY
