"""Backups of a service: its database and the files of its results, as they are at one moment."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence, Set
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import select

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.service.maintenance.access import open_store
from airflow_provider_pushmetrics.service.models import Base, BlockResult
from airflow_provider_pushmetrics.service.results.files.base import FoundFile
from airflow_provider_pushmetrics.service.results.store import ResultStore
from airflow_provider_pushmetrics.service.results.stored_result import ResultAwayError, ResultsNotMountedError
from airflow_provider_pushmetrics.service.settings import ServiceSettings
from airflow_provider_pushmetrics.service.storage.clock import get_now, read_database_clock
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.service.storage.schema import require_schema
from airflow_provider_pushmetrics.serving.backups.archive import ArchiveWriter, Contents, write_archive
from airflow_provider_pushmetrics.serving.backups.postgresql_dump import (
    DUMP_NAME,
    choose_direct,
    dump_tables,
    take_postgresql_snapshot,
)
from airflow_provider_pushmetrics.serving.backups.sqlite_copy import COPY_NAME, copy_sqlite

SERVICE_KIND = "service"
RESULTS = "results/"
LIST_RESULTS = select(BlockResult.result_file).where(BlockResult.result_file.is_not(None)).distinct()

CLEANUP_MARGIN = timedelta(hours=1)
"""The cleanup compares the times of files, by other clocks, and these are older than their rows."""


@dataclass(frozen=True)
class BackedUp:
    """
    What a backup has.

    :param results: How many results.
    :param missing: How many results of its database were deleted before, or while it was made.
    """

    results: int
    missing: int


@dataclass(frozen=True)
class _Snapshot:
    """The database at one moment: its file in the archive, and the results of that moment."""

    name: str
    path: Path
    result_files: Sequence[str]


def back_up(settings: ServiceSettings, archive: Path) -> BackedUp:
    """
    Write a backup, while the service runs. The secret keys are not in it.

    :raises PushMetricsConfigurationError: if there is no service, if results are missing that nothing has
        deleted, or if the backup cannot be written.
    """
    with open_store(settings) as database:
        _require_results(settings)
        dialect = database.engine.dialect.name
        contents = Contents(SERVICE_KIND, dialect, require_schema(database), get_now().isoformat())
        results, missing = ResultStore.connect(settings.results_dir, settings.object_url), set[str]()
        with write_archive(archive, contents) as writer, _take_snapshot(database, archive.parent) as snapshot:
            writer.add_path(snapshot.name, snapshot.path)
            for name in snapshot.result_files:
                if not _add_result(writer, name, _find(results, name)):
                    missing.add(name)
            if missing:
                _refuse_lost(database, missing, settings.result_retention_days, str(results))
        return BackedUp(len(snapshot.result_files) - len(missing), len(missing))


def _find(results: ResultStore, name: str) -> FoundFile | None:
    """
    Find a result; None if it was deleted, as all of an empty folder.

    :raises PushMetricsConfigurationError: if the folder cannot be read.
    """
    try:
        return results.find(name)
    except ResultsNotMountedError:
        return None
    except ResultAwayError as error:
        raise PushMetricsConfigurationError(str(error)) from error


def _add_result(writer: ArchiveWriter, name: str, found: FoundFile | None) -> bool:
    """Add a result, and return whether it is still there."""
    if found is None:
        return False
    try:
        file = found.open()
    except FileNotFoundError:
        return False
    with file:
        writer.add(RESULTS + name, file, found.size)
    return True


def _require_results(settings: ServiceSettings) -> None:
    """Refuse a folder without results: on PostgreSQL, nothing else says that it is the service's."""
    if settings.object_url is None and not settings.results_dir.is_dir():
        raise PushMetricsConfigurationError(
            f"there is no folder {str(settings.results_dir)!r}, so the results would be missing: name the"
            " service's data folder with --data or PUSHMETRICS_SERVICE_DATA, or --results-url."
        )


def _refuse_lost(database: Database, missing: Set[str], retention_days: int | None, place: str) -> None:
    """
    Refuse missing results, except those beyond the retention, or of runs deleted during the backup.

    The rows of a run are deleted before its files.
    """
    if lost := missing & _list_kept_results(database, retention_days):
        raise PushMetricsConfigurationError(
            f"{len(lost)} results of the database are not in {place}, such as {min(lost)!r}: name the"
            " service's data folder with --data or PUSHMETRICS_SERVICE_DATA, and its --results-url if it has"
            " one. If the service has deleted them, set the same --result-retention-days here."
        )


def _list_kept_results(database: Database, retention_days: int | None) -> set[str]:
    """List the results that the cleanup has not deleted."""
    kept = LIST_RESULTS
    with database.reading() as session:
        if retention_days is not None:
            before = read_database_clock(session) - timedelta(days=retention_days) + CLEANUP_MARGIN
            kept = kept.where(BlockResult.finished_on >= before)
        return {str(name) for name in session.scalars(kept)}


@contextmanager
def _take_snapshot(database: Database, folder: Path) -> Iterator[_Snapshot]:
    if database.engine.dialect.name == "sqlite":
        with copy_sqlite(Path(str(database.engine.url.database)), folder) as copy:
            with closing(sqlite3.connect(copy)) as opened:
                names = [str(row[0]) for row in opened.execute(str(LIST_RESULTS))]
            yield _Snapshot(COPY_NAME, copy, names)
        return
    with TemporaryDirectory(dir=folder, prefix=".backup-") as name:
        dump = Path(name) / DUMP_NAME
        names = _dump(database, dump)
        yield _Snapshot(DUMP_NAME, dump, names)


def _dump(database: Database, path: Path) -> list[str]:
    """Dump the tables, and list the results of the same moment."""
    direct = choose_direct(database.engine, database.listen_engine)
    with take_postgresql_snapshot(direct) as (connection, snapshot):
        dump_tables(connection.engine, list_tables(), path, snapshot=snapshot)
        return [str(name) for name in connection.execute(LIST_RESULTS).scalars()]


def list_tables() -> list[str]:
    """List the tables of a service; the version of the schema is in the manifest."""
    return [table.name for table in Base.metadata.sorted_tables]
