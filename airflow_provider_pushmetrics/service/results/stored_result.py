"""Reading a stored result, batch by batch."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from airflow_provider_pushmetrics.exceptions import PushMetricsError, PushMetricsUnavailableError
from airflow_provider_pushmetrics.service.results.conversion import convert
from airflow_provider_pushmetrics.service.storage.object_file import ObjectFile

READ_ROWS = 32_768
RESULT_READ_BYTES = 3 * 1024 * 1024
"""A batch is encoded as a whole, and four are in memory at once: these limit the memory."""

AWAY_RETRY_SECONDS = 10
"""For how long a caller waits who has found the place of results away."""

SCHEMA_KEY = b"pushmetrics.schema"
TRUNCATED_KEY = b"pushmetrics.truncated"
ROW_LIMIT_KEY = b"pushmetrics.row_limit"


class ResultError(PushMetricsError):
    """A result cannot be stored or read."""


class ResultAwayError(PushMetricsUnavailableError):
    """The place of results does not answer now. A result may be there."""

    def __init__(self, message: str) -> None:
        super().__init__(message, status_code=503, retry_after_seconds=AWAY_RETRY_SECONDS)


class ResultsNotMountedError(ResultAwayError):
    """The folder of results is empty, as one whose file system is not mounted."""


class ResultGoneError(ResultError, FileNotFoundError):
    """A result was deleted."""


@dataclass(frozen=True)
class Completeness:
    """
    Whether a result is complete.

    :param row_limit: The row limit; None for no limit.
    """

    is_truncated: bool = False
    row_limit: int | None = None

    def to_metadata(self) -> dict[bytes, bytes]:
        """Convert it to the metadata of an Arrow schema or a Parquet file."""
        metadata = {TRUNCATED_KEY: b"true" if self.is_truncated else b"false"}
        if self.row_limit is not None:
            metadata[ROW_LIMIT_KEY] = str(self.row_limit).encode("ascii")
        return metadata

    @classmethod
    def from_metadata(cls, metadata: dict[bytes, bytes]) -> Completeness:
        limit = metadata.get(ROW_LIMIT_KEY)
        return cls(metadata.get(TRUNCATED_KEY) == b"true", None if limit is None else int(limit))


class StoredResult:
    """
    An open result, used as a context.

    :param source: Its Parquet file: a path, or a file whose every read takes long.
    :raises FileNotFoundError: if it was deleted.
    """

    def __init__(self, source: Path | ObjectFile) -> None:
        # Of a file that is far away, all columns of a row group are read at once.
        self._file = pq.ParquetFile(source, pre_buffer=not isinstance(source, Path))
        metadata = self._file.metadata.metadata or {}
        stored = self._file.schema_arrow.remove_metadata()
        kept = metadata.get(SCHEMA_KEY)
        self.schema: pa.Schema = stored if kept is None else _read_schema(kept)
        self.row_count: int = self._file.metadata.num_rows
        self.truncation = Completeness.from_metadata(metadata)

    def __enter__(self) -> StoredResult:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close(force=True)

    def read_batches(self) -> Iterator[pa.RecordBatch]:
        """Read all rows in batches; wide rows in smaller ones."""
        yield from self._read(range(self._file.metadata.num_row_groups), READ_ROWS)

    def read_slice(self, offset: int, limit: int) -> Iterator[pa.RecordBatch]:
        """Read a slice of the rows, without reading earlier row groups."""
        metadata, group = self._file.metadata, 0
        while group < metadata.num_row_groups and offset >= metadata.row_group(group).num_rows:
            offset -= metadata.row_group(group).num_rows
            group += 1
        for batch in self._read(range(group, metadata.num_row_groups), min(READ_ROWS, limit)):
            wanted = batch.slice(offset, limit)
            offset, limit = max(offset - batch.num_rows, 0), limit - wanted.num_rows
            yield wanted
            if limit <= 0:
                return

    def _read(self, groups: Iterable[int], max_rows: int) -> Iterator[pa.RecordBatch]:
        for group in groups:
            # Each group by itself: its size is bounded, while equal values take no space in the file, so that
            # nothing tells how large some rows of several groups are.
            rows = min(max_rows, self._choose_batch_rows(group))
            for batch in self._file.iter_batches(rows, row_groups=[group], use_threads=False):
                columns = [
                    convert(one, field.type) for one, field in zip(batch.columns, self.schema, strict=True)
                ]
                yield pa.RecordBatch.from_arrays(columns, schema=self.schema)

    def _choose_batch_rows(self, group: int) -> int:
        metadata = self._file.metadata.row_group(group)
        per_row = max(metadata.total_byte_size / max(metadata.num_rows, 1), 1.0)
        return int(min(READ_ROWS, max(RESULT_READ_BYTES / per_row, 1)))


def _read_schema(kept: bytes) -> pa.Schema:
    schema: pa.Schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(kept)))
    return schema
