"""
Loading a dump into a PostgreSQL that has no service.

The programs of PostgreSQL load the rows in a transaction of their own, and set the ids that follow to those
of the backup. A service that started then would give ids again that Airflow knows. So the schema has a
revision that no version knows until the ids were moved, and if anything fails, the tables are dropped.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, exists, inspect, select, text
from sqlalchemy.exc import SQLAlchemyError

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.service.maintenance.access import describe_outage
from airflow_provider_pushmetrics.service.maintenance.backup import list_tables
from airflow_provider_pushmetrics.service.maintenance.spare_ids import skip_ids_in_postgresql
from airflow_provider_pushmetrics.service.models import Workspace
from airflow_provider_pushmetrics.service.results.ownership import set_in_postgresql
from airflow_provider_pushmetrics.service.storage.database import SCHEMA_VERSION_TABLE, Database
from airflow_provider_pushmetrics.service.storage.schema import UNFINISHED_RESTORE
from airflow_provider_pushmetrics.serving.backups.postgresql_dump import choose_direct, load_tables

SET_REVISION = text(f'UPDATE "{SCHEMA_VERSION_TABLE}" SET version_num = :revision')  # noqa: S608 (our own name)
FIND_FUNCTIONS = text(
    "SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = current_schema()::regnamespace"
    " AND proname LIKE 'pushmetrics\\_%'"
)


class DatabaseLeftError(PushMetricsConfigurationError):
    """A restore failed, and its tables could not be dropped."""


class ServiceStartedError(PushMetricsConfigurationError):
    """A service has started on the database meanwhile: its tables are left alone."""


def load_into_postgresql(database: Database, dump: Path, schema: str, spare: int, installation: str) -> None:
    """
    Load a dump: all of it, or nothing.

    :param schema: The revision of the dump.
    :param spare: How many ids are left out.
    :param installation: The uid that the database gets.
    :raises DatabaseLeftError: if it failed, and its tables could not be dropped.
    :raises PushMetricsConfigurationError: if it cannot be loaded.
    :raises SQLAlchemyError: if the database does not answer.
    """
    with _drop_after_failure(database):
        database.migrate(schema)
        _mark(database)
        load_tables(choose_direct(database.engine, database.listen_engine), dump)
        with database.writing() as session:
            skip_ids_in_postgresql(session, list_tables(), spare)
            set_in_postgresql(session, installation)
            session.execute(SET_REVISION, {"revision": schema})


def _mark(database: Database) -> None:
    """Let no service start from now on, and delete what the migrations have inserted."""
    with database.writing() as session:
        session.execute(SET_REVISION, {"revision": UNFINISHED_RESTORE})
        if session.scalar(select(exists(select(Workspace.id)))):
            raise ServiceStartedError(
                "a service has started on the database meanwhile: stop it, and restore to an empty database."
            )
        session.execute(text("TRUNCATE " + ", ".join(f'"{name}"' for name in list_tables())))


@contextmanager
def _drop_after_failure(database: Database) -> Iterator[None]:
    """Drop the tables and functions of the service if a restore fails, also by Ctrl+C."""
    with database.engine.connect() as connection:
        known = set(connection.execute(FIND_FUNCTIONS).scalars())
    try:
        yield
    except ServiceStartedError:
        raise
    except BaseException as error:
        try:
            with database.writing() as session:
                _drop(session.connection(), known)
        except SQLAlchemyError:
            if isinstance(error, SQLAlchemyError):
                error = describe_outage(error)
            raise DatabaseLeftError(
                f"{error} The database has a part of the backup now: start no service on it, drop it, and"
                " create it again, before the next attempt."
            ) from None
        raise


def _drop(connection: Connection, known_functions: Collection[str]) -> None:
    """Drop the tables, and the functions that were not there before."""
    ours = {SCHEMA_VERSION_TABLE, *list_tables()}
    for name in sorted(ours & set(inspect(connection).get_table_names())):
        connection.execute(text(f'DROP TABLE "{name}" CASCADE'))
    for function in connection.execute(FIND_FUNCTIONS).scalars().all():
        if function not in known_functions:
            connection.execute(text(f"DROP FUNCTION {function}"))
