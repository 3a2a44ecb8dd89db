"""Restoring a backup of a service to a place where none is: all of it, or nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import inspect
from sqlalchemy.exc import SQLAlchemyError

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError, PushMetricsError
from airflow_provider_pushmetrics.service.maintenance.access import describe_outage
from airflow_provider_pushmetrics.service.maintenance.backup import RESULTS, SERVICE_KIND, list_tables
from airflow_provider_pushmetrics.service.maintenance.postgresql_load import (
    DatabaseLeftError,
    load_into_postgresql,
)
from airflow_provider_pushmetrics.service.maintenance.spare_ids import count_spare_ids, skip_ids_in_sqlite
from airflow_provider_pushmetrics.service.results.ownership import claim_results, set_in_sqlite
from airflow_provider_pushmetrics.service.results.store import ResultStore
from airflow_provider_pushmetrics.service.settings import ServiceSettings
from airflow_provider_pushmetrics.service.storage.clock import get_now
from airflow_provider_pushmetrics.service.storage.data_folder import lock_folder, make_data_dir
from airflow_provider_pushmetrics.service.storage.database import SCHEMA_VERSION_TABLE, Database
from airflow_provider_pushmetrics.service.storage.ids import generate_uid
from airflow_provider_pushmetrics.service.storage.object_store import ObjectStoreError
from airflow_provider_pushmetrics.service.storage.schema import require_known
from airflow_provider_pushmetrics.serving.backups.archive import Manifest, extract_archive
from airflow_provider_pushmetrics.serving.backups.postgresql_dump import (
    DUMP_NAME,
    choose_direct,
    lock_restores,
)
from airflow_provider_pushmetrics.serving.backups.sqlite_copy import COPY_NAME
from airflow_provider_pushmetrics.serving.private_files import name_new_file, sync_folder

REPEAT = "Nothing of the backup is left there: the restore can be repeated."

RESTORE_LOCK = 7_305_816
"""Any number that no other program locks in this database."""


def restore(settings: ServiceSettings, archive: Path) -> int:
    """
    Restore a backup as another installation, with ids for what is new that Airflow does not know.

    The database is last: without it, no service starts on half of a backup. What a failed restore has
    written is deleted. One restore at a time writes to a place.

    :return: The number of results.
    :raises PushMetricsConfigurationError: if the place is not empty, or another installation's, the backup
        cannot be used, or a part of it cannot be written. The message says what is left, if anything is.
    """
    engine = "postgresql" if settings.database_url else "sqlite"
    make_data_dir(settings.data_dir)
    results = ResultStore.connect(settings.results_dir, settings.object_url)
    results.prepare(wait_seconds=0)
    _require_empty(settings, results)
    with (
        _open_empty(settings) as database,
        TemporaryDirectory(dir=settings.data_dir, prefix=".restore-") as name,
    ):
        staged = Path(name)
        manifest = extract_archive(archive, staged, SERVICE_KIND, engine)
        require_known(manifest.contents.schema, manifest.version)
        files = [file.removeprefix(RESULTS) for file in manifest.files if file.startswith(RESULTS)]
        _require_empty(settings, results)  # another restore may have ended meanwhile
        written: list[str] = []
        with _claim(results) as installation, _delete_after_failure(results, written):
            for file in files:
                written.append(file)
                results.put(file, staged / RESULTS / file)
            sync_folder(settings.data_dir)  # the folder of the results may be new
            _restore_database(settings, database, staged, manifest, installation)
        return len(files)


def _require_empty(settings: ServiceSettings, results: ResultStore) -> None:
    if results.has_any() or list(settings.data_dir.glob(f"{settings.database_file.name}*")):
        raise PushMetricsConfigurationError(
            f"the folder {str(settings.data_dir)!r} has a service already, or {results} has results: restore"
            " to an empty place."
        )


@contextmanager
def _claim(results: ResultStore) -> Iterator[str]:
    """Mark the place of results as that of a new installation, until a failure."""
    installation = generate_uid()
    claim_results(results, installation)
    try:
        yield installation
    except BaseException:
        with suppress(ObjectStoreError):  # the error says that it is away
            results.delete_owner(installation)
        raise


def _restore_database(
    settings: ServiceSettings, database: Database | None, staged: Path, manifest: Manifest, installation: str
) -> None:
    spare = count_spare_ids(manifest.contents.created_on, get_now())
    if database is not None:
        load_into_postgresql(database, staged / DUMP_NAME, manifest.contents.schema, spare, installation)
        return
    _change_copy(staged / COPY_NAME, spare, installation)
    try:
        name_new_file(staged / COPY_NAME, settings.database_file)
    except FileExistsError:
        raise PushMetricsConfigurationError(
            f"a service has started meanwhile on the folder {str(settings.data_dir)!r}: stop it, and restore"
            " to an empty place."
        ) from None
    try:
        sync_folder(settings.data_dir)
    except BaseException:  # an interrupt, too: its results are deleted
        settings.database_file.unlink()
        raise


def _change_copy(file: Path, spare: int, installation: str) -> None:
    try:
        with closing(sqlite3.connect(file)) as opened, opened:
            skip_ids_in_sqlite(opened, list_tables(), spare)
            set_in_sqlite(opened, installation)
    except sqlite3.Error as error:
        raise PushMetricsConfigurationError(
            f"the database of the backup cannot be written to {str(file.parent)!r}: {error}. Choose another"
            " place, or free some space."
        ) from None


@contextmanager
def _open_empty(settings: ServiceSettings) -> Iterator[Database | None]:
    """Open PostgreSQL, which must have no service, and keep other restores out of it; None on SQLite."""
    if settings.database_url is None:
        with lock_folder(settings.data_dir):
            yield None
        return
    database = Database(settings.store_url, listen_url=settings.listen_database_url)
    try:
        direct = choose_direct(database.engine, database.listen_engine)
        with lock_restores(direct, RESTORE_LOCK):
            if {SCHEMA_VERSION_TABLE, *list_tables()} & set(inspect(database.engine).get_table_names()):
                raise PushMetricsConfigurationError(
                    "the database has tables of a service already: restore to an empty database."
                )
            yield database
    except SQLAlchemyError as error:
        raise describe_outage(error) from None
    finally:
        database.close()


@contextmanager
def _delete_after_failure(results: ResultStore, files: Sequence[str]) -> Iterator[None]:
    """
    Delete the results of a restore that fails, also by Ctrl+C.

    :raises PushMetricsConfigurationError: in place of an error, with what is left.
    """
    try:
        yield
    except BaseException as error:
        left = _delete(results, files)
        if isinstance(error, SQLAlchemyError):
            error = describe_outage(error)
        if not isinstance(error, PushMetricsError | OSError):
            raise
        if not left and not isinstance(error, DatabaseLeftError):
            left = REPEAT
        told = f"the backup was not restored: {str(error).rstrip('.')}. {left}".rstrip()
        raise PushMetricsConfigurationError(told) from None


def _delete(results: ResultStore, files: Sequence[str]) -> str:
    """Delete results, and describe what is left of them; an empty text if nothing is."""
    results.delete(files)  # tries again while the store is away
    try:
        later = datetime.max.replace(tzinfo=get_now().tzinfo) - timedelta(days=1)
        left = set(files) & set(results.list_written(later))
    except (PushMetricsError, OSError):
        left = set(files)
    if not left:
        return ""
    return (
        f"Up to {len(left)} results of the backup are left in {results}: delete them before the next attempt."
    )
