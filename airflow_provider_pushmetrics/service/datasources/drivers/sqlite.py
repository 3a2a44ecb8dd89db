"""
SQLite files, queried through Python's driver.

SQLite stores each value with its own type: a column gets the narrowest type that
holds all its values. (The ADBC driver uses the type of the first 1,024 rows, and converts integers and
decimals to floating point.)
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

from sqlalchemy.engine import URL

from airflow_provider_pushmetrics.service.datasources.base import (
    NOT_ONE_SELECT,
    RowBatches,
    SourceError,
    Stopper,
    check_between,
    refuse_same_names,
)
from airflow_provider_pushmetrics.service.datasources.catalog import Catalog
from airflow_provider_pushmetrics.service.datasources.columns.python_values import list_columns, read_batches
from airflow_provider_pushmetrics.service.datasources.columns.row_batches import convert_batches
from airflow_provider_pushmetrics.service.datasources.drivers.sqlalchemy import SqlAlchemyBrowser
from airflow_provider_pushmetrics.service.datasources.limits import QueryLimits
from airflow_provider_pushmetrics.service.datasources.read_only import authorize_query
from airflow_provider_pushmetrics.service.templates.binding import BoundSql
from airflow_provider_pushmetrics.service.templates.dialects import SQLITE, Dialect

BUSY_SECONDS = 10.0


class SqliteSource:
    """
    A SQLite file. It is open only while a query runs, so that a replaced file is read.

    SQLite has no session time zone: its date functions use UTC.

    :param path: The file.
    :param temp_dir: The folder for rows until the types of their columns are known.
    """

    dialect: Dialect = SQLITE

    def __init__(self, path: Path, temp_dir: Path) -> None:
        self._path = path
        self._temp_dir = temp_dir

    @contextmanager
    def query(
        self, sql: BoundSql, stopper: Stopper, *, limits: QueryLimits, time_zone: str
    ) -> Iterator[RowBatches]:
        """Run a query; queries may run concurrently."""
        with closing(_connect(self._path, limits.max_value_bytes)) as connection:
            stopper.register(connection.interrupt)
            try:
                with translate_errors(stopper, limits.max_value_bytes):
                    cursor = connection.execute(sql.write(lambda number: f"?{number} "), sql.values)
                if cursor.description is None:
                    raise SourceError(NOT_ONE_SELECT)
                names = [str(column[0]) for column in cursor.description]
                refuse_same_names(names)
                batches = check_between(read_batches(names, cursor), stopper)
                with (
                    translate_errors(stopper, limits.max_value_bytes),
                    convert_batches(
                        list_columns(names), batches, max_rows=limits.max_rows, temp_dir=self._temp_dir
                    ) as rows,
                ):
                    yield rows
            finally:
                stopper.register(None)

    def open_catalog(self, stopper: Stopper) -> AbstractContextManager[Catalog]:
        return SqlAlchemyBrowser(build_read_only_url(self._path)).open_catalog(stopper)

    def close(self) -> None:
        """Close nothing: a connection lives as long as its query."""


def build_read_only_url(path: Path) -> URL:
    """
    Build the read-only URL of a SQLite file.

    :raises SourceError: if it is not a file.
    """
    if not path.is_file():
        raise SourceError(f"the SQLite file {path.name!r} does not exist.")
    return URL.create("sqlite+pysqlite", database=path.as_uri(), query={"mode": "ro", "uri": "true"})


@contextmanager
def translate_errors(stopper: Stopper, max_value_bytes: int) -> Iterator[None]:
    """Turn the driver's errors into ours."""
    try:
        yield
    except (sqlite3.Error, OverflowError) as error:
        message = str(error)
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_TOOBIG or isinstance(
            error, sqlite3.DataError
        ):
            message = f"a value or a row has more than {max_value_bytes:,} bytes, the limit: {message}."
        raise SourceError(stopper.reason or message) from error


def _connect(path: Path, max_value_bytes: int) -> sqlite3.Connection:
    if not path.is_file():
        raise SourceError(f"the SQLite file {path.name!r} does not exist.")
    try:
        connection = sqlite3.connect(
            f"{path.as_uri()}?mode=ro",
            uri=True,
            timeout=BUSY_SECONDS,
            check_same_thread=False,  # it is interrupted from another thread
        )
    except sqlite3.Error as error:
        raise SourceError(f"the SQLite file {path.name!r} cannot be opened: {error}") from error
    # A file opened read-only still lets VACUUM INTO and ATTACH write others.
    connection.set_authorizer(authorize_query)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, max_value_bytes)
    return connection
