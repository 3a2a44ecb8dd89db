"""Dumps of tables of PostgreSQL by its own programs, which get the password by a file."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import Connection, Engine, func, select, text
from sqlalchemy.engine import Row

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.redaction import redact
from airflow_provider_pushmetrics.serving.commit_signals import is_pooled

DUMP_NAME = "database.dump"
SERVICE = "pushmetrics"
NOT_OF_LIBPQ = {"prepare_threshold", "autocommit", "row_factory", "cursor_factory", "context"}

TRY_RESTORE_LOCK = text("SELECT pg_try_advisory_lock(:number)")
IDENTIFY = text("SELECT pg_postmaster_start_time(), current_database()")


def choose_direct(engine: Engine, listen_engine: Engine | None) -> Engine:
    """
    Choose the engine that leads to PostgreSQL without a pooler.

    The programs set an empty search path and more for their session. A pooler gives that session to other
    clients, which then find no tables.

    :raises PushMetricsConfigurationError: if each goes through a pooler, or if they lead to two databases.
    """
    direct = listen_engine or engine
    with direct.connect() as connection:
        if is_pooled(connection.connection.driver_connection):
            raise PushMetricsConfigurationError(
                "the database is behind a pooler such as PgBouncer, and a backup or restore through it would"
                " break other sessions: set --listen-database-url to the URL of the same database without the"
                " pooler."
            )
        found = _identify(connection)
    if listen_engine is not None:
        with engine.connect() as connection:
            if _identify(connection) != found:
                raise PushMetricsConfigurationError(
                    "--listen-database-url leads to another database: set it to the URL of the same database"
                    " without the pooler."
                )
    return direct


def _identify(connection: Connection) -> Row[Any]:
    return connection.execute(IDENTIFY).one()


@contextmanager
def lock_restores(engine: Engine, number: int) -> Iterator[None]:
    """
    Keep other restores out of a database until the end of the block.

    The lock belongs to a session without a transaction, and ends with it, also if the process dies.

    :param engine: Leads to the database without a pooler.
    :param number: The number of the advisory lock.
    :raises PushMetricsConfigurationError: if there is another restore.
    """
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not connection.execute(TRY_RESTORE_LOCK, {"number": number}).scalar_one():
            raise PushMetricsConfigurationError(
                "another restore to this database is running: wait for its end. This one has changed nothing."
            )
        try:
            yield
        finally:
            connection.invalidate()  # the session ends, and its lock


@contextmanager
def take_postgresql_snapshot(engine: Engine) -> Iterator[tuple[Connection, str]]:
    """Open a transaction that sees one moment, and export its snapshot for :func:`dump_tables`."""
    with (
        engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection,
        connection.begin(),
    ):
        for name in ("lock_timeout", "idle_in_transaction_session_timeout", "statement_timeout"):
            connection.execute(text(f"SET LOCAL {name} = 0"))  # it waits for the dump
        yield connection, connection.execute(select(func.pg_export_snapshot())).scalar_one()


def dump_tables(engine: Engine, tables: Sequence[str], path: Path, *, snapshot: str) -> None:
    """
    Dump the rows of tables.

    :param snapshot: The exported snapshot of an open transaction, whose rows are dumped.
    :raises PushMetricsConfigurationError: if it fails.
    """
    options = ["--format=custom", "--data-only", f"--file={path}", f"--snapshot={snapshot}"]
    _run(engine, ["pg_dump", *options, *(f'--table="{name}"' for name in tables)])


def load_tables(engine: Engine, path: Path) -> None:
    """
    Load the rows of a dump into empty tables, all or none.

    :raises PushMetricsConfigurationError: if it fails.
    """
    options = ["--data-only", "--single-transaction", "--exit-on-error", "--no-owner"]
    _run(engine, ["pg_restore", *options, str(path)])


def _run(engine: Engine, command: Sequence[str]) -> None:
    program = shutil.which(command[0])
    if program is None:
        raise PushMetricsConfigurationError(
            f"the program {command[0]!r} is not there: install the client programs of PostgreSQL, of the"
            " server's version or newer (Debian: postgresql-client)."
        )
    with _write_service_file(engine) as file:
        done = subprocess.run(
            [program, f"--dbname=service={SERVICE}", "--no-password", *command[1:]],
            env={**os.environ, "PGSERVICEFILE": str(file)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
    if done.returncode:
        reason = redact(" ".join(done.stderr.split()) or f"exit code {done.returncode}")
        raise PushMetricsConfigurationError(f"{command[0]} failed: {reason}")


@contextmanager
def _write_service_file(engine: Engine) -> Iterator[Path]:
    """
    Write the connection's parameters to a file that only its owner can read.

    In arguments or variables, a list of processes would show the password.
    """
    _, arguments = engine.dialect.create_connect_args(engine.url)
    lines = [f"{name}={value}" for name, value in arguments.items() if name not in NOT_OF_LIBPQ]
    if any("\n" in line for line in lines):
        raise PushMetricsConfigurationError("a value in the database URL has a line break: remove it.")
    with TemporaryDirectory() as folder:
        file = Path(folder) / "pg_service.conf"
        with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
            out.write("\n".join([f"[{SERVICE}]", *lines, ""]))
        yield file
