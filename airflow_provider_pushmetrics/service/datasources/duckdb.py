"""DuckDB files, and folders of CSV and Parquet files."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_pushmetrics.service.datasources.base import (
    NOT_ONE_SELECT,
    RowBatches,
    SourceError,
    Stopper,
    refuse_same_names,
)
from airflow_provider_pushmetrics.service.datasources.limits import QueryLimits
from airflow_provider_pushmetrics.service.templates.binding import BoundSql
from airflow_provider_pushmetrics.service.templates.dialects import DUCKDB, Dialect

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

BATCH_ROWS = 65_536

FILE_READERS = {".csv": "read_csv", ".parquet": "read_parquet"}
"""How the files of a folder are read, by their extension."""


class DuckDbSource:
    """
    A DuckDB file, opened to read only, and shut off from the file system and the network.

    :param path: The database file.
    """

    dialect: Dialect = DUCKDB

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection: duckdb.DuckDBPyConnection | None = None

    @contextmanager
    def query(
        self, sql: BoundSql, stopper: Stopper, *, limits: QueryLimits, time_zone: str
    ) -> Iterator[RowBatches]:
        """Run a query; any number of them run at the same time."""
        with self._open().cursor() as cursor, _query_duckdb(cursor, sql, stopper) as rows:
            yield rows

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _open(self) -> duckdb.DuckDBPyConnection:
        import duckdb

        with self._lock:
            if self._connection is None:
                if not self._path.is_file():
                    raise SourceError(f"the DuckDB file {self._path.name!r} does not exist.")
                self._connection = duckdb.connect(
                    str(self._path),
                    read_only=True,
                    config={"enable_external_access": "false", "lock_configuration": "true"},
                )
            return self._connection


class FolderSource:
    """
    A folder of CSV and Parquet files, each a table of the name of its file, and nothing else of the machine.

    :param path: The folder; of its files, those that are links to the outside are left out.
    """

    dialect: Dialect = DUCKDB

    def __init__(self, path: Path) -> None:
        self._path = path.resolve()

    @contextmanager
    def query(
        self, sql: BoundSql, stopper: Stopper, *, limits: QueryLimits, time_zone: str
    ) -> Iterator[RowBatches]:
        """Run a query over the files that are there now."""
        import duckdb

        with duckdb.connect() as connection:
            tables = self._find_tables()
            # Only the tables' files, not the folder: DuckDB would follow links in it, and write to it.
            connection.execute("SET allowed_paths = $1", [[str(path) for path in tables.values()]])
            connection.execute("SET enable_external_access = false")
            connection.execute("SET lock_configuration = true")
            try:
                _define_tables(connection, tables)
            except duckdb.Error as error:
                raise SourceError(str(error)) from error
            with _query_duckdb(connection, sql, stopper) as rows:
                yield rows

    def close(self) -> None:
        """Close nothing: a connection lives as long as its query."""

    def _find_tables(self) -> dict[str, Path]:
        """Find the files by the names of their tables, with all links followed."""
        found = {}
        for entry in sorted(self._path.iterdir()):
            path = entry.resolve()
            if path.suffix.lower() in FILE_READERS and path.is_file() and path.is_relative_to(self._path):
                found[entry.stem] = path
        return found


def _define_tables(connection: duckdb.DuckDBPyConnection, tables: Mapping[str, Path]) -> None:
    for table, path in tables.items():
        name = table.replace('"', '""')
        file = str(path).replace("'", "''")
        reader = FILE_READERS[path.suffix.lower()]
        connection.execute(f"CREATE OR REPLACE VIEW \"{name}\" AS SELECT * FROM {reader}('{file}')")


@contextmanager
def _query_duckdb(
    connection: duckdb.DuckDBPyConnection, sql: BoundSql, stopper: Stopper
) -> Iterator[RowBatches]:
    import duckdb

    stopper.register(connection.interrupt)
    try:
        try:
            reader = _start_query(connection, sql)
        except (duckdb.Error, TypeError, OverflowError) as error:
            # Beside its own errors, DuckDB raises Python's for values that no SQL type can hold.
            raise SourceError(stopper.reason or str(error)) from error
        refuse_same_names(reader.schema.names)
        yield RowBatches(reader.schema, _read_batches(reader, stopper))
    finally:
        stopper.register(None)


def _start_query(cursor: duckdb.DuckDBPyConnection, sql: BoundSql) -> pa.RecordBatchReader:
    import duckdb

    statements = cursor.extract_statements(sql.write(lambda number: f"${number}"))
    # COPY, EXPORT and ATTACH write files; what DuckDB itself calls a SELECT cannot.
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise SourceError(NOT_ONE_SELECT)
    relation = cursor.sql(statements[0], params=list(sql.values) or None)
    return relation.to_arrow_reader(BATCH_ROWS)


def _read_batches(reader: pa.RecordBatchReader, stopper: Stopper) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    try:
        yield from reader
    except (pa.ArrowException, OSError) as error:
        # This is how DuckDB's errors come through Arrow when they happen between two batches.
        raise SourceError(stopper.reason or str(error)) from error
