"""Restoring a backup of a service to a place where none is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import inspect, text
from sqlalchemy.exc import SQLAlchemyError

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.service.maintenance.access import describe_outage
from airflow_provider_pushmetrics.service.maintenance.backup import RESULTS, SERVICE_KIND, list_tables
from airflow_provider_pushmetrics.service.maintenance.spare_ids import (
    count_spare_ids,
    skip_ids_in_postgresql,
    skip_ids_in_sqlite,
)
from airflow_provider_pushmetrics.service.results.store import ResultStore
from airflow_provider_pushmetrics.service.settings import ServiceSettings, make_data_dir
from airflow_provider_pushmetrics.service.storage.clock import get_now
from airflow_provider_pushmetrics.service.storage.database import SCHEMA_VERSION_TABLE, Database
from airflow_provider_pushmetrics.service.storage.schema import require_known
from airflow_provider_pushmetrics.serving.backups.archive import Manifest, extract_archive
from airflow_provider_pushmetrics.serving.backups.postgresql_dump import DUMP_NAME, choose_direct, load_tables
from airflow_provider_pushmetrics.serving.backups.sqlite_copy import COPY_NAME
from airflow_provider_pushmetrics.serving.private_files import name_new_file, sync_folder


def restore(settings: ServiceSettings, archive: Path) -> int:
    """
    Restore a backup, with ids for what is new that Airflow does not know.

    The database is last: without it, no service starts on half of a backup.

    :return: The number of results.
    :raises PushMetricsConfigurationError: if the place is not empty, or the backup cannot be used.
    """
    engine = "postgresql" if settings.database_url else "sqlite"
    make_data_dir(settings.data_dir)
    results = ResultStore.connect(settings.results_dir, settings.object_url)
    results.prepare(wait_seconds=0)
    if results.has_any() or list(settings.data_dir.glob(f"{settings.database_file.name}*")):
        raise PushMetricsConfigurationError(
            f"the folder {str(settings.data_dir)!r} has a service already, or {results} has results: restore"
            " to an empty place."
        )
    with (
        _open_empty(settings) as database,
        TemporaryDirectory(dir=settings.data_dir, prefix=".restore-") as name,
    ):
        staged = Path(name)
        manifest = extract_archive(archive, staged, SERVICE_KIND, engine)
        require_known(manifest.contents.schema, manifest.version)
        files = [file.removeprefix(RESULTS) for file in manifest.files if file.startswith(RESULTS)]
        for file in files:
            results.put(file, staged / RESULTS / file)
        sync_folder(settings.data_dir)  # the folder of the results may be new
        spare = count_spare_ids(manifest.contents.created_on, get_now())
        if database is None:
            skip_ids_in_sqlite(staged / COPY_NAME, list_tables(), spare)
            name_new_file(
                staged / COPY_NAME, settings.database_file
            )  # fails if a service has started meanwhile
            sync_folder(settings.data_dir)
        else:
            _load(database, staged / DUMP_NAME, manifest, spare)
        return len(files)


@contextmanager
def _open_empty(settings: ServiceSettings) -> Iterator[Database | None]:
    """Open PostgreSQL, which must have no service; None on SQLite."""
    if settings.database_url is None:
        yield None
        return
    database = Database(settings.store_url, listen_url=settings.listen_database_url)
    try:
        choose_direct(database.engine, database.listen_engine)  # before anything is written
        if {SCHEMA_VERSION_TABLE, *list_tables()} & set(inspect(database.engine).get_table_names()):
            raise PushMetricsConfigurationError(
                "the database has tables of a service already: restore to an empty database."
            )
        yield database
    except SQLAlchemyError as error:
        raise describe_outage(error) from None
    finally:
        database.close()


def _load(database: Database, dump: Path, manifest: Manifest, spare: int) -> None:
    database.migrate(manifest.contents.schema)
    _empty(database)
    try:
        load_tables(choose_direct(database.engine, database.listen_engine), dump)
        skip_ids_in_postgresql(database, list_tables(), spare)
    except PushMetricsConfigurationError as error:
        _empty(database)
        raise PushMetricsConfigurationError(
            f"{error} The database has tables without rows now: drop it and create it again, and empty the"
            " folder of results, before the next attempt."
        ) from None


def _empty(database: Database) -> None:
    with database.writing() as session:
        session.execute(text("TRUNCATE " + ", ".join(f'"{name}"' for name in list_tables())))
