"""Opening the database of a query: a DuckDB file, or a folder of files as tables. For child processes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import duckdb

from airflow_provider_pushmetrics.service.datasources.base import SourceError
from airflow_provider_pushmetrics.service.datasources.columns.base import quote
from airflow_provider_pushmetrics.service.datasources.duckdb.call import SPILL_FACTOR, DuckDbCall
from airflow_provider_pushmetrics.service.datasources.duckdb.queries import hide_path
from airflow_provider_pushmetrics.service.datasources.duckdb.tables import FILE_READERS, select_named

OWN_NAMES = frozenset({"main", "memory", "system", "temp"})
"""Databases that always exist in DuckDB."""


@contextmanager
def open_database(call: DuckDbCall) -> Iterator[duckdb.DuckDBPyConnection]:
    """
    Open the file or the folder of a query.

    :raises SourceError: if it does not exist, or cannot be opened.
    """
    with _connect(call) as connection:
        if call.path.is_dir():
            with _open_folder(connection, call):
                yield connection
        else:
            _attach_file(connection, call.path)
            yield connection


def _connect(call: DuckDbCall) -> duckdb.DuckDBPyConnection:
    """
    Open a DuckDB without a file, with the memory limit of a query.

    :raises SourceError: if there is no such time zone.
    """
    max_bytes = call.limits.max_memory_bytes
    connection = duckdb.connect(
        ":memory:",
        config={
            "memory_limit": f"{max_bytes}B",
            "temp_directory": str(call.temp_dir),
            "max_temp_directory_size": f"{max_bytes * SPILL_FACTOR}B",
            "allow_community_extensions": "false",
            "autoinstall_known_extensions": "false",
        },
    )
    try:
        connection.execute(f"SET GLOBAL TimeZone = '{call.time_zone.replace(chr(39), '')}'")
    except duckdb.Error as error:
        connection.close()
        raise SourceError(str(error)) from error
    return connection


def _lock(connection: duckdb.DuckDBPyConnection) -> None:
    """Disable access to the file system and the network, and lock the settings."""
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _attach_file(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    if not path.exists():
        raise SourceError(f"the DuckDB file {path.name!r} does not exist.")
    name = quote("database" if path.stem.lower() in OWN_NAMES else path.stem)
    file = str(path).replace("'", "''")
    try:
        connection.execute(f"ATTACH '{file}' AS {name} (READ_ONLY)")
        _lock(connection)
        connection.execute(f"USE {name}")
    except duckdb.Error as error:
        raise SourceError(hide_path(str(error), path.parent)) from error


@contextmanager
def _open_folder(connection: duckdb.DuckDBPyConnection, call: DuckDbCall) -> Iterator[None]:
    """Define tables for the files whose names occur in the query."""
    tables = select_named(_find_tables(call.path.resolve()), call.sql)
    # Only the tables' files, not the folder: DuckDB would follow links in it, and write to it.
    connection.execute("SET allowed_paths = $1", [[str(path) for path in tables.values()]])
    _lock(connection)
    broken = _define_tables(connection, tables)
    try:
        yield
    except SourceError as error:
        # A name in the query need not be that of a table: an error is raised only if the query fails.
        if not broken:
            raise
        raise SourceError(f"{error}\n" + "\n".join(broken)) from error


def _find_tables(folder: Path) -> dict[str, Path]:
    """Find the files by the names of their tables. Links that lead out of the folder are excluded."""
    found = {}
    for entry in sorted(folder.iterdir()):
        path = entry.resolve()
        if path.suffix.lower() in FILE_READERS and path.is_file() and path.is_relative_to(folder):
            found[entry.stem] = path
    return found


def _define_tables(connection: duckdb.DuckDBPyConnection, tables: Mapping[str, Path]) -> list[str]:
    """Define the tables, and return the errors of those that cannot be read."""
    broken = []
    for table, path in tables.items():
        reader = FILE_READERS[path.suffix.lower()].format(str(path).replace("'", "''"))
        try:
            connection.execute(f"CREATE OR REPLACE VIEW {quote(table)} AS SELECT * FROM {reader}")  # noqa: S608 (both are quoted)
        except duckdb.Error as error:
            broken.append(f"{path.name}: {hide_path(str(error), path.parent)}")
    return broken
