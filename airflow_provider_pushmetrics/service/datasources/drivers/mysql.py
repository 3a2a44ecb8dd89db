"""
MariaDB and MySQL, queried through PyMySQL.

Each query has its own connection, in a read-only transaction. The server sends values as text,
which is exact for all types but ``float``, for which it prints six digits. A query with such a column runs
again, as one that reads it as ``double``.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pymysql
import sqlglot
from pymysql.constants import FIELD_TYPE
from pymysql.converters import encoders
from pymysql.cursors import SSCursor
from sqlalchemy.engine import URL
from sqlglot.errors import SqlglotError

from airflow_provider_pushmetrics.redaction import redact
from airflow_provider_pushmetrics.service.datasources.base import (
    NOT_ONE_SELECT,
    UTC,
    RowBatches,
    SourceError,
    Stopper,
    check_between,
    refuse_same_names,
)
from airflow_provider_pushmetrics.service.datasources.catalog import Catalog
from airflow_provider_pushmetrics.service.datasources.columns.mysql import Field, build_batch, list_columns
from airflow_provider_pushmetrics.service.datasources.columns.row_batches import convert_batches
from airflow_provider_pushmetrics.service.datasources.drivers.keepalive import disconnect, enable_keepalive
from airflow_provider_pushmetrics.service.datasources.drivers.mysql_metadata import DescribingConnection
from airflow_provider_pushmetrics.service.datasources.drivers.sqlalchemy import (
    CONNECT_SECONDS,
    SqlAlchemyBrowser,
)
from airflow_provider_pushmetrics.service.datasources.limits import DEFAULT_LIMITS, QueryLimits
from airflow_provider_pushmetrics.service.datasources.statements import find_first_word, strip_end
from airflow_provider_pushmetrics.service.templates.binding import BoundSql
from airflow_provider_pushmetrics.service.templates.dialects import MYSQL, Dialect

BATCH_ROWS = 10_000
BATCH_BYTES = 4 * 1024 * 1024
TIMEOUT_MARGIN_SECONDS = 30

READING_WORDS = frozenset({"SELECT", "WITH", "VALUES", "TABLE", "SHOW", "DESCRIBE", "DESC", "EXPLAIN"})
"""The first words of statements that return rows. A read-only transaction still allows SET, KILL, …."""

REFUSED_WORDS = re.compile(r"\b(outfile|dumpfile|load_file)\b|/\*M?!", re.IGNORECASE)
"""Use of the server's files, which a read-only transaction allows, and executable comments."""

NO_TIME_ZONE = 1298
CUT_VALUE_WARNINGS = frozenset({1260, 1301})
"""Truncation by group_concat(), and values larger than max_allowed_packet, which become NULL."""

MAX_WARNINGS = 65_535
"""How many warnings of a query a server can keep."""

REACTION_SECONDS = 10
"""A server whose query does not end within this time after it was interrupted is disconnected."""

ALL_ROWS = 2**64 - 1
FAILURES = (pymysql.Error, OSError, pa.ArrowException, ValueError)


class ValueTooLargeError(pymysql.OperationalError):
    """The server sends a row that exceeds the size limit."""


class LimitedConnection(DescribingConnection):
    """A connection that limits the size of a row in memory."""

    max_packet_bytes: int = 0
    _packet_bytes = 0
    _read_timeout: int | None

    def end_connecting(self) -> None:
        """Let rows take any time from now on; the time limit of the query stops it."""
        self._read_timeout = None
        enable_keepalive(self._sock)

    def disconnect(self) -> None:
        """End the connection in another thread than that which reads it."""
        if self._sock is not None:
            disconnect(self._sock)

    def limit_reading(self) -> None:
        """Let no packet take longer than connecting from now on."""
        self._read_timeout = CONNECT_SECONDS

    def _read_packet(self, *args: Any, **kwargs: Any) -> Any:
        self._packet_bytes = 0
        return super()._read_packet(*args, **kwargs)

    def _read_bytes(self, num_bytes: int) -> Any:
        # A packet comes in pieces of up to 16 MiB, which the driver joins.
        self._packet_bytes += num_bytes
        if self._packet_bytes > self.max_packet_bytes:
            self._force_close()
            raise ValueTooLargeError("the row is too large")
        return super()._read_bytes(num_bytes)


class MySqlSource:
    """
    A MariaDB or MySQL database.

    :param url: Its URL.
    :param temp_dir: The folder for rows whose types depend on the whole result.
    """

    dialect: Dialect = MYSQL

    def __init__(self, url: URL, temp_dir: Path) -> None:
        # Values are quoted before they are encoded, which is safe in this encoding, and supports every text.
        self._url = url.set(drivername="mysql+pymysql").update_query_dict({"charset": "utf8mb4"})
        self._secrets = () if url.password is None else (str(url.password),)
        self._temp_dir = temp_dir
        self._browser = SqlAlchemyBrowser(self._url)

    @contextmanager
    def query(
        self, sql: BoundSql, stopper: Stopper, *, limits: QueryLimits, time_zone: str
    ) -> Iterator[RowBatches]:
        """Run a query; queries may run concurrently, each on its own connection."""
        refuse_writing(sql)
        with self._translating(stopper, limits):
            with self._run(sql, stopper, limits, time_zone) as cursor:
                fields = list_fields(cursor)
                if not any(field.type_code == FIELD_TYPE.FLOAT for field in fields):
                    with self._read_rows(cursor, stopper, limits) as rows:
                        yield rows
                    return
            with (
                self._run(widen_floats(sql, fields), stopper, limits, time_zone) as cursor,
                self._read_rows(cursor, stopper, limits, fields) as rows,
            ):
                yield rows

    def open_catalog(self, stopper: Stopper) -> AbstractContextManager[Catalog]:
        return self._browser.open_catalog(stopper)

    def close(self) -> None:
        self._browser.close()

    @contextmanager
    def _run(self, sql: BoundSql, stopper: Stopper, limits: QueryLimits, time_zone: str) -> Iterator[Any]:
        """Run a query on its own connection, and return the cursor for its rows."""
        with self._connect(limits) as connection:
            stopper.register(self._make_interrupt(connection))
            cursor = connection.cursor(SSCursor)
            try:
                _begin(connection, limits, time_zone)
                _execute(cursor, sql)
                yield cursor
            finally:
                stopper.register(None)
                self._stop(connection, cursor)

    @contextmanager
    def _read_rows(
        self, cursor: Any, stopper: Stopper, limits: QueryLimits, described: Sequence[Field] = ()
    ) -> Iterator[RowBatches]:
        """
        Return the rows of a cursor.

        :param described: The columns before they were widened.
        """
        fields = list_fields(cursor)
        with convert_batches(
            list_columns(described or fields, limits.max_value_bytes),
            check_between(_read_batches(cursor, fields), stopper),
            max_rows=limits.max_rows,
            temp_dir=self._temp_dir,
        ) as rows:
            yield rows
        if cursor._result.unbuffered_active:
            self._check_before_end(cursor, limits)

    def _check_before_end(self, cursor: Any, limits: QueryLimits) -> None:
        """
        Check the rows of a query whose own LIMIT is larger than that of the block, so that it has more rows.

        :raises SourceError: if a value was truncated, or the server does not stop in time and send its
            warnings.
        """
        connection = cursor.connection
        connection.limit_reading()
        try:
            self._kill(connection.thread_id())
            with suppress(pymysql.OperationalError):  # it was interrupted
                cursor._result._finish_unbuffered_query()
            _refuse_cut_values(connection)
        except (pymysql.Error, OSError) as error:
            raise SourceError(
                "the server does not stop after the last row that is wanted: use a LIMIT of at most"
                f" {limits.max_rows:,} in the query."
            ) from error

    def _stop(self, connection: LimitedConnection, cursor: Any) -> None:
        """End a query with unread rows: closing its cursor would read all of them."""
        result = cursor._result
        if result is not None and result.unbuffered_active:
            if connection.open:
                self._try_to_kill(connection.thread_id())
                connection._force_close()
            result.unbuffered_active = False

    @contextmanager
    def _connect(self, limits: QueryLimits) -> Iterator[LimitedConnection]:
        _, arguments = self._url.get_dialect()().create_connect_args(self._url)
        arguments = {"connect_timeout": CONNECT_SECONDS, "read_timeout": CONNECT_SECONDS, **arguments}
        # Without decoders, values are the server's text.
        connection = LimitedConnection(**{**arguments, "conv": dict(encoders), "defer_connect": True})
        connection.max_packet_bytes = limits.max_value_bytes * 2  # a row has more than one value
        connection.connect()
        connection.end_connecting()
        try:
            yield connection
        finally:
            if connection.open:
                connection.close()

    def _make_interrupt(self, connection: LimitedConnection) -> Callable[[], None]:
        """Make what interrupts a query. It is called until the query has ended."""
        thread = connection.thread_id()
        began: float | None = None

        def interrupt() -> None:
            nonlocal began
            began = began or time.monotonic()
            if time.monotonic() - began < REACTION_SECONDS:
                self._try_to_kill(thread)
            else:
                connection.disconnect()  # the server, or the way to it, has disappeared

        return interrupt

    def _try_to_kill(self, thread_id: int) -> None:
        with suppress(pymysql.Error, OSError):
            self._kill(thread_id)

    def _kill(self, thread_id: int) -> None:
        with self._connect(DEFAULT_LIMITS) as connection, connection.cursor() as cursor:
            cursor.execute(f"KILL QUERY {thread_id}")

    @contextmanager
    def _translating(self, stopper: Stopper, limits: QueryLimits) -> Iterator[None]:
        try:
            yield
        except ValueTooLargeError as error:
            raise SourceError(
                f"a row has more than {limits.max_value_bytes * 2:,} bytes, twice the limit for one value:"
                " select a part of it."
            ) from error
        except FAILURES as error:
            raise SourceError(stopper.reason or self._write_message(error)) from error

    def _write_message(self, error: Exception) -> str:
        code, said = error.args if len(error.args) == 2 else (None, str(error))
        if code == NO_TIME_ZONE:
            said = f"{said}: load the time zones of the server (mariadb-tzinfo-to-sql), or use UTC."
        return redact(str(said).strip() or type(error).__name__, *self._secrets)


def refuse_writing(sql: BoundSql) -> None:
    """
    Refuse statements that a read-only transaction allows.

    :raises SourceError: if the statement does not read, or uses files of the server.
    """
    if find_first_word(sql) not in READING_WORDS:
        raise SourceError(NOT_ONE_SELECT)
    for part in sql.parts:
        found = REFUSED_WORDS.search(part)
        if found is not None:
            raise SourceError(
                f"{found.group()!r} is rejected: queries may not use files of the server or executable"
                " comments."
            )


def list_fields(cursor: Any) -> Sequence[Field]:
    """List the server's description of the columns; the cursor's lacks their sign."""
    fields: Sequence[Field] = getattr(cursor._result, "fields", ())
    return fields


def widen_floats(sql: BoundSql, fields: Sequence[Field]) -> BoundSql:
    """
    Rewrite the query to read columns of the type ``float`` as ``double``, which is printed with all digits.

    :raises SourceError: if it is unclear whether the query has an order, which must be kept.
    """
    sql = strip_end(sql, "mysql")
    names = [_quote(field.name) for field in fields]
    columns = [
        f"({name} + 0e0) AS {name}" if field.type_code == FIELD_TYPE.FLOAT else name
        for name, field in zip(names, fields, strict=True)
    ]
    # Without a limit, MariaDB ignores the order of a subquery.
    limit = f" LIMIT {ALL_ROWS}" if _has_order_only(sql, fields) else ""
    first = f"SELECT {', '.join(columns)} FROM (\n{sql.parts[0]}"  # noqa: S608 (the query that is to be run)
    parts = [first, *sql.parts[1:]]
    parts[-1] += f"\n{limit}) AS q"
    return BoundSql(tuple(parts), sql.values)


def _has_order_only(sql: BoundSql, fields: Sequence[Field]) -> bool:
    """Return whether a query has an order, but no limit; in brackets, it may have both inside and outside."""
    tree: Any = None
    with suppress(SqlglotError):
        tree = sqlglot.parse_one(sql.write(lambda number: "'0'"), read="mysql")
    if not isinstance(tree, sqlglot.exp.Select | sqlglot.exp.SetOperation):
        names = ", ".join(field.name for field in fields if field.type_code == FIELD_TYPE.FLOAT)
        raise SourceError(
            f"the server prints six digits of columns of the type float ({names}): cast them to double."
        )
    return tree.args.get("order") is not None and tree.args.get("limit") is None


def _quote(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _begin(connection: LimitedConnection, limits: QueryLimits, time_zone: str) -> None:
    """
    Begin the transaction.

    The timeout ends a query that would continue after this process is killed.

    The server truncates some values with only a warning, which it sends after the last row. The other
    settings let it truncate no value that can be stored, keep this warning among many others, and end the
    result at the row limit.
    """
    seconds = limits.timeout_seconds + TIMEOUT_MARGIN_SECONDS
    is_mariadb = "MariaDB" in connection.get_server_info()
    timeout = f"max_statement_time = {seconds}" if is_mariadb else f"max_execution_time = {seconds * 1000}"
    largest = f"CAST(GREATEST(@@group_concat_max_len, {connection.max_packet_bytes}) AS UNSIGNED)"
    settings = [
        "time_zone = %s",
        timeout,
        f"group_concat_max_len = {largest}",
        f"max_error_count = {MAX_WARNINGS}",
        f"sql_select_limit = {limits.max_rows + 1}",
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            f"SET SESSION {', SESSION '.join(settings)}", ("+00:00" if time_zone == UTC else time_zone,)
        )
        for setting in MYSQL.transaction_settings:
            cursor.execute(setting)
        cursor.execute("START TRANSACTION READ ONLY")


def _execute(cursor: Any, sql: BoundSql) -> None:
    escaped = BoundSql(tuple(part.replace("%", "%%") for part in sql.parts), sql.values)
    cursor.execute(escaped.write(lambda number: "%s"), sql.values)
    if cursor.description is None:
        raise SourceError(NOT_ONE_SELECT)
    refuse_same_names([column[0] for column in cursor.description])


def _read_batches(cursor: Any, fields: Sequence[Field]) -> Iterator[pa.RecordBatch]:
    rows: list[Any] = []
    size = 0
    for row in cursor.fetchall_unbuffered():
        if len(rows) >= BATCH_ROWS or size >= BATCH_BYTES:
            yield build_batch(fields, rows)
            rows, size = [], 0
        rows.append(row)
        size += sum(map(len, filter(None, row)))
    # Before the last rows, because a reader that has all rows it wants does not ask for more.
    if cursor._result.warning_count:
        _refuse_cut_values(cursor.connection)
    if rows:
        yield build_batch(fields, rows)


def _refuse_cut_values(connection: Any) -> None:
    """Refuse a result in which the server truncated a value or replaced it by NULL, with only a warning."""
    for _, code, message in connection.show_warnings():
        if int(code) in CUT_VALUE_WARNINGS:
            raise SourceError(f"the server truncated a value: {message}.")
