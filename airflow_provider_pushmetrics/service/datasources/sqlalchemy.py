"""Databases that are asked through SQLAlchemy."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
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
    refuse_same_names,
)
from airflow_provider_pushmetrics.service.datasources.limits import QueryLimits
from airflow_provider_pushmetrics.service.datasources.read_only import make_read_only
from airflow_provider_pushmetrics.service.templates.binding import BoundSql
from airflow_provider_pushmetrics.service.templates.dialects import get_dialect

BATCH_ROWS = 10_000
DECIMAL_DIGITS = 38


class SqlAlchemySource:
    """
    A database with an SQLAlchemy dialect. Nothing is ever committed in it.

    :param url: Where it is.
    """

    def __init__(self, url: URL) -> None:
        self._url = url
        self.dialect = get_dialect(url.get_backend_name())
        self._engine: Engine = create_engine(url, poolclass=NullPool, hide_parameters=True)
        make_read_only(self._engine)

    @contextmanager
    def query(
        self, sql: BoundSql, stopper: Stopper, *, limits: QueryLimits, time_zone: str
    ) -> Iterator[RowBatches]:
        """Run a query; any number of them run at the same time."""
        try:
            with self._engine.connect() as connection:
                stopper.register(_find_interrupt(connection))
                try:
                    with self._translating(stopper):
                        for setting in self.dialect.transaction_settings:
                            connection.exec_driver_sql(setting)
                        result = _execute(connection, sql)
                        batches = _convert(result)
                    yield RowBatches(batches.schema, self._read(batches.batches, stopper))
                finally:
                    stopper.register(None)
                    connection.rollback()
        except SQLAlchemyError as error:
            raise self._build_error(error, stopper) from error

    @contextmanager
    def connect(self, stopper: Stopper) -> Iterator[Connection]:
        """
        Open a connection to look around by; nothing that is done on it stays.

        :raises SourceError: with the database's message.
        """
        with self._translating(stopper), self._engine.connect() as connection:
            stopper.register(_find_interrupt(connection))
            try:
                yield connection
            finally:
                stopper.register(None)
                connection.rollback()

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def _read(self, batches: Iterator[pa.RecordBatch], stopper: Stopper) -> Iterator[pa.RecordBatch]:
        with self._translating(stopper):
            for batch in batches:
                if stopper.reason is not None:
                    raise SourceError(stopper.reason)
                yield batch

    @contextmanager
    def _translating(self, stopper: Stopper) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, ArithmeticError, ValueError, TypeError) as error:
            # Drivers raise Python's own errors for values that they cannot bind or read.
            raise self._build_error(error, stopper) from error

    def _build_error(self, error: Exception, stopper: Stopper) -> SourceError:
        said = str(getattr(error, "orig", None) or error) or type(error).__name__
        password = None if self._url.password is None else str(self._url.password)
        return SourceError(stopper.reason or redact(said.strip(), *([password] if password else [])))


def refuse_own(url: URL, own: URL) -> None:
    """
    Refuse the database of the service itself, where everybody's secrets are.

    It is told by its name. Another name of its server is let through: its password must stay the service's.

    :raises SourceError: if it is that.
    """
    if url.get_backend_name() == own.get_backend_name() == "postgresql" and _name(url) == _name(own):
        raise SourceError("this database is the service's own: it cannot be asked.")


def _name(url: URL) -> tuple[str, str, str | None]:
    """Say where a PostgreSQL database is; the query of a URL can say it too."""
    query = {name: value for name, value in url.query.items() if isinstance(value, str)}
    host = url.host or query.get("host", "")
    return host, str(url.port or query.get("port", 5432)), url.database or query.get("dbname")


def open_sqlite_read_only(path: Path) -> URL:
    """
    Build the URL of a SQLite file that only reads, for the driver that can forbid the rest.

    :raises SourceError: if it is no file.
    """
    if not path.is_file():
        raise SourceError(f"the SQLite file {path.name!r} does not exist.")
    return URL.create("sqlite+pysqlite", database=path.as_uri(), query={"mode": "ro", "uri": "true"})


def _execute(connection: Connection, sql: BoundSql) -> CursorResult[Any]:
    """Run the SQL; its own colons are escaped, so that values are bound by our names alone."""
    escaped = BoundSql(tuple(part.replace(":", "\\:") for part in sql.parts), sql.values)
    statement = text(escaped.write(lambda number: f":value_{number} "))
    values = {f"value_{number}": value for number, value in enumerate(sql.values, start=1)}
    streaming = connection.execution_options(stream_results=True, max_row_buffer=BATCH_ROWS)
    result = streaming.execute(statement, values)
    if not result.returns_rows:
        raise SourceError(NOT_ONE_SELECT)
    return result


def _convert(result: CursorResult[Any]) -> RowBatches:
    names = list(result.keys())
    refuse_same_names(names)
    partitions = result.partitions(BATCH_ROWS)
    first = next(partitions, [])
    columns = [_Column.infer(name, [row[index] for row in first]) for index, name in enumerate(names)]
    schema = pa.schema([pa.field(column.name, column.type) for column in columns])

    def read() -> Iterator[pa.RecordBatch]:
        yield _build_batch(columns, schema, first)
        for rows in partitions:
            yield _build_batch(columns, schema, rows)

    return RowBatches(schema, read())


class _Column:
    """A column, whose type the first rows decide."""

    def __init__(self, name: str, kind: pa.DataType) -> None:
        self.name = name
        self.type = kind

    @classmethod
    def infer(cls, name: str, values: Sequence[Any]) -> _Column:
        given = [simplify(value) for value in values if value is not None]
        if given and all(isinstance(value, Decimal) for value in given):
            scale = max(max(-int(value.as_tuple().exponent), 0) for value in given if value.is_finite())
            return cls(name, pa.decimal128(DECIMAL_DIGITS, min(scale, DECIMAL_DIGITS)))
        try:
            kind = pa.array(given).type
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
            kind = pa.string()
        return cls(name, pa.string() if pa.types.is_null(kind) else kind)

    def build(self, values: Sequence[Any]) -> pa.Array:
        plain = [simplify(value) for value in values]
        if pa.types.is_string(self.type):
            plain = [value if value is None else str(value) for value in plain]
        try:
            return pa.array(plain, self.type)
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, ValueError) as error:
            raise SourceError(
                f"column {self.name!r} begins as {self.type} and later holds something else: {error}."
                " Cast it to one type."
            ) from error


def simplify(value: Any) -> Any:
    """Turn what drivers give into what Arrow knows."""
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, default=str, ensure_ascii=False)
    if isinstance(value, memoryview | bytearray):
        return bytes(value)
    return value


def _build_batch(columns: Sequence[_Column], schema: pa.Schema, rows: Sequence[Any]) -> pa.RecordBatch:
    arrays = [column.build([row[index] for row in rows]) for index, column in enumerate(columns)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _find_interrupt(connection: Connection) -> Callable[[], None] | None:
    """Find how this driver interrupts a query; not all of them can."""
    driver: Any = connection.connection.driver_connection
    for name in ("interrupt", "cancel"):
        interrupt = getattr(driver, name, None)
        if callable(interrupt):
            return lambda: interrupt()
    return None
