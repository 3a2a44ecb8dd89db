"""Files of DuckDB."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import duckdb
import pyarrow as pa

from airflow_provider_pushmetrics.service.datasources.base import (
    NOT_ONE_SELECT,
    RowBatches,
    SourceError,
    Stopper,
    check_between,
    refuse_same_names,
)
from airflow_provider_pushmetrics.service.datasources.catalog import Catalog
from airflow_provider_pushmetrics.service.datasources.columns.base import quote, write_too_large
from airflow_provider_pushmetrics.service.datasources.columns.delivery import deliver
from airflow_provider_pushmetrics.service.datasources.columns.duckdb import (
    list_columns,
    write_projection,
)
from airflow_provider_pushmetrics.service.datasources.drivers.duckdb_catalog import DuckDbCatalog
from airflow_provider_pushmetrics.service.datasources.limits import QueryLimits
from airflow_provider_pushmetrics.service.datasources.statements import strip_end
from airflow_provider_pushmetrics.service.templates.binding import BoundSql
from airflow_provider_pushmetrics.service.templates.dialects import DUCKDB, Dialect

BATCH_ROWS = 8_192

SPILL_FACTOR = 20
"""How many times its memory a query may write to disk."""

OWN_NAMES = frozenset({"main", "memory", "system", "temp"})
"""Databases that DuckDB has itself."""

LIMITED_FUNCTIONS = {
    "repeat(s, n)": ("length(CAST(s AS VARCHAR)) * n", "repeat(s, {n})"),
    "lpad(s, n, p)": ("n", "lpad(s, {n}, p)"),
    "rpad(s, n, p)": ("n", "rpad(s, {n}, p)"),
}
"""
Functions that make a large value of a small one at once, how many characters they make, and their call.

DuckDB does not count the memory of a value that it is making, and cannot be interrupted meanwhile. It calls
functions of constants before it looks at a ``CASE`` around them, so the limit is in their argument ``n``.
"""

FAILURES = (duckdb.Error, TypeError, OverflowError)
"""Beside its own errors, DuckDB raises Python's for values that no SQL type can hold."""


@dataclass
class _OpenFile:
    """
    A database file that is open.

    :param version: Which file it was: another one may have taken its place since.
    :param instances: The databases that have it, by their time zone: their settings are locked.
    :param users: How many queries run on it.
    """

    version: tuple[int, int, int]
    instances: dict[str, duckdb.DuckDBPyConnection] = field(default_factory=dict)
    users: int = 0

    def close(self) -> None:
        """Close all at once: what closes the file gives back the lock of the whole process."""
        for instance in self.instances.values():
            instance.close()


class DuckDbSource:
    """
    A DuckDB file, opened to read only, and shut off from the file system and the network.

    It is open only while a query runs, so that others can write to it between two queries, or replace it.

    :param path: The database file.
    :param temp_dir: Where queries spill what does not fit in their memory.
    """

    dialect: Dialect = DUCKDB

    def __init__(self, path: Path, temp_dir: Path) -> None:
        self._path = path
        self._temp_dir = temp_dir
        self._lock = threading.Lock()
        self._open: _OpenFile | None = None

    @contextmanager
    def query(
        self, sql: BoundSql, stopper: Stopper, *, limits: QueryLimits, time_zone: str
    ) -> Iterator[RowBatches]:
        """Run a query; any number of them run at the same time, and share the memory of one."""
        with self._using_file(limits, time_zone) as connection, connection.cursor() as cursor:
            cursor.execute(f"USE {quote(self._name)}")
            with query_duckdb(
                cursor, sql, stopper, limits, temp_dir=self._temp_dir, hidden=self._path.parent
            ) as rows:
                yield rows

    def open_catalog(self, stopper: Stopper) -> AbstractContextManager[Catalog]:
        """Look around in the file."""
        return nullcontext(DuckDbCatalog(self, stopper))

    def close(self) -> None:
        """Close nothing: the file is open only while a query runs."""

    @property
    def _name(self) -> str:
        return "database" if self._path.stem.lower() in OWN_NAMES else self._path.stem

    @contextmanager
    def _using_file(self, limits: QueryLimits, time_zone: str) -> Iterator[duckdb.DuckDBPyConnection]:
        with self._lock:
            version = self._find_version()
            if self._open is None or self._open.version != version:
                self._open = _OpenFile(version)
            file = self._open
            if time_zone not in file.instances:
                file.instances[time_zone] = self._attach(limits, time_zone)
            file.users += 1
        try:
            yield file.instances[time_zone]
        finally:
            with self._lock:
                file.users -= 1
                if file.users == 0:
                    file.close()
                    self._open = None if self._open is file else self._open

    def _find_version(self) -> tuple[int, int, int]:
        try:
            found = os.stat(self._path)
        except OSError:
            raise SourceError(f"the DuckDB file {self._path.name!r} does not exist.") from None
        return found.st_dev, found.st_ino, found.st_mtime_ns

    def _attach(self, limits: QueryLimits, time_zone: str) -> duckdb.DuckDBPyConnection:
        connection = connect(limits, self._temp_dir, time_zone)
        try:
            file = str(self._path).replace("'", "''")
            connection.execute(f"ATTACH '{file}' AS {quote(self._name)} (READ_ONLY)")
            lock(connection)
        except duckdb.Error as error:
            connection.close()
            raise SourceError(hide_path(str(error), self._path.parent)) from error
        return connection


def connect(limits: QueryLimits, temp_dir: Path, time_zone: str) -> duckdb.DuckDBPyConnection:
    """
    Open a DuckDB without a file, that takes no more memory than a query may.

    :raises SourceError: if there is no such time zone.
    """
    temp_dir.mkdir(parents=True, exist_ok=True)
    connection = duckdb.connect(
        ":memory:",
        config={
            "memory_limit": f"{limits.max_memory_bytes}B",
            "temp_directory": str(temp_dir),
            "max_temp_directory_size": f"{limits.max_memory_bytes * SPILL_FACTOR}B",
            "allow_community_extensions": "false",
            "autoinstall_known_extensions": "false",
        },
    )
    try:
        connection.execute(f"SET GLOBAL TimeZone = '{time_zone.replace(chr(39), '')}'")
    except duckdb.Error as error:
        connection.close()
        raise SourceError(str(error)) from error
    return connection


def lock(connection: duckdb.DuckDBPyConnection) -> None:
    """Shut a DuckDB off from the file system and the network, and let nothing change its settings."""
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


@contextmanager
def query_duckdb(
    cursor: duckdb.DuckDBPyConnection,
    sql: BoundSql,
    stopper: Stopper,
    limits: QueryLimits,
    *,
    temp_dir: Path,
    hidden: Path,
) -> Iterator[RowBatches]:
    """
    Run a query on a connection.

    :param hidden: The folder that no message names.
    :raises SourceError: with DuckDB's message.
    """

    @contextmanager
    def translating() -> Iterator[None]:
        try:
            yield
        except (*FAILURES, pa.ArrowException, OSError) as error:
            # Errors between two batches come through Arrow.
            message = _write_message(error, limits)
            raise SourceError(stopper.reason or hide_path(message, hidden)) from error

    stopper.register(cursor.interrupt)
    try:
        with translating():
            _limit_functions(cursor, limits.max_value_bytes)
            relation = _start_query(cursor, strip_end(sql, "duckdb"))
            refuse_same_names(relation.columns)
            types = relation.types
            projection = ", ".join(map(write_projection, count(1), relation.columns, types))
            reader = relation.project(projection).to_arrow_reader(BATCH_ROWS)
        columns = list_columns(types, reader.schema, limits.max_value_bytes)

        def read() -> Iterator[pa.RecordBatch]:
            with translating():
                yield from check_between(reader, stopper)

        with deliver(columns, read(), max_rows=limits.max_rows, temp_dir=temp_dir) as rows:
            yield rows
    finally:
        stopper.register(None)


def hide_path(message: str, folder: Path) -> str:
    """Take the place of the files out of a message: it is no business of who asks them."""
    return message.replace(f"{folder}{os.sep}", "").replace(str(folder), "")


def _limit_functions(cursor: duckdb.DuckDBPyConnection, max_value_bytes: int) -> None:
    """Let functions fail that would make too large a value, by macros of their names."""
    message = write_too_large(max_value_bytes)
    for head, (size, call) in LIMITED_FUNCTIONS.items():
        checked = f"CASE WHEN {size} > {max_value_bytes} THEN error('{message}') ELSE n END"
        cursor.execute(f"CREATE OR REPLACE TEMP MACRO {head} AS system.main.{call.format(n=checked)}")


def _write_message(error: Exception, limits: QueryLimits) -> str:
    if isinstance(error, duckdb.OutOfMemoryException):
        return (
            f"the query needs more than {limits.max_memory_bytes:,} bytes of memory, the limit: select or"
            " sort less, or aggregate before."
        )
    return str(error)


def _start_query(cursor: duckdb.DuckDBPyConnection, sql: BoundSql) -> duckdb.DuckDBPyRelation:
    statements = cursor.extract_statements(sql.write(lambda number: f"${number}"))
    # COPY, EXPORT, ATTACH and SET change something; what DuckDB itself calls a SELECT cannot.
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise SourceError(NOT_ONE_SELECT)
    relation = cursor.sql(statements[0], params=list(sql.values) or None)
    if relation is None:
        raise SourceError(NOT_ONE_SELECT)
    return relation
