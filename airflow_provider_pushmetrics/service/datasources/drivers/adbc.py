"""Queries through ADBC drivers, which return Arrow."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import MappingProxyType, TracebackType
from typing import Any

import adbc_driver_manager
import pyarrow as pa

from airflow_provider_pushmetrics.redaction import redact
from airflow_provider_pushmetrics.service.datasources.base import SourceError, Stopper, check_between

FAILURES = (adbc_driver_manager.Error, pa.ArrowException, OSError, OverflowError)
"""The errors of a driver: its own, or those of Arrow between two batches."""

STATUS_PREFIX = re.compile(r"^[A-Z_]+: (\[FlightSQL\] )?")
NOISE = re.compile(
    r"(?<!\s)\s*(Query was:.*|\. SQLSTATE: \w{5}|\(Position: .*"
    r"|(\. Detail: \w+ )?\(\w+; \w+\)(\. Vendor code: \d+)?)\Z",
    re.DOTALL,
)
SERVER_MESSAGE = re.compile(r"\b(?:ERROR|FATAL):\s+(.*)", re.DOTALL)


class LazyDatabase:
    """
    A database that is opened when it is first used, for all threads, and closed after its last user.

    Threads that find it closed open it at the same time: in line, each would wait for the timeouts of all.

    :param connect: Opens it.
    :param secrets: The secrets that no message may contain.
    """

    def __init__(
        self, connect: Callable[[], adbc_driver_manager.AdbcDatabase], secrets: tuple[str, ...]
    ) -> None:
        self._connect = connect
        self._secrets = secrets
        self._lock = threading.Lock()
        self._database: adbc_driver_manager.AdbcDatabase | None = None
        self._users = 0
        self._is_kept = True

    def acquire(self) -> adbc_driver_manager.AdbcDatabase:
        """
        Open the database, unless it is open. The caller releases it after its use.

        :raises SourceError: with the database's message.
        """
        with self._lock:
            self._users += 1
            known = self._database
        if known is not None:
            return known
        try:
            return self._open()
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Close the database after its last use, if it is not kept open."""
        with self._lock:
            self._users -= 1
        self._close_unused()

    def close(self) -> None:
        """Close the database as soon as it has no users."""
        with self._lock:
            self._is_kept = False
        self._close_unused()

    def _open(self) -> adbc_driver_manager.AdbcDatabase:
        try:
            opened = self._connect()
        except FAILURES as error:
            raise SourceError(clean_message(str(error), self._secrets)) from error
        with self._lock:
            if self._database is None:
                self._database = opened
                return opened
            known = self._database
        opened.close()
        return known

    def _close_unused(self) -> None:
        with self._lock:
            if self._is_kept or self._users or self._database is None:
                return
            unused, self._database = self._database, None
        # A connection that could not be closed keeps its database open; that is no failure of the next query.
        with suppress(*FAILURES, RuntimeError):
            unused.close()


class AdbcSession:
    """
    A connection in a transaction that is rolled back, used as a context.

    :param database: The database.
    :param stopper: Stops its query from another thread.
    :param secrets: The secrets that no message may contain.
    :param has_transactions: Whether the database supports transactions.
    :param close_options: Options of statements and connections for their end, which some drivers send.
    """

    def __init__(
        self,
        database: LazyDatabase,
        stopper: Stopper,
        secrets: tuple[str, ...] = (),
        *,
        has_transactions: bool = True,
        close_options: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._database = database
        self._has_transactions = has_transactions
        self._close_options = close_options
        self._stopper = stopper
        self._secrets = secrets

    def __enter__(self) -> AdbcSession:
        database = self._database.acquire()
        try:
            self._connection = self._connect(database)
        except BaseException:
            self._database.release()
            raise
        return self

    def _connect(self, database: adbc_driver_manager.AdbcDatabase) -> adbc_driver_manager.AdbcConnection:
        with self.translating():
            connection = adbc_driver_manager.AdbcConnection(database)
            try:
                if self._has_transactions:
                    connection.set_autocommit(False)
            except FAILURES:
                connection.close()
                raise
            return connection

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if self._has_transactions:
                self._connection.rollback()
        except FAILURES:
            pass  # the connection is broken, or in the middle of a result: it can only be closed
        finally:
            self._close(self._connection)
            self._database.release()

    def execute(self, sql: str) -> None:
        """
        Run a statement without rows.

        :raises SourceError: with the database's message.
        """
        with self._open_statement(sql) as statement, self.translating():
            statement.execute_update()

    def fetch(self, sql: str) -> pa.Table:
        """
        Run a short query of our own.

        :raises SourceError: with the database's message.
        """
        with self.stream(sql) as batches:
            read = list(batches)
            return pa.Table.from_batches(read) if read else pa.table({})

    def describe(self, sql: str) -> pa.Schema:
        """
        Describe the result of a query without running it.

        :raises SourceError: with the database's message.
        """
        with self._open_statement(sql) as statement, self.translating():
            return pa.schema(statement.execute_schema())

    @contextmanager
    def stream(self, sql: str, **options: str) -> Iterator[Iterator[pa.RecordBatch]]:
        """
        Run a query and return its rows as a stream.

        :param options: Options of the driver for this statement; ``__`` stands for a dot.
        :raises SourceError: with the database's message, also between two batches.
        """
        with self.stream_described(sql, **options) as (_, batches):
            yield batches

    @contextmanager
    def stream_described(
        self, sql: str, values: Sequence[Any] = (), **options: str
    ) -> Iterator[tuple[pa.Schema, Iterator[pa.RecordBatch]]]:
        """
        Run a query and return its columns, and its rows as a stream.

        :param values: The values that the driver binds.
        :param options: Options of the driver for this statement; ``__`` stands for a dot.
        :raises SourceError: with the database's message, also between two batches.
        """
        with self._open_statement(sql) as statement:
            statement.set_options(**{name.replace("__", "."): value for name, value in options.items()})
            is_complete = False

            def read() -> Iterator[pa.RecordBatch]:
                nonlocal is_complete
                with self.translating():
                    yield from check_between(reader, self._stopper)
                is_complete = True

            try:
                with self.translating():
                    if values:
                        _bind(statement, values)
                    reader = pa.RecordBatchReader.from_stream(statement.execute_query()[0])
                yield reader.schema, read()
            finally:
                self._stopper.register(None)
                if not is_complete:
                    _cancel(statement)  # otherwise the server would continue to send

    @contextmanager
    def translating(self) -> Iterator[None]:
        """Turn the driver's errors into ours."""
        try:
            yield
        except FAILURES as error:
            raise SourceError(self._stopper.reason or clean_message(str(error), self._secrets)) from error

    @contextmanager
    def _open_statement(self, sql: str) -> Iterator[adbc_driver_manager.AdbcStatement]:
        """Open a statement that can be stopped in all it does: describing it may wait for a lock."""
        with self.translating():
            statement = adbc_driver_manager.AdbcStatement(self._connection)
        self._stopper.register(lambda: _cancel(statement))
        try:
            with self.translating():
                statement.set_sql_query(sql)
            yield statement
        finally:
            self._stopper.register(None)
            self._close(statement)

    def _close(self, ended: adbc_driver_manager.AdbcStatement | adbc_driver_manager.AdbcConnection) -> None:
        """Close what has ended. That fails if the server has disappeared, which the query has reported."""
        with suppress(*FAILURES):
            ended.set_options(**self._close_options)
        with suppress(*FAILURES):
            ended.close()


def clean_message(message: str, secrets: tuple[str, ...]) -> str:
    """Reduce an error to the database's message, without the driver's text and the query."""
    said = SERVER_MESSAGE.search(message)
    text = said.group(1) if said else STATUS_PREFIX.sub("", message)
    return redact(NOISE.sub("", text).strip(), *secrets)


def _bind(statement: adbc_driver_manager.AdbcStatement, values: Sequence[Any]) -> None:
    names = [str(index) for index in range(len(values))]
    batch = pa.RecordBatch.from_arrays([pa.array([value]) for value in values], names=names)
    statement.prepare()
    statement.bind_stream(pa.RecordBatchReader.from_batches(batch.schema, [batch]))


def _cancel(statement: adbc_driver_manager.AdbcStatement) -> None:
    with suppress(*FAILURES):  # the statement may have ended
        statement.cancel()
