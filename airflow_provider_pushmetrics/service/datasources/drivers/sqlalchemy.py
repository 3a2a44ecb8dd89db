"""Databases queried or inspected through SQLAlchemy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, CursorResult, Engine, create_engine, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from airflow_provider_pushmetrics.redaction import redact
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
from airflow_provider_pushmetrics.service.datasources.drivers.keepalive import LIBPQ_OPTIONS
from airflow_provider_pushmetrics.service.datasources.drivers.sqlalchemy_catalog import SqlCatalog
from airflow_provider_pushmetrics.service.datasources.limits import QueryLimits
from airflow_provider_pushmetrics.service.datasources.read_only import make_read_only
from airflow_provider_pushmetrics.service.templates.binding import BoundSql
from airflow_provider_pushmetrics.service.templates.dialects import get_dialect

BUFFERED_ROWS = 1000

CONNECT_SECONDS = 10
"""The time limit of connecting, unless the URL has one: a firewall may drop what it does not let pass."""

CATALOG_READ_SECONDS = 30
"""The maximum silence of a server that is asked for its catalog, for drivers that cannot be interrupted."""

CONNECT_ARGUMENTS: dict[str, dict[str, Any]] = {
    "psycopg": {
        "connect_timeout": CONNECT_SECONDS,
        **LIBPQ_OPTIONS,
        # Named statements outlive their transaction, which poolers such as PgBouncer do not support.
        "prepare_threshold": None,
    },
    "pymysql": {
        "connect_timeout": CONNECT_SECONDS,
        "read_timeout": CATALOG_READ_SECONDS,
        "write_timeout": CATALOG_READ_SECONDS,
    },
    "pymssql": {"login_timeout": CONNECT_SECONDS},
    # The system looks each minute whether the server is still there.
    "oracledb": {"tcp_connect_timeout": float(CONNECT_SECONDS), "expire_time": 1},
}
"""Connect arguments by driver; an option of the URL replaces one."""


class SqlAlchemyBrowser:
    """
    Inspects a database. Nothing is ever committed in it.

    :param url: Its URL.
    """

    def __init__(self, url: URL) -> None:
        self._secrets = () if url.password is None else (str(url.password),)
        arguments = CONNECT_ARGUMENTS.get(url.get_driver_name(), {})
        self.engine: Engine = create_engine(
            url,
            poolclass=NullPool,
            hide_parameters=True,
            connect_args={name: value for name, value in arguments.items() if name not in url.query},
        )
        make_read_only(self.engine)

    @contextmanager
    def open_catalog(self, stopper: Stopper) -> Iterator[Catalog]:
        """
        Open a connection for the catalog.

        :raises SourceError: with the database's message.
        """
        with self.connect(stopper) as connection:
            yield SqlCatalog(connection)

    @contextmanager
    def connect(self, stopper: Stopper) -> Iterator[Connection]:
        """
        Open a connection that is rolled back.

        :raises SourceError: with the database's message.
        """
        with self.translating(stopper), self.engine.connect() as connection:
            stopper.register(_find_interrupt(connection))
            try:
                yield connection
            finally:
                stopper.register(None)
                connection.rollback()

    @contextmanager
    def translating(self, stopper: Stopper) -> Iterator[None]:
        """Turn errors of SQLAlchemy and its drivers into ours."""
        try:
            yield
        except (SQLAlchemyError, ArithmeticError, ValueError, TypeError) as error:
            # Drivers raise Python's own errors for values that they cannot bind or read.
            said = str(getattr(error, "orig", None) or error) or type(error).__name__
            raise SourceError(stopper.reason or redact(said.strip(), *self._secrets)) from error

    def close(self) -> None:
        self.engine.dispose()


class SqlAlchemySource:
    """
    A database whose SQLAlchemy driver returns Python's values: SQL Server, Oracle, and others.

    A column gets the narrowest type that holds all its values, because drivers describe their columns in
    different ways, if at all.

    :param url: Its URL.
    :param temp_dir: The folder for rows until the types of their columns are known.
    """

    def __init__(self, url: URL, temp_dir: Path) -> None:
        self.dialect = get_dialect(url.get_backend_name())
        self._browser = SqlAlchemyBrowser(url)
        self._temp_dir = temp_dir

    @contextmanager
    def query(
        self, sql: BoundSql, stopper: Stopper, *, limits: QueryLimits, time_zone: str
    ) -> Iterator[RowBatches]:
        """Run a query; queries may run concurrently."""
        with self._browser.connect(stopper) as connection:
            _prepare_session(connection, time_zone)
            for setting in self.dialect.transaction_settings:
                connection.exec_driver_sql(setting)
            result = _execute(connection, sql)
            names = list(result.keys())
            refuse_same_names(names)
            batches = check_between(read_batches(names, result), stopper)
            with convert_batches(
                list_columns(names), batches, max_rows=limits.max_rows, temp_dir=self._temp_dir
            ) as rows:
                yield rows

    def open_catalog(self, stopper: Stopper) -> AbstractContextManager[Catalog]:
        return self._browser.open_catalog(stopper)

    def close(self) -> None:
        self._browser.close()


def _prepare_session(connection: Connection, time_zone: str) -> None:
    if connection.dialect.name != "oracle":
        return  # SQL Server has no session time zone
    connection.exec_driver_sql(f"ALTER SESSION SET TIME_ZONE = '{time_zone.replace(chr(39), '')}'")
    driver: Any = connection.connection.driver_connection
    driver.outputtypehandler = _read_exactly


def _read_exactly(cursor: Any, metadata: Any) -> Any:
    """Let the driver of Oracle return exact numbers, and texts and bytes instead of LOB locators."""
    import oracledb

    kinds = {
        oracledb.DB_TYPE_NUMBER: Decimal,
        oracledb.DB_TYPE_CLOB: oracledb.DB_TYPE_LONG,
        oracledb.DB_TYPE_NCLOB: oracledb.DB_TYPE_LONG_NVARCHAR,
        oracledb.DB_TYPE_BLOB: oracledb.DB_TYPE_LONG_RAW,
    }
    kind = kinds.get(metadata.type_code)
    return None if kind is None else cursor.var(kind, arraysize=cursor.arraysize)


def _execute(connection: Connection, sql: BoundSql) -> CursorResult[Any]:
    """Run the SQL; its own colons are escaped, so that values are bound only by our names."""
    escaped = BoundSql(tuple(part.replace(":", "\\:") for part in sql.parts), sql.values)
    statement = text(escaped.write(lambda number: f":value_{number} "))
    values = {f"value_{number}": value for number, value in enumerate(sql.values, start=1)}
    streaming = connection.execution_options(stream_results=True, max_row_buffer=BUFFERED_ROWS)
    result = streaming.execute(statement, values)
    if not result.returns_rows:
        raise SourceError(NOT_ONE_SELECT)
    return result


def _find_interrupt(connection: Connection) -> Callable[[], None] | None:
    """Find how this driver interrupts a query; not all of them can."""
    driver: Any = connection.connection.driver_connection
    for name in ("interrupt", "cancel"):
        interrupt = getattr(driver, name, None)
        if callable(interrupt):
            return lambda: interrupt()
    return None
