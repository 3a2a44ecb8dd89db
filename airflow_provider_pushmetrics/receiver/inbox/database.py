"""Opening the inbox's database, SQLite or PostgreSQL, and migrating it to this version's schema."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from airflow_provider_pushmetrics import __version__
from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.receiver.inbox.connection_timeouts import (
    DEFAULT_TIMEOUTS,
    PostgresqlTimeouts,
)
from airflow_provider_pushmetrics.receiver.inbox.tables import VERSION_TABLE
from airflow_provider_pushmetrics.redaction import redact
from airflow_provider_pushmetrics.serving.commit_signals import limit_sessions
from airflow_provider_pushmetrics.serving.process_start import lock_migration
from airflow_provider_pushmetrics.serving.sqlite import IMMEDIATE, check_after_crash, create_sqlite_engine

INBOX_BUSY_SECONDS = 15
INBOX_POOL_SIZE = 8
INBOX_MIGRATION_LOCK = 7_241_130_583_906_114
"""An arbitrary number: the PostgreSQL advisory lock under which one process at a time migrates."""

_migrating = threading.Lock()  # Alembic keeps the running migration in a global variable


def open_engine(inbox_url: str, timeouts: PostgresqlTimeouts = DEFAULT_TIMEOUTS) -> Engine:
    """
    Open the inbox's database and migrate it to this version's schema.

    :param inbox_url: Its URL.
    :param timeouts: How long to wait for PostgreSQL.
    :raises PushMetricsConfigurationError: if the URL is not valid for an inbox, or its file is damaged.
    :raises sqlalchemy.exc.SQLAlchemyError: if the database cannot be used now.
    """
    engine = create_inbox_engine(inbox_url, timeouts)
    try:
        check_after_crash(engine)
        _migrate(engine)
    except BaseException:
        engine.dispose()
        raise
    return engine


def create_inbox_engine(inbox_url: str, timeouts: PostgresqlTimeouts = DEFAULT_TIMEOUTS) -> Engine:
    """
    Create the pool of connections to an inbox, without connecting.

    :raises PushMetricsConfigurationError: if the URL is not valid for an inbox.
    """
    url = parse_inbox_url(inbox_url)
    is_sqlite = url.get_backend_name() == "sqlite"
    return _create_sqlite(url) if is_sqlite else _create_postgresql(url, timeouts)


def parse_inbox_url(inbox_url: str) -> URL:
    """
    Parse the URL of an inbox.

    :raises PushMetricsConfigurationError: if it is not valid. The message never contains the password.
    """
    way_out = "Use sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE."
    try:
        url = make_url(inbox_url)
        backend = url.get_backend_name()
    except (ArgumentError, NoSuchModuleError, ValueError):
        raise PushMetricsConfigurationError(f"the inbox is not an SQLAlchemy URL. {way_out}") from None
    if backend not in ("sqlite", "postgresql"):
        raise PushMetricsConfigurationError(f"the inbox cannot be in {backend!r}. {way_out}")
    if backend == "postgresql" and "+" not in url.drivername:
        return url.set(drivername="postgresql+psycopg")
    if backend == "sqlite" and url.database in (None, "", ":memory:"):
        raise PushMetricsConfigurationError(f"an inbox in memory would lose acknowledged events. {way_out}")
    return url


def describe_place(inbox_url: str) -> str:
    """
    Describe where an inbox is, without credentials.

    :raises PushMetricsConfigurationError: if the URL is not valid for an inbox.
    """
    url = parse_inbox_url(inbox_url)
    if url.get_backend_name() == "sqlite":
        return str(Path(url.database or "").absolute())
    port = f":{url.port}" if url.port else ""
    return f"{url.host or 'localhost'}{port}/{url.database}"


def describe_outage(error: SQLAlchemyError) -> PushMetricsConfigurationError:
    """Describe an error of the database in a sentence, without the values in a statement."""
    reason = redact(" ".join(str(getattr(error, "orig", None) or type(error).__name__).split()))
    return PushMetricsConfigurationError(
        f"the inbox cannot be used: {reason}. Check --inbox or PUSHMETRICS_RECEIVER_INBOX."
    )


def find_missing_file(inbox_url: str) -> Path | None:
    """
    Find the file of an inbox on SQLite that does not exist yet.

    :raises PushMetricsConfigurationError: if the URL is not valid for an inbox.
    """
    url = parse_inbox_url(inbox_url)
    if url.get_backend_name() != "sqlite":
        return None
    file = Path(url.database or "").absolute()
    return None if file.exists() else file


def _create_sqlite(url: URL) -> Engine:
    folder = Path(url.database or "").expanduser().absolute().parent
    if not folder.is_dir():
        raise PushMetricsConfigurationError(
            f"the inbox's folder {str(folder)!r} does not exist: create it, or choose another file."
        )
    return create_sqlite_engine(
        url, busy_timeout_seconds=INBOX_BUSY_SECONDS, pool_size=INBOX_POOL_SIZE, max_overflow=INBOX_POOL_SIZE
    )


def _create_postgresql(url: URL, timeouts: PostgresqlTimeouts) -> Engine:
    engine = create_engine(
        url,
        pool_size=INBOX_POOL_SIZE,
        max_overflow=INBOX_POOL_SIZE,
        pool_pre_ping=True,
        hide_parameters=True,  # bodies of events
        connect_args=timeouts.build_connect_args(url),
    )
    limit_sessions(engine, timeouts.list_session_timeouts(url))
    return engine


def read_schema(engine: Engine) -> str | None:
    """Read the revision of the inbox's schema; None if there is no inbox."""
    options: dict[str, Any] = {"version_table": VERSION_TABLE}
    with engine.connect() as connection:
        return MigrationContext.configure(connection, opts=options).get_current_revision()


def find_newest_schema() -> str:
    """Find the newest revision that this version knows."""
    return ScriptDirectory.from_config(_build_config()).get_current_head() or ""


def _migrate(engine: Engine) -> None:
    if read_schema(engine) == find_newest_schema():
        return  # a start needs no lock
    config = _build_config()
    writing = engine.execution_options(**{IMMEDIATE: True})
    with _migrating, writing.connect() as connection, connection.begin():
        lock_migration(connection, INBOX_MIGRATION_LOCK)
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise PushMetricsConfigurationError(
                f"version {__version__} cannot migrate the inbox: {error}. A newer version has migrated it:"
                " install that version here."
            ) from None


def _build_config() -> Config:
    config = Config()
    config.set_main_option("script_location", "airflow_provider_pushmetrics.receiver:migrations")
    return config
