"""Copies of a database on SQLite, also while it is written."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError

COPY_NAME = "database.sqlite"
COPY_BUSY_SECONDS = 60.0


@contextmanager
def copy_sqlite(file: Path, folder: Path) -> Iterator[Path]:
    """
    Copy a database as it is at one moment; writers are not stopped.

    :param folder: Where the copy is, in a folder of its own, until the end of the block.
    :raises PushMetricsConfigurationError: if the database is damaged, or cannot be copied.
    """
    with TemporaryDirectory(dir=folder, prefix=".backup-") as name:
        copy = Path(name) / COPY_NAME
        faults = _copy(file, copy)
        if faults != ["ok"]:
            raise PushMetricsConfigurationError(
                f"the database {str(file)!r} is damaged ({faults[0]}): restore an older backup."
            )
        yield copy


def _copy(file: Path, copy: Path) -> list[str]:
    """Copy a database, and check the copy; return ``["ok"]`` or a fault."""
    try:
        # Not by a URI with mode=ro: that one could not read the write-ahead log of a process that died.
        with (
            closing(sqlite3.connect(file, timeout=COPY_BUSY_SECONDS)) as source,
            closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)
            target.execute("PRAGMA journal_mode=DELETE")  # so that the copy is one file
            return [row[0] for row in target.execute("PRAGMA quick_check(1)")]
    except sqlite3.Error as error:
        raise PushMetricsConfigurationError(
            f"the database {str(file)!r} cannot be copied to {str(copy.parent.parent)!r}: {error}. Look"
            " whether there is enough space, and restore an older backup if the database is damaged."
        ) from None
