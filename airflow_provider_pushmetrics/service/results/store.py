"""The result store: one Parquet file for each query of a run."""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.exceptions import PushMetricsError
from airflow_provider_pushmetrics.service.datasources.base import RowBatches, split_batch
from airflow_provider_pushmetrics.service.models import BlockResult, Run, StandaloneQueryRun
from airflow_provider_pushmetrics.service.results.arrow_types import (
    UnsupportedTypeError,
    choose_schema,
    choose_stored_schema,
)
from airflow_provider_pushmetrics.service.results.checks import check_column
from airflow_provider_pushmetrics.service.results.columns import read_rows
from airflow_provider_pushmetrics.service.results.conversion import convert
from airflow_provider_pushmetrics.service.results.distinct import list_repeating
from airflow_provider_pushmetrics.service.storage.ids import generate_uid
from airflow_provider_pushmetrics.serving.private_files import make_private_folder, open_private, sync_folder

GROUP_ROWS = 65_536
GROUP_BYTES = 16 * 1024 * 1024
"""A row group is written and read as a whole: this limits the memory of wide rows."""

READ_ROWS = 32_768
RESULT_READ_BYTES = 3 * 1024 * 1024
"""A batch is encoded as a whole, and four are in memory at once: these limit the memory."""

PARTIAL = ".partial"
EXPORTS = "exports"
MAX_TEMPLATE_ROWS = 100_000
MAX_TEMPLATE_BYTES = 16 * 1024 * 1024
"""The maximum number of rows of ``query_1.data`` in a template, and their maximum size in Arrow."""

SCHEMA_KEY = b"pushmetrics.schema"
ARROW_SCHEMA_KEY = b"ARROW:schema"
TRUNCATED_KEY = b"pushmetrics.truncated"
ROW_LIMIT_KEY = b"pushmetrics.row_limit"


class ResultError(PushMetricsError):
    """A result cannot be stored or read."""


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

    :param path: Its Parquet file.
    :raises FileNotFoundError: if it was deleted.
    """

    def __init__(self, path: Path) -> None:
        self._file = pq.ParquetFile(path)
        metadata = self._file.metadata.metadata or {}
        stored = self._file.schema_arrow.remove_metadata()
        kept = metadata.get(SCHEMA_KEY)
        self.schema: pa.Schema = stored if kept is None else _read_schema(kept)
        self.row_count: int = self._file.metadata.num_rows
        self.truncation = Completeness.from_metadata(metadata)

    def __enter__(self) -> StoredResult:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

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


class ResultStore:
    """
    Stores results in a folder.

    :param folder: The folder; created if it does not exist.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        make_private_folder(folder)

    def write(
        self, name: str, rows: RowBatches, get_truncation: Callable[[], Completeness] = Completeness
    ) -> int:
        """
        Write a result atomically.

        :param name: The file, relative to the folder.
        :param get_truncation: Called after all rows were read.
        :return: The number of rows.
        :raises ResultError: if a format could not represent a value, with its column and rows.
        """
        path = self._folder / name
        make_private_folder(path.parent)
        # A unique name: another worker, assumed dead, may be writing the same result.
        partial = path.with_name(f"{path.name}.{generate_uid()}{PARTIAL}")
        try:
            with open_private(partial, "wb") as file:
                row_count = _write_parquet(file, rows, get_truncation)
                file.flush()
                os.fsync(file.fileno())
            partial.rename(path)
            for folder in (path.parent, self._folder):
                sync_folder(folder)
        finally:
            partial.unlink(missing_ok=True)
        return row_count

    def find_path(self, name: str) -> Path | None:
        """Find the file of a result; None if it was deleted."""
        path = self._folder / name
        return path if path.is_file() else None

    @contextmanager
    def open_file(self, name: str) -> Iterator[tuple[IO[bytes], int]]:
        """
        Open the file of a result, with its size.

        :raises FileNotFoundError: if it was deleted.
        """
        with open(self._folder / name, "rb") as file:
            yield file, os.fstat(file.fileno()).st_size

    def import_file(self, name: str, path: Path) -> None:
        """Take over the file of a result that another store had."""
        target = self._folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
        for folder in (target.parent, self._folder):
            sync_folder(folder)

    def has_any(self) -> bool:
        """Return whether there are results."""
        return next(self._folder.glob("*/*.parquet"), None) is not None

    def open(self, name: str) -> StoredResult:
        """
        Open a result.

        :raises FileNotFoundError: if it was deleted.
        """
        return StoredResult(self._folder / name)

    @contextmanager
    def make_export_folder(self) -> Iterator[Path]:
        """Create a folder for temporary exports, and delete it afterwards."""
        exports = self._folder / EXPORTS
        make_private_folder(exports)
        with TemporaryDirectory(dir=exports) as name:
            yield Path(name)

    def delete(self, names: Iterable[str]) -> None:
        """Delete results without references; a current reader can still read them to the end."""
        for name in names:
            path = self.find_path(name)
            if path is not None:
                with suppress(OSError):  # another process was first, or the folder has more in it
                    path.unlink()
                    path.parent.rmdir()

    def delete_folders(self, names: Iterable[str]) -> None:
        """Delete all results of runs, also those that no run refers to."""
        for name in names:
            shutil.rmtree(self._folder / name, ignore_errors=True)  # another process may be first

    def clean(self, before: datetime, spared: Collection[str] = ()) -> int:
        """
        Delete results written before a time; a current reader can still read them to the end.

        :param spared: The folders of runs whose results are kept.
        :return: How many there were.
        """
        return self._delete_older("*/*.parquet", before, spared) + self.clean_partial(before)

    def clean_partial(self, before: datetime) -> int:
        """Delete partial results of dead processes that have not grown since a time; return their number."""
        count = self._delete_older(f"*/*{PARTIAL}", before)
        return count + self._delete_older(f"{EXPORTS}/*/*", before)

    def _delete_older(self, pattern: str, before: datetime, spared: Collection[str] = ()) -> int:
        count = 0
        for path in list(self._folder.glob(pattern)):
            if path.parent.name in spared:
                continue
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
        Read a whole result into memory as exact Python values, for a template.

        :raises ResultError: if it is too large for that.
        """
        with self.open(name) as result:
            if result.row_count > MAX_TEMPLATE_ROWS:
                raise ResultError(
                    f"{result.row_count} rows are too many for a template, which accepts"
                    f" {MAX_TEMPLATE_ROWS}: aggregate them in the query."
                )
            rows: list[dict[str, Any]] = []
            size = 0
            for batch in result.read_batches():
                size += batch.nbytes
                if size > MAX_TEMPLATE_BYTES:
                    raise ResultError(
                        f"the rows have more than {MAX_TEMPLATE_BYTES:,} bytes, the limit for a template:"
                        " select fewer columns, or aggregate them in the query."
                    )
                rows += read_rows(batch)
            return rows


def list_result_folders(session: Session, **owner: int) -> set[str]:
    """
    List the folders of all results of a workspace or a report.

    :param owner: ``workspace_id`` or ``report_id``.
    """
    files = select(BlockResult.result_file).where(
        BlockResult.result_file.is_not(None),
        or_(
            BlockResult.run_id.in_(select(Run.id).filter_by(**owner)),
            BlockResult.query_run_id.in_(select(StandaloneQueryRun.id).filter_by(**owner)),
        ),
    )
    return {str(name).split("/", 1)[0] for name in session.scalars(files)}


def _write_parquet(file: IO[bytes], rows: RowBatches, get_truncation: Callable[[], Completeness]) -> int:
    row_count = 0
    try:
        schema = choose_schema(rows.schema)
        stored = choose_stored_schema(schema)
        groups = _group(_make_all_storable(rows.batches, schema, stored))
        batch = next(groups, None)
        with pq.ParquetWriter(
            file,
            stored,
            compression="zstd",
            use_dictionary=[] if batch is None else list_repeating(batch),
            write_statistics=_list_fixed_columns(stored),
        ) as writer:
            while batch is not None:
                writer.write_batch(batch)
                row_count += batch.num_rows
                del batch  # not kept while the next one is read
                batch = next(groups, None)
            if stored != schema:
                writer.add_key_value_metadata({SCHEMA_KEY: base64.b64encode(schema.serialize())})
            metadata = get_truncation().to_metadata()
            # Readers of Arrow get the metadata of the schema from this key only.
            arrow_schema = base64.b64encode(stored.with_metadata(metadata).serialize())
            writer.add_key_value_metadata({**metadata, ARROW_SCHEMA_KEY: arrow_schema})
    except UnsupportedTypeError as error:
        raise ResultError(f"the result cannot be stored: {error}") from error
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
        raise ResultError(
            f"the result cannot be stored: {error}. Cast that column to another type."
        ) from error
    return row_count if len(stored) else 0


def _list_fixed_columns(schema: pa.Schema) -> list[str]:
    """List the columns with fixed-size values; statistics of others would copy large values."""
    return [
        field.name for field in schema if pa.types.is_primitive(field.type) or pa.types.is_decimal(field.type)
    ]


def _make_all_storable(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema, stored: pa.Schema
) -> Iterator[pa.RecordBatch]:
    row_count = 0
    for batch in batches:
        count = batch.num_rows
        made = _make_storable(batch, schema, stored, row_count)
        del batch  # not kept while the next one is read
        yield made
        del made
        row_count += count


def _make_storable(
    batch: pa.RecordBatch, schema: pa.Schema, stored: pa.Schema, rows_before: int
) -> pa.RecordBatch:
    columns = []
    for column, field, stored_field in zip(batch.columns, schema, stored, strict=True):
        try:
            converted = convert(column, field.type)
            check_column(converted)
            columns.append(convert(converted, stored_field.type))
        except (ValueError, ArithmeticError, pa.ArrowException) as error:
            raise ResultError(
                f"the result cannot be stored: column {field.name!r} has a value in rows {rows_before + 1} to"
                f" {rows_before + batch.num_rows} that no format can represent: {error}."
            ) from error
    return pa.RecordBatch.from_arrays(columns, schema=stored)


def _group(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Join small batches and split large ones, so that each becomes a row group of the file."""
    waiting: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        parts = split_batch(batch, GROUP_BYTES, GROUP_ROWS)
        del batch  # only its parts keep it
        for part in parts:
            if not waiting and part.nbytes > GROUP_BYTES // 2:
                yield part  # before the next one is read
                del part
                continue
            if waiting and (rows + part.num_rows > GROUP_ROWS or size + part.nbytes > GROUP_BYTES):
                yield _join(waiting)
                waiting, rows, size = [], 0, 0
            waiting.append(part)
            rows, size = rows + part.num_rows, size + part.nbytes
    if rows:
        yield _join(waiting)


def _join(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    return batches[0] if len(batches) == 1 else pa.concat_batches(batches)


def _read_schema(kept: bytes) -> pa.Schema:
    schema: pa.Schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(kept)))
    return schema
