"""Results at rest: one Parquet file for each query of a run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

READ_ROWS = 16_384
MAX_TEMPLATE_ROWS = 100_000
"""How many rows a template may hold in memory as ``query_1.data``."""


class ResultStore:
    """
    Keeps results in a folder.

    :param folder: Where; made when it does not exist.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, name: str, batches: pa.RecordBatchReader) -> int:
        """
        Write a result, whole or not at all.

        :param name: The file, relative to the folder.
        :return: How many rows it has.
        """
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".partial")
        rows = 0
        with open(partial, "wb") as file:
            with pq.ParquetWriter(file, batches.schema, compression="zstd") as writer:
                for batch in batches:
                    writer.write_batch(batch)
                    rows += batch.num_rows
            file.flush()
            os.fsync(file.fileno())
        partial.rename(path)
        return rows

    def find_path(self, name: str) -> Path | None:
        """Find the file of a result; None if it was cleaned up."""
        path = self._folder / name
        return path if path.is_file() else None

    @contextmanager
    def open(self, name: str) -> Iterator[pq.ParquetFile]:
        """Open a result."""
        with pq.ParquetFile(self._folder / name) as file:
            yield file

    def read_rows(self, name: str) -> list[dict[str, Any]]:
        """
        Read a whole result into memory, for a template.

        :raises ValueError: if it is too large for that.
        """
        with self.open(name) as file:
            if file.metadata.num_rows > MAX_TEMPLATE_ROWS:
                raise ValueError(
                    f"{file.metadata.num_rows} rows are too many for a template, which takes {MAX_TEMPLATE_ROWS}"
                )
            rows: list[dict[str, Any]] = file.read().to_pylist()
            return rows
