"""The catalogs of databases queried through SQLAlchemy."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, inspect, text
from sqlalchemy.engine import Dialect

from airflow_provider_pushmetrics.service.datasources.catalog import (
    TABLE,
    VIEW,
    CatalogColumn,
    ForeignKey,
    Index,
    TableDescription,
    TableName,
)

OWN_SCHEMAS = ("information_schema", "performance_schema", "mysql", "sys")
OWN_PREFIX = "pg_"

FUNCTIONS: Mapping[str, str] = {
    "postgresql": "SELECT DISTINCT proname FROM pg_catalog.pg_proc WHERE prokind <> 'p' ORDER BY 1",
    "sqlite": "SELECT DISTINCT name FROM pragma_function_list WHERE name GLOB '[a-z]*' ORDER BY 1",
}
"""The queries that list functions, by dialect."""


class SqlCatalog:
    """
    A catalog based on SQLAlchemy's inspector.

    :param connection: A connection; its owner converts errors to ``SourceError``.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._inspector = inspect(connection)

    @property
    def backend(self) -> str:
        """The kind of the database."""
        return self._connection.dialect.name

    @property
    def dialect(self) -> Dialect:
        """The database's dialect."""
        return self._connection.dialect

    def list_schemas(self) -> list[str]:
        """List the schemas, without system schemas."""
        names = self._inspector.get_schema_names()
        return [name for name in names if name not in OWN_SCHEMAS and not name.startswith(OWN_PREFIX)]

    def list_tables(self, schema: str) -> list[TableName]:
        if schema not in self._inspector.get_schema_names():
            return []
        tables = [TableName(schema, name, TABLE) for name in self._inspector.get_table_names(schema)]
        views = [TableName(schema, name, VIEW) for name in self._inspector.get_view_names(schema)]
        return sorted(tables + views, key=lambda one: one.name)

    def describe(self, name: TableName) -> TableDescription:
        where = name.name, name.schema
        columns = [
            CatalogColumn(column["name"], str(column["type"]), column.get("comment"))
            for column in self._inspector.get_columns(*where)
        ]
        return TableDescription(
            columns,
            self._inspector.get_pk_constraint(*where)["constrained_columns"],
            self._list_foreign_keys(*where),
            self._list_indexes(*where),
            self._find_comment(*where),
        )

    def list_functions(self) -> list[str] | None:
        """List the functions, if the dialect is supported."""
        query = FUNCTIONS.get(self.dialect.name)
        return None if query is None else list(self._connection.scalars(text(query)))

    def _list_foreign_keys(self, name: str, schema: str) -> list[ForeignKey]:
        return [
            ForeignKey(
                key["constrained_columns"],
                key["referred_table"],
                key["referred_schema"],
                key["referred_columns"],
            )
            for key in self._inspector.get_foreign_keys(name, schema)
        ]

    def _list_indexes(self, name: str, schema: str) -> list[Index]:
        return [
            Index(str(index["name"]), list(map(str, index["column_names"])), bool(index["unique"]))
            for index in self._inspector.get_indexes(name, schema)
        ]

    def _find_comment(self, name: str, schema: str) -> str | None:
        try:
            return self._inspector.get_table_comment(name, schema)["text"]
        except NotImplementedError:
            return None  # SQLite has none
