"""Answers with the schemas, tables, columns and functions of a database."""

from __future__ import annotations

from typing import Annotated, NotRequired, TypeAlias

from pydantic import Field
from typing_extensions import TypeAliasType, TypedDict

from airflow_provider_pushmetrics.service.api.conventions.fields import Id, one_of
from airflow_provider_pushmetrics.service.api.conventions.shapes import Wrapped, answer
from airflow_provider_pushmetrics.service.datasources.catalog import TABLE, VIEW

TableKind: TypeAlias = Annotated[str, one_of(TABLE, VIEW), Field(examples=[TABLE])]
ColumnNames: TypeAlias = Annotated[list[str], Field(examples=[["id"]])]
Comment: TypeAlias = Annotated[str | None, Field(description="The comment in the database.", examples=[None])]

SchemaNames = TypeAliasType("SchemaNames", Wrapped[Annotated[list[str], Field(examples=[["main"]])]])


@answer
class TableSummary(TypedDict):
    """A table or a view of a schema."""

    name: Annotated[str, Field(examples=["orders"])]
    type: TableKind
    schemaName: Annotated[str, Field(examples=["main"])]
    databaseId: Id


TableList = TypeAliasType("TableList", Wrapped[list[TableSummary]])


@answer
class TableKey(TypedDict):
    """The primary key of a table; empty if it has none."""

    type: NotRequired[Annotated[str, Field(examples=["pk"])]]
    column_names: NotRequired[ColumnNames]


@answer
class TableColumn(TypedDict):
    """A column of a table."""

    name: Annotated[str, Field(examples=["amount"])]
    type: Annotated[str, Field(examples=["DECIMAL"])]
    """The type without its arguments."""
    longType: Annotated[str, Field(examples=["DECIMAL(10, 2)"])]
    """The type in the words of the database."""
    keys: list[TableKey]
    """The primary key, if the column belongs to it."""
    comment: Comment


@answer
class TableForeignKey(TypedDict):
    """A foreign key of a table."""

    column_names: ColumnNames
    referred_table: Annotated[str, Field(examples=["customers"])]
    referred_schema: Annotated[str | None, Field(examples=["main"])]
    referred_columns: ColumnNames


@answer
class TableIndex(TypedDict):
    """An index of a table."""

    name: Annotated[str, Field(examples=["orders_by_customer"])]
    column_names: ColumnNames
    unique: Annotated[bool, Field(examples=[False])]


@answer
class TableDetails(TypedDict):
    """A table or a view: its columns, keys and indexes."""

    name: Annotated[str, Field(examples=["orders"])]
    columns: list[TableColumn]
    primaryKey: TableKey
    foreignKeys: list[TableForeignKey]
    indexes: list[TableIndex]
    comment: Comment
    selectStar: Annotated[str, Field(examples=["SELECT *\nFROM main.orders\nLIMIT 100"])]
    """The SQL that reads the first rows."""


SelectStar = TypeAliasType(
    "SelectStar", Wrapped[Annotated[str, Field(examples=["SELECT *\nFROM main.orders\nLIMIT 100"])]]
)


@answer
class TableExistence(TypedDict):
    """Whether a table or a view exists."""

    exists: Annotated[bool, Field(examples=[True])]
    type: TableKind | None
    resolved_name: Annotated[str | None, Field(examples=["orders"])]
    """The name as the database writes it."""


TableExistenceResponse = TypeAliasType("TableExistenceResponse", Wrapped[TableExistence])


@answer
class FoundTable(TypedDict):
    """A table or a view that was found."""

    schema: Annotated[str, Field(examples=["main"])]
    name: Annotated[str, Field(examples=["orders"])]
    type: TableKind


@answer
class FoundTables(TypedDict):
    """The tables whose names contain a text."""

    pattern: Annotated[str, Field(examples=["order"])]
    count: Annotated[int, Field(examples=[1])]
    results: list[FoundTable]


FoundTablesResponse = TypeAliasType("FoundTablesResponse", Wrapped[FoundTables])


@answer
class FunctionNames(TypedDict):
    """The functions of a database."""

    functions: Annotated[list[str], Field(examples=[["abs", "avg"]])]
    count: Annotated[int, Field(examples=[2])]
    """The number of functions in this answer."""
    total: Annotated[int, Field(examples=[2])]
    """The number of all functions whose names contain the text."""
    backend: Annotated[str, Field(examples=["duckdb"])]
    """The kind of the database, by SQLAlchemy's name."""
    filter: NotRequired[Annotated[str, Field(examples=["a"])]]
    """The text, if there was one."""
    note: NotRequired[
        Annotated[str, Field(examples=["Databases of the kind 'mssql' are not asked for functions"])]
    ]
    """The reason, if the functions of the database are not known."""


FunctionNamesResponse = TypeAliasType("FunctionNamesResponse", Wrapped[FunctionNames])
