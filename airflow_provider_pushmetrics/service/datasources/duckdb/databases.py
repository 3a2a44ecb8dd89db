"""Opening the database of a query: a DuckDB file, or a folder of files as tables. For child processes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import duckdb

from airflow_provider_pushmetrics.service.datasources.base import SourceError
from airflow_provider_pushmetrics.service.datasources.columns.base import quote, quote_text
from airflow_provider_pushmetrics.service.datasources.duckdb.call import SPILL_FACTOR, DuckDbCall
from airflow_provider_pushmetrics.service.datasources.duckdb.csv_files import write_csv_query
from airflow_provider_pushmetrics.service.datasources.duckdb.queries import hide_path
from airflow_provider_pushmetrics.service.datasources.duckdb.tables import (
    CSV,
    EXTENSIONS,
    group_by_table,
    select_named,
)

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
    paths = [str(path) for files in tables.values() for path in files.values()]
    connection.execute("SET allowed_paths = $1", [paths])
    _lock(connection)
    broken = [error for files in tables.values() for error in _define_table(connection, files)]
    try:
        yield
    except SourceError as error:
        # A name in the query need not be that of a table: an error is raised only if the query fails.
        if not broken:
            raise
        raise SourceError(f"{error}\n" + "\n".join(broken)) from error


def _find_tables(folder: Path) -> dict[str, dict[str, Path]]:
    """Find the files of each table. Links that lead out of the folder are excluded."""
    found = {}
    for entry in folder.iterdir():
        path = entry.resolve()
        if path.suffix.lower() in EXTENSIONS and path.is_file() and path.is_relative_to(folder):
            found[entry.name] = path
    return group_by_table(found)


def _define_table(connection: duckdb.DuckDBPyConnection, files: Mapping[str, Path]) -> Iterator[str]:
    """Define a table, and yield the error if its file cannot be read."""
    [name, *others] = files
    if others:
        yield _write_ambiguous(files)
        return
    path = files[name]
    try:
        query = _write_query(connection, path)
        connection.execute(f"CREATE OR REPLACE VIEW {quote(Path(name).stem)} AS {query}")
    except duckdb.Error as error:
        yield f"{path.name}: {hide_path(str(error), path.parent)}"


def _write_query(connection: duckdb.DuckDBPyConnection, path: Path) -> str:
    if path.suffix.lower() == CSV:
        return write_csv_query(connection, path)
    return f"SELECT * FROM read_parquet({quote_text(str(path))})"  # noqa: S608 (it is quoted)


def _write_ambiguous(names: Collection[str]) -> str:
    *others, last = names
    table = Path(last).stem
    return (
        f"the table {table!r} is in {len(names)} files, {', '.join(others)} and {last}:"
        " rename or remove all but one of them."
    )
