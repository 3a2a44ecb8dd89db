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
    :raises PushMetricsConfigurationError: if the database is damaged.
    """
    with TemporaryDirectory(dir=folder, prefix=".backup-") as name:
        copy = Path(name) / COPY_NAME
        # Not by a URI with mode=ro: that one could not read the write-ahead log of a process that died.
        with (
            closing(sqlite3.connect(file, timeout=COPY_BUSY_SECONDS)) as source,
            closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)
            target.execute("PRAGMA journal_mode=DELETE")  # so that the copy is one file
            faults = [row[0] for row in target.execute("PRAGMA quick_check(1)")]
        if faults != ["ok"]:
            raise PushMetricsConfigurationError(
                f"the database {str(file)!r} is damaged ({faults[0]}): restore an older backup."
            )
        yield copy
