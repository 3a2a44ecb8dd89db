"""What databases hold: their schemas, tables, columns and functions, whatever the database."""

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
    """A table or a view, and its schema."""

    schema: str
    name: str
    type: str


@dataclass(frozen=True)
class CatalogColumn:
    """A column of a table, with its type in the database's words."""

    name: str
    type: str
    comment: str | None = None


@dataclass(frozen=True)
class ForeignKey:
    """Columns that refer to those of another table."""

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
    """What a table looks like."""

    columns: Sequence[CatalogColumn]
    primary_key: Sequence[str] = ()
    foreign_keys: Sequence[ForeignKey] = ()
    indexes: Sequence[Index] = ()
    comment: str | None = None


class Catalog(Protocol):
    """Looks into one database. Every method raises ``SourceError`` with the database's words."""

    @property
    def backend(self) -> str:
        """The kind of the database."""

    @property
    def dialect(self) -> Dialect:
        """How names are quoted and rows limited."""

    def list_schemas(self) -> list[str]:
        """List the schemas that are not the database's own."""

    def list_tables(self, schema: str) -> list[TableName]:
        """List the tables and views of a schema; none if there is no such schema."""

    def describe(self, name: TableName) -> TableDescription:
        """Describe a table that there is."""

    def list_functions(self) -> list[str] | None:
        """List the functions that SQL can call; None where the database cannot say."""


def find_table(catalog: Catalog, schema: str, name: str) -> TableName | None:
    """Find a table by its name; by one of other capitals, if there is none of these."""
    tables = catalog.list_tables(schema)
    exact = (one for one in tables if one.name == name)
    return next(exact, None) or next((one for one in tables if one.name.lower() == name.lower()), None)


def search_tables(catalog: Catalog, part: str, schema: str | None) -> list[TableName]:
    """Find the tables whose names have a part, in any capitals, in one schema or in all."""
    schemas = [schema] if schema else catalog.list_schemas()
    return [one for name in schemas for one in catalog.list_tables(name) if part.lower() in one.name.lower()]


def write_select_star(name: TableName, limit: int, dialect: Dialect) -> str:
    """Write the SQL that reads the first rows of a table."""
    rows: Select[Any] = (
        select(literal_column("*")).select_from(table(name.name, schema=name.schema)).limit(limit)
    )
    written = str(rows.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
    return "\n".join(line.strip() for line in written.splitlines())
