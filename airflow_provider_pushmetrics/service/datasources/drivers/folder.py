"""Folders of CSV and Parquet files, asked through DuckDB."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import duckdb

from airflow_provider_pushmetrics.service.datasources.base import RowBatches, SourceError, Stopper
from airflow_provider_pushmetrics.service.datasources.catalog import Catalog
from airflow_provider_pushmetrics.service.datasources.columns.base import quote
from airflow_provider_pushmetrics.service.datasources.drivers.duckdb import (
    connect,
    hide_path,
    lock,
    query_duckdb,
)
from airflow_provider_pushmetrics.service.datasources.drivers.duckdb_catalog import DuckDbCatalog
from airflow_provider_pushmetrics.service.datasources.limits import QueryLimits
from airflow_provider_pushmetrics.service.templates.binding import BoundSql
from airflow_provider_pushmetrics.service.templates.dialects import DUCKDB, Dialect

FILE_READERS = {
    # All rows decide the types of a CSV file, not its first ones.
    ".csv": "read_csv('{}', sample_size = -1)",
    ".parquet": "read_parquet('{}')",
}
"""How the files of a folder are read, by their extension."""

LISTING_WORDS = ("information_schema", "duckdb_", "sqlite_master", "pg_catalog", "show")
"""Words in queries that list tables: all files are tables then."""


class FolderSource:
    """
    A folder of CSV and Parquet files, each a table of the name of its file, and nothing else of the machine.

    Only the files whose names stand in a query are opened.

    :param path: The folder; of its files, those that are links to the outside are left out.
    :param temp_dir: Where queries spill what does not fit in their memory.
    """

    dialect: Dialect = DUCKDB

    def __init__(self, path: Path, temp_dir: Path) -> None:
        self._path = path.resolve()
        self._temp_dir = temp_dir

    @contextmanager
    def query(
        self, sql: BoundSql, stopper: Stopper, *, limits: QueryLimits, time_zone: str
    ) -> Iterator[RowBatches]:
        """Run a query over the files that are there now."""
        tables = select_named(self._find_tables(), sql)
        with connect(limits, self._temp_dir, time_zone) as connection:
            # Only the tables' files, not the folder: DuckDB would follow links in it, and write to it.
            connection.execute("SET allowed_paths = $1", [[str(path) for path in tables.values()]])
            lock(connection)
            broken = self._define_tables(connection, tables)
            try:
                with query_duckdb(
                    connection, sql, stopper, limits, temp_dir=self._temp_dir, hidden=self._path
                ) as rows:
                    yield rows
            except SourceError as error:
                # A name may stand in the query without that it is a table's: it fails only if it must.
                if not broken or stopper.reason is not None:
                    raise
                raise SourceError(f"{error}\n" + "\n".join(broken)) from error

    def open_catalog(self, stopper: Stopper) -> AbstractContextManager[Catalog]:
        """Look around in the folder."""
        return nullcontext(DuckDbCatalog(self, stopper))

    def close(self) -> None:
        """Close nothing: a connection lives as long as its query."""

    def _find_tables(self) -> dict[str, Path]:
        """Find the files by the names of their tables, with all links followed."""
        found = {}
        try:
            entries = sorted(self._path.iterdir())
        except OSError:
            raise SourceError(f"the folder {self._path.name!r} does not exist.") from None
        for entry in entries:
            path = entry.resolve()
            if path.suffix.lower() in FILE_READERS and path.is_file() and path.is_relative_to(self._path):
                found[entry.stem] = path
        return found

    def _define_tables(self, connection: duckdb.DuckDBPyConnection, tables: Mapping[str, Path]) -> list[str]:
        """Define the tables, and give what is wrong with those that cannot be."""
        broken = []
        for table, path in tables.items():
            reader = FILE_READERS[path.suffix.lower()].format(str(path).replace("'", "''"))
            try:
                connection.execute(f"CREATE OR REPLACE VIEW {quote(table)} AS SELECT * FROM {reader}")
            except duckdb.Error as error:
                broken.append(f"{path.name}: {hide_path(str(error), self._path)}")
        return broken


def select_named(tables: Mapping[str, Path], sql: BoundSql) -> dict[str, Path]:
    """Select the tables whose names stand in a query, or all if it lists tables."""
    text = "".join(sql.parts).lower()
    if any(word in text for word in LISTING_WORDS):
        return dict(tables)
    return {table: path for table, path in tables.items() if table.lower() in text}
