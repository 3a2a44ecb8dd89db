"""The catalog of a database of any kind: schemas, tables, columns and functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import Select, literal_column, select, table
from sqlalchemy.engine import Dialect

TABLE = "table"
VIEW = "view"


@dataclass(frozen=True)
class TableName:
    """The name and schema of a table or view."""

    schema: str
    name: str
    type: str


@dataclass(frozen=True)
class CatalogColumn:
    """A column of a table, with its type as the database writes it."""

    name: str
    type: str
    comment: str | None = None


@dataclass(frozen=True)
class ForeignKey:
    """Columns that refer to columns of another table."""

    columns: Sequence[str]
    table: str
    table_schema: str | None
    table_columns: Sequence[str]


@dataclass(frozen=True)
class Index:
    """An index over columns."""

    name: str
    columns: Sequence[str]
    is_unique: bool


@dataclass(frozen=True)
class TableDescription:
    """The columns, keys and indexes of a table."""

    columns: Sequence[CatalogColumn]
    primary_key: Sequence[str] = ()
    foreign_keys: Sequence[ForeignKey] = ()
    indexes: Sequence[Index] = ()
    comment: str | None = None


class Catalog(Protocol):
    """Reads the catalog of one database. Every method raises ``SourceError`` with the database's message."""

    @property
    def backend(self) -> str:
        """The kind of the database."""

    @property
    def dialect(self) -> Dialect:
        """Its SQL dialect."""

    def list_schemas(self) -> list[str]:
        """List the schemas, except those of the system."""

    def list_tables(self, schema: str) -> list[TableName]:
        """List the tables and views of a schema; empty if it does not exist."""

    def describe(self, name: TableName) -> TableDescription:
        """Describe an existing table."""

    def list_functions(self) -> list[str] | None:
        """List the functions that SQL can call; None if the database does not list them."""


def find_table(catalog: Catalog, schema: str, name: str) -> TableName | None:
    """Find a table by its name, or by its name without regard to case."""
    tables = catalog.list_tables(schema)
    exact = (one for one in tables if one.name == name)
    return next(exact, None) or next((one for one in tables if one.name.lower() == name.lower()), None)


def search_tables(catalog: Catalog, part: str, schema: str | None) -> list[TableName]:
    """Find tables by a part of their name, without regard to case, in one schema or in all."""
    schemas = [schema] if schema else catalog.list_schemas()
    return [one for name in schemas for one in catalog.list_tables(name) if part.lower() in one.name.lower()]


def write_select_star(name: TableName, limit: int, dialect: Dialect) -> str:
    """Write the SQL that reads the first rows of a table."""
    rows: Select[Any] = (
        select(literal_column("*")).select_from(table(name.name, schema=name.schema)).limit(limit)
    )
    written = str(rows.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
    return "\n".join(line.strip() for line in written.splitlines())
