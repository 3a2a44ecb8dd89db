"""The databases that SQL blocks ask."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_pushmetrics.exceptions import PushMetricsError
from airflow_provider_pushmetrics.service.database import Database
from airflow_provider_pushmetrics.service.encryption import Vault
from airflow_provider_pushmetrics.service.models import DataSource
from airflow_provider_pushmetrics.service.templating import BoundSql

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

DUCKDB = "duckdb"
BATCH_ROWS = 65_536


class SourceError(PushMetricsError):
    """A database refused a query, in its own words."""


@dataclass(frozen=True)
class RowBatches:
    """
    The rows of a query.

    :param schema: The columns.
    :param batches: The rows, batch by batch; a :class:`SourceError` may come between any two.
    """

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]


class Source(Protocol):
    """A database that can be asked."""

    def query(self, sql: BoundSql) -> AbstractContextManager[RowBatches]:
        """
        Run a query and give its rows, batch by batch; used as a context.

        :raises SourceError: with the database's message.
        """

    def close(self) -> None:
        """Close all connections."""


class DuckDbSource:
    """
    A DuckDB file, opened to read only, and shut off from the file system and the network.

    :param path: The database file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection: duckdb.DuckDBPyConnection | None = None

    @contextmanager
    def query(self, sql: BoundSql) -> Iterator[RowBatches]:
        """Run a query; any number of them run at the same time."""
        import duckdb

        with self._open().cursor() as cursor:
            try:
                reader = _start_query(cursor, sql)
            except (duckdb.Error, TypeError, OverflowError) as error:
                # Beside its own errors, DuckDB raises Python's for values that no SQL type can hold.
                raise SourceError(str(error)) from error
            _refuse_same_names(reader.schema.names)
            yield RowBatches(reader.schema, _read_batches(reader))

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


def _start_query(cursor: duckdb.DuckDBPyConnection, sql: BoundSql) -> pa.RecordBatchReader:
    statements = cursor.extract_statements(sql.write(lambda number: f"${number}"))
    relation = None
    if len(statements) == 1:
        relation = cursor.sql(statements[0], params=list(sql.values) or None)
    if relation is None:
        raise SourceError("the SQL is not one statement that gives rows: write one SELECT.")
    return relation.to_arrow_reader(BATCH_ROWS)


def _refuse_same_names(names: Sequence[str]) -> None:
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise SourceError(f"several columns are called {', '.join(twice)}: give each a name with AS.")


def _read_batches(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    try:
        yield from reader
    except (pa.ArrowException, OSError) as error:
        # This is how DuckDB's errors come through Arrow when they happen between two batches.
        raise SourceError(str(error)) from error


class SourceRegistry:
    """
    Opens databases by their id and keeps them open.

    :param database: Where it says what and where they are.
    :param vault: Decrypts where they are.
    :param data_dir: What relative paths of files are relative to.
    """

    def __init__(self, database: Database, vault: Vault, data_dir: Path) -> None:
        self._database = database
        self._vault = vault
        self._data_dir = data_dir
        self._lock = threading.Lock()
        self._open: dict[str, Source] = {}

    def open(self, source_id: Any) -> Source:
        """
        Open a database, or find it open.

        :raises SourceError: if there is none with this id, or no client for its kind.
        """
        with self._database.reading() as session:
            row = session.get(DataSource, source_id) if isinstance(source_id, int) else None
        if row is None:
            raise SourceError(f"there is no database with the id {source_id!r}.")
        if row.kind != DUCKDB:
            raise SourceError(f"databases of the kind {row.kind!r} cannot be asked: only {DUCKDB!r} can.")
        location = self._vault.decrypt(row.location_encrypted)
        with self._lock:
            return self._open.setdefault(location, DuckDbSource(self._data_dir / location))

    def close(self) -> None:
        """Close all of them."""
        with self._lock:
            for source in self._open.values():
                source.close()
            self._open.clear()
