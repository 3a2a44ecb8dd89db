"""The service's database: engine, migrations and transactions."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeAlias

from alembic import command
from alembic.config import Config
from sqlalchemy import CursorResult, Engine, Executable, create_engine, event, text
from sqlalchemy.engine import Connection, ExceptionContext, make_url
from sqlalchemy.exc import DisconnectionError, InvalidRequestError, NoResultFound
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import ConnectionPoolEntry

from airflow_provider_pushmetrics.service.storage.clock import CLOCK_FUNCTION, write_sqlite_now
from airflow_provider_pushmetrics.service.storage.write_lock import WriteLock
from airflow_provider_pushmetrics.serving.commit_signals import (
    IS_READ_ONLY,
    SESSION_TIMEOUTS,
    accepts_no_writes,
    limit_sessions,
)
from airflow_provider_pushmetrics.serving.metrics import SHORT_SECONDS, Histogram
from airflow_provider_pushmetrics.serving.process_start import UNAVAILABLE, lock_migration
from airflow_provider_pushmetrics.serving.sqlite import (
    IMMEDIATE,
    SYNCHRONOUS,
    FileIdentity,
    create_sqlite_engine,
)

MIGRATIONS = Path(__file__).parents[1] / "migrations"
SCHEMA_VERSION_TABLE = "pushmetrics_service_version"
MIGRATION_LOCK = 7_305_811
"""Any number that no other program locks in this database."""

BUSY_TIMEOUT_SECONDS = 30
TRUSTED_SECONDS = 1.0
LAST_USE = "last_use"
BEGAN = "statement_began"
AUTOCOMMIT = "autocommit"
"""The execution option of a transaction without BEGIN and COMMIT on PostgreSQL: two requests to it fewer."""

POOL_SIZE = 10
MAX_OVERFLOW = 20

UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class Database:
    """
    Opens transactions.

    :param url: The URL of SQLite, or of PostgreSQL with psycopg.
    :param listen_url: The URL of the same database without a pooler, if there is a pooler.
    :param session_timeouts: The timeouts of sessions on PostgreSQL, in seconds.
    """

    def __init__(
        self,
        url: str,
        *,
        listen_url: str | None = None,
        session_timeouts: Mapping[str, float] = SESSION_TIMEOUTS,
    ) -> None:
        self.url = url
        self.engine = create_database_engine(url, session_timeouts)
        self.file = FileIdentity(self.engine)
        self.statement_seconds = Histogram(
            "pushmetrics_service_database_statement_seconds",
            "Duration of a statement, with its locks.",
            SHORT_SECONDS,
        )
        _measure_statements(self.engine, self.statement_seconds)
        self.listen_engine = create_database_engine(listen_url) if listen_url else None
        writing = self.engine.execution_options(**{IMMEDIATE: True})
        self._readers = sessionmaker(
            self.engine.execution_options(**{AUTOCOMMIT: True}), expire_on_commit=False
        )
        self._writers = sessionmaker(writing, expire_on_commit=False)
        noting = self.engine.execution_options(**{IMMEDIATE: True, SYNCHRONOUS: "NORMAL"})
        self._recorders = sessionmaker(noting, expire_on_commit=False)
        self._is_sqlite = self.engine.dialect.name == "sqlite"
        self._write_lock = (
            WriteLock(Path(str(self.engine.url.database))) if self._is_sqlite else nullcontext()
        )

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """
        Open a transaction that only reads.

        On PostgreSQL each of its statements sees what was committed before that statement.
        """
        with self._readers() as session:
            yield session

    @contextmanager
    def executing(self) -> Iterator[Session]:
        """Open a transaction of a single statement that writes: PostgreSQL commits it by itself."""
        with self.writing() if self._is_sqlite else self._readers() as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Open a transaction that is committed at the end, or rolled back by an exception."""
        with self._lock_writes(), self._writers() as session, session.begin():
            yield session

    @contextmanager
    def recording(self) -> Iterator[Session]:
        """
        Open a transaction for progress that can be repeated; after the commit it survives a crash.

        On SQLite, it survives a power failure only after the next transaction of the other kind.
        """
        with self._lock_writes(), self._recorders() as session, session.begin():
            yield session

    @contextmanager
    def _lock_writes(self) -> Iterator[None]:
        """Wait for the write lock of SQLite, which is measured as a statement."""
        began = time.perf_counter()
        with self._write_lock:
            if self._is_sqlite:
                self.statement_seconds.observe(time.perf_counter() - began)
            yield

    @contextmanager
    def lock(self, number: int) -> Iterator[None]:
        """
        Keep other processes out of the block. On SQLite there is one process that prepares a database.

        :raises sqlalchemy.exc.OperationalError: if another process has the lock for some seconds.
        """
        if self._is_sqlite:
            yield
            return
        # Of the transaction and not of the session: a pooler in transaction mode would leak it.
        with self.engine.begin() as connection:
            lock_migration(connection, number)
            yield

    def migrate(self, revision: str = "head") -> None:
        """Migrate the schema to this version, or to an older one."""
        with self.engine.connect() as connection:
            _disable_foreign_keys(connection)
            config = Config()
            config.set_main_option("script_location", str(MIGRATIONS))
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
        self.file.check()

    def close(self) -> None:
        self.engine.dispose()
        if self.listen_engine is not None:
            self.listen_engine.dispose()
        if isinstance(self._write_lock, WriteLock):
            self._write_lock.close()


Persist: TypeAlias = Callable[[Callable[[], bool]], bool]
"""Commits what a function records and gives what it gives, again while the database is away if need be."""


def persist_once(record: Callable[[], bool]) -> bool:
    """Record once."""
    return record()


def accepts_writes(session: Session) -> bool:
    """
    Return whether a session can write: a standby of PostgreSQL cannot.

    If it cannot, its connection is replaced: the server may have been switched over.
    """
    if session.get_bind().dialect.name != "postgresql" or session.scalar(text(IS_READ_ONLY)) == "off":
        return True
    session.invalidate()
    return False


def execute_core(
    session: Session, statement: Executable, parameters: Mapping[str, Any] | None = None
) -> CursorResult[Any]:
    """
    Execute a statement that selects columns, in the transaction of a session.

    Without what the session does for objects, which takes as long as the rest.
    """
    return session.connection().execute(statement, parameters)


def lock_row(session: Session, row: object) -> None:
    """
    Lock a row, and read it again.

    :raises NoResultFound: if it was deleted since it was found.
    """
    try:
        session.refresh(row, with_for_update=True)
    except InvalidRequestError:
        raise NoResultFound("the row was deleted by another transaction") from None


CONNECT_ARGUMENTS = {
    "prepare_threshold": None,  # a pooler in transaction mode gives each transaction another connection
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
"""Of PostgreSQL: a server that has gone without a word is noticed within a minute (seconds; the last, ms)."""


def is_unavailable(error: BaseException) -> bool:
    """Return whether an error is one of an unavailable database."""
    return isinstance(error, UNAVAILABLE)


def _disable_foreign_keys(connection: Connection) -> None:
    """
    Let SQLite change columns, for which it copies tables: dropping the old deletes what refers to it.

    The connection does not return to the pool. SQLite ignores the setting within a transaction, so it could
    not be reset for sure, and other transactions would leave rows without what they refer to.
    https://www.sqlite.org/lang_altertable.html#otheralter, https://www.sqlite.org/pragma.html#pragma_foreign_keys
    """
    if connection.dialect.name == "sqlite":
        driver: Any = connection.connection.driver_connection
        driver.execute("PRAGMA foreign_keys=OFF")
        connection.detach()


def create_database_engine(url: str, session_timeouts: Mapping[str, float] = SESSION_TIMEOUTS) -> Engine:
    """Create a pool of connections, which replaces characters that the databases cannot store."""
    engine = _create_engine(url)
    if engine.dialect.name == "postgresql":
        limit_sessions(engine, session_timeouts)
        _check_rested_connections(engine)
        _commit_each_statement(engine)
    event.listen(engine, "before_cursor_execute", _replace_in_parameters, retval=True)
    return engine


def _check_rested_connections(engine: Engine) -> None:
    """
    Replace a connection that has ended since its last use, as SQLAlchemy's ``pool_pre_ping`` does.

    Also one whose server accepts no writes: after a switch-over, what it reads is old. ``pool_pre_ping`` asks
    the server before each transaction. A worker has ten for each run: it trusts the last second.
    """

    def keep_time(_connection: object, record: ConnectionPoolEntry) -> None:
        record.info[LAST_USE] = time.monotonic()

    def check(connection: Any, record: ConnectionPoolEntry, _proxy: object) -> None:
        if time.monotonic() - record.info.get(LAST_USE, -math.inf) < TRUSTED_SECONDS:
            return
        try:
            is_usable = _can_write(connection)
        except Exception as error:
            raise DisconnectionError("it has ended since its last use") from error
        if not is_usable:
            raise DisconnectionError("its server accepts no writes")

    event.listen(engine, "connect", keep_time)
    event.listen(engine, "checkin", keep_time)
    event.listen(engine, "checkout", check)


def _can_write(connection: Any) -> bool:
    """Ask the server, without a transaction that would go on afterwards."""
    was_automatic, connection.autocommit = connection.autocommit, True
    try:
        return not accepts_no_writes(connection)
    finally:
        if not connection.closed:
            connection.autocommit = was_automatic


def _commit_each_statement(engine: Engine) -> None:
    """
    Let each statement of an ``AUTOCOMMIT`` transaction be a transaction of its own.

    By psycopg's attribute: SQLAlchemy's ``isolation_level`` would also set that of the next transactions.
    """

    def begin(connection: Connection) -> None:
        driver: Any = connection.connection.driver_connection
        options = connection.get_execution_options()
        wanted = options.get(AUTOCOMMIT, options.get("isolation_level") == "AUTOCOMMIT")
        if driver.autocommit != wanted and not driver.closed:
            driver.autocommit = wanted

    event.listen(engine, "begin", begin)


def _measure_statements(engine: Engine, seconds: Histogram) -> None:
    def begin(connection: Connection, *_: Any) -> None:
        connection.info[BEGAN] = time.perf_counter()

    def end(connection: Connection, *_: Any) -> None:
        seconds.observe(time.perf_counter() - connection.info[BEGAN])

    def fail(context: ExceptionContext) -> None:
        # Such as by a timeout. An error of a connection, or of a commit, is none of a statement.
        if context.connection is not None and context.execution_context is not None:
            end(context.connection)

    event.listen(engine, "before_cursor_execute", begin)
    event.listen(engine, "after_cursor_execute", end)
    event.listen(engine, "handle_error", fail)


def replace_unstorable(value: Any) -> Any:
    """
    Replace NUL characters and half surrogate pairs, which PostgreSQL rejects, in each text of a value.

    Texts come from databases, templates, error messages and mail servers. All are cleaned here, so that
    both databases store the same.
    """
    if isinstance(value, str):
        return UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, tuple | list):
        return type(value)(map(replace_unstorable, value))
    if isinstance(value, dict):
        return {name: replace_unstorable(one) for name, one in value.items()}
    return value


def _replace_in_parameters(
    _connection: Connection, _cursor: Any, statement: str, parameters: Any, *_: Any
) -> tuple[str, Any]:
    return statement, replace_unstorable(parameters)


def _create_engine(url: str) -> Engine:
    if make_url(url).get_backend_name() != "sqlite":
        return create_engine(
            url,
            pool_size=POOL_SIZE,
            max_overflow=MAX_OVERFLOW,
            hide_parameters=True,  # they would be in errors, and so in logs
            connect_args=CONNECT_ARGUMENTS,
        )
    engine = create_sqlite_engine(
        url, busy_timeout_seconds=BUSY_TIMEOUT_SECONDS, pool_size=POOL_SIZE, max_overflow=MAX_OVERFLOW
    )
    event.listen(
        engine,
        "connect",
        lambda connection, _: connection.create_function(CLOCK_FUNCTION, 0, write_sqlite_now),
    )
    return engine
