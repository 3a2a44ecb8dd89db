"""The catalog of DuckDB files, and of folders of files."""

from __future__ import annotations

from typing import Any

from sqlalchemy.engine import Dialect, make_url

from airflow_provider_pushmetrics.service.datasources.base import UTC, Source, Stopper
from airflow_provider_pushmetrics.service.datasources.catalog import (
    TABLE,
    VIEW,
    CatalogColumn,
    TableDescription,
    TableName,
)
from airflow_provider_pushmetrics.service.datasources.limits import DEFAULT_LIMITS
from airflow_provider_pushmetrics.service.datasources.urls import DUCKDB
from airflow_provider_pushmetrics.service.templates.binding import BoundSql

SCHEMAS = """\
SELECT DISTINCT schema_name FROM duckdb_schemas()
WHERE NOT internal AND database_name = current_database()
UNION SELECT 'main' ORDER BY 1"""

TABLES = """\
SELECT table_name, table_type FROM information_schema.tables
WHERE table_catalog = current_database() AND table_schema = """

COLUMNS = """\
SELECT column_name, data_type, comment FROM duckdb_columns()
WHERE database_name = current_database() AND schema_name = """

PRIMARY_KEY = """\
SELECT unnest(constraint_column_names) FROM duckdb_constraints()
WHERE database_name = current_database() AND constraint_type = 'PRIMARY KEY' AND schema_name = """

FUNCTIONS = """\
SELECT DISTINCT function_name FROM duckdb_functions()
WHERE function_type IN ('scalar', 'aggregate', 'table', 'macro') AND regexp_matches(function_name, '^[a-z]')
ORDER BY 1"""


class DuckDbCatalog:
    """
    Reads the catalog of a DuckDB database.

    :param source: The database.
    :param stopper: Stops a query that takes too long.
    """

    def __init__(self, source: Source, stopper: Stopper) -> None:
        self._source = source
        self._stopper = stopper

    @property
    def backend(self) -> str:
        """The kind of the database."""
        return DUCKDB

    @property
    def dialect(self) -> Dialect:
        """DuckDB quotes and limits as PostgreSQL does."""
        return make_url("postgresql+psycopg://").get_dialect()()

    def list_schemas(self) -> list[str]:
        """List the schemas; ``main`` always exists."""
        return [str(name) for (name,) in self._select(SCHEMAS)]

    def list_tables(self, schema: str) -> list[TableName]:
        """List the tables and views of a schema; the files of a folder are views."""
        found = self._select(TABLES, schema, " ORDER BY 1")
        return [TableName(schema, name, VIEW if kind == "VIEW" else TABLE) for name, kind in found]

    def describe(self, name: TableName) -> TableDescription:
        """Describe a table: its columns and its primary key."""
        columns = self._select(
            COLUMNS, name.schema, " AND table_name = ", name.name, " ORDER BY column_index"
        )
        key = self._select(PRIMARY_KEY, name.schema, " AND table_name = ", name.name, "")
        return TableDescription([CatalogColumn(*column) for column in columns], [column for (column,) in key])

    def list_functions(self) -> list[str]:
        """List the functions, without operators."""
        return [str(name) for (name,) in self._select(FUNCTIONS)]

    def _select(self, *parts: str) -> list[tuple[Any, ...]]:
        """Run a query; every second part is a bound value."""
        sql = BoundSql(parts[::2], parts[1::2])
        with self._source.query(sql, self._stopper, limits=DEFAULT_LIMITS, time_zone=UTC) as rows:
            return [tuple(row.values()) for batch in rows.batches for row in batch.to_pylist()]
