"""The tables of a folder: its CSV and Parquet files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

FILE_READERS = {
    # All rows decide the types of a CSV file, not its first ones.
    ".csv": "read_csv('{}', sample_size = -1)",
    ".parquet": "read_parquet('{}')",
}
"""The function that reads a file, by its extension."""

LISTING_WORDS = ("information_schema", "duckdb_", "sqlite_master", "pg_catalog", "show")
"""Words in queries that list tables. For these, all files become tables."""

File = TypeVar("File")


def select_named(tables: Mapping[str, File], sql: str) -> dict[str, File]:
    """Select the tables whose names occur in a query, or all if it lists tables."""
    text = sql.lower()
    if any(word in text for word in LISTING_WORDS):
        return dict(tables)
    return {table: file for table, file in tables.items() if table.lower() in text}
