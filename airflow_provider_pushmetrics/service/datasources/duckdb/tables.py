"""The tables of a folder: its CSV and Parquet files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import TypeVar

CSV = ".csv"
PARQUET = ".parquet"
EXTENSIONS = (CSV, PARQUET)

LISTING_WORDS = ("information_schema", "duckdb_", "sqlite_master", "pg_catalog", "show")
"""Words in queries that list tables. For these, all files become tables."""

File = TypeVar("File")


def group_by_table(files: Mapping[str, File]) -> dict[str, dict[str, File]]:
    """
    Group files by their tables. The names of tables differ in more than their case, as in DuckDB.

    :param files: The files by their names.
    :return: The files of each table, by their names; a table of several files cannot be read.
    """
    tables: dict[str, dict[str, File]] = {}
    for name in sorted(files):
        tables.setdefault(PurePath(name).stem.lower(), {})[name] = files[name]
    return tables


def select_named(tables: Mapping[str, File], sql: str) -> dict[str, File]:
    """Select the tables whose names occur in a query, or all if it lists tables."""
    text = sql.lower()
    if any(word in text for word in LISTING_WORDS):
        return dict(tables)
    return {table: file for table, file in tables.items() if table.lower() in text}
