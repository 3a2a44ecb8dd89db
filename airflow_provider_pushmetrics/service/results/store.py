"""Results at rest: one Parquet file for each query of a run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from airflow_provider_pushmetrics.exceptions import PushMetricsError
from airflow_provider_pushmetrics.service.datasources.base import RowBatches
from airflow_provider_pushmetrics.service.ids import generate_uid

READ_ROWS = 16_384
PARTIAL = ".partial"
MAX_TEMPLATE_ROWS = 100_000
"""How many rows a template may hold in memory as ``query_1.data``."""


class ResultError(PushMetricsError):
    """A result cannot be kept, or not be read as it was asked for."""


class ResultStore:
    """
    Keeps results in a folder.

    :param folder: Where; made when it does not exist.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, name: str, rows: RowBatches) -> int:
        """
        Write a result, whole or not at all.

        :param name: The file, relative to the folder.
        :return: How many rows it has.
        :raises ResultError: if there are columns that Parquet cannot hold.
        """
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        # A name of its own: another worker that was taken for dead may be writing the same result.
        partial = path.with_name(f"{path.name}.{generate_uid()}{PARTIAL}")
        try:
            with open(partial, "wb") as file:
                row_count = _write_parquet(file, rows)
                file.flush()
                os.fsync(file.fileno())
            partial.rename(path)
        finally:
            partial.unlink(missing_ok=True)
        return row_count

    def find_path(self, name: str) -> Path | None:
        """Find the file of a result; None if it was cleaned up."""
        path = self._folder / name
        return path if path.is_file() else None

    @contextmanager
    def open(self, name: str) -> Iterator[pq.ParquetFile]:
        """Open a result."""
        with self.open_file(name) as file:
            yield file

    def open_file(self, name: str) -> pq.ParquetFile:
        """
        Open a result, for the caller to close.

        :raises FileNotFoundError: if it was cleaned up.
        """
        return pq.ParquetFile(self._folder / name)

    def clean(self, before: datetime) -> int:
        """
        Delete the results that were written before a moment; who reads one just now reads it to its end.

        :return: How many there were.
        """
        return self._delete("*/*.parquet", before) + self.clean_partial(before)

    def clean_partial(self, before: datetime) -> int:
        """Delete what processes that died were writing, if it has not grown since a moment; count it."""
        return self._delete(f"*/*{PARTIAL}", before)

    def _delete(self, pattern: str, before: datetime) -> int:
        count = 0
        for path in list(self._folder.glob(pattern)):
            try:
                if path.stat().st_mtime < before.timestamp():
                    path.unlink()
                    count += 1
                    path.parent.rmdir()
            except OSError:
                continue  # another process was first, or the folder has more in it
        return count

    def read_rows(self, name: str) -> list[dict[str, Any]]:
        """
        Read a whole result into memory, for a template.

        :raises ResultError: if it is too large for that.
        """
        with self.open(name) as file:
            if file.metadata.num_rows > MAX_TEMPLATE_ROWS:
                raise ResultError(
                    f"{file.metadata.num_rows} rows are too many for a template, which takes"
                    f" {MAX_TEMPLATE_ROWS}: aggregate them in the query."
                )
            rows: list[dict[str, Any]] = file.read().to_pylist()
            return rows


def _write_parquet(file: IO[bytes], rows: RowBatches) -> int:
    row_count = 0
    try:
        with pq.ParquetWriter(file, rows.schema, compression="zstd") as writer:
            for batch in rows.batches:
                writer.write_batch(batch)
                row_count += batch.num_rows
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
        raise ResultError(f"the result cannot be kept: {error}. Cast that column to another type.") from error
    return row_count
