"""Converts rows batch by batch, through a file if a type depends on the whole column."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from airflow_provider_pushmetrics.service.datasources.base import RowBatches
from airflow_provider_pushmetrics.service.datasources.columns.base import Conversion, RowRange, unwrap
from airflow_provider_pushmetrics.service.datasources.limits import take_rows
from airflow_provider_pushmetrics.serving.private_files import make_private_folder


@dataclass(frozen=True)
class ConvertedColumn:
    """
    A column of a result.

    :param conversion: Converts its values to the type in which they are stored.
    :param pick: Gets the values for the conversion from a batch of the driver.
    """

    conversion: Conversion
    pick: Callable[[pa.RecordBatch], pa.Array]


@contextmanager
def convert_batches(
    columns: Sequence[ConvertedColumn], batches: Iterator[pa.RecordBatch], *, max_rows: int, temp_dir: Path
) -> Iterator[RowBatches]:
    """
    Convert the batches of a driver.

    If the type of a column depends on its values, all rows are written to a temporary file first.

    :param max_rows: The file contains at most one row more; the caller drops it.
    :param temp_dir: The folder of the file; created if it does not exist.
    :raises SourceError: if a value cannot be stored as it is, with its column and rows.
    """
    if not any(column.conversion.is_deferred for column in columns):
        conversions = [column.conversion for column in columns]
        yield _build(conversions, (_pick(columns, batch) for batch in batches))
        return
    make_private_folder(temp_dir)
    with tempfile.TemporaryFile(dir=temp_dir, prefix="query-") as file:
        spool = _Spool(columns, file)
        spool.fill(take_rows(batches, max_rows + 1))
        yield _build([column.conversion for column in columns], spool.read())


class _Spool:
    """Batches in a file, each with its own schema: types can differ until all values were observed."""

    def __init__(self, columns: Sequence[ConvertedColumn], file: BinaryIO) -> None:
        self._columns = columns
        self._file = file
        self._offsets: list[int] = []

    def fill(self, batches: Iterator[pa.RecordBatch]) -> None:
        for batch in batches:
            self._write(_pick(self._columns, batch))

    def read(self) -> Iterator[list[pa.Array]]:
        for offset in self._offsets:
            self._file.seek(offset)
            yield pa.ipc.open_stream(self._file).read_next_batch().columns

    def _write(self, arrays: list[pa.Array]) -> None:
        for column, array in zip(self._columns, arrays, strict=True):
            column.conversion.observe(array)
        names = [str(index) for index in range(len(arrays))]
        batch = pa.RecordBatch.from_arrays(arrays, names=names)
        self._offsets.append(self._file.tell())
        with pa.ipc.new_stream(self._file, batch.schema) as writer:
            writer.write_batch(batch)


def _pick(columns: Sequence[ConvertedColumn], batch: pa.RecordBatch) -> list[pa.Array]:
    return [column.pick(batch) for column in columns]


def _build(conversions: Sequence[Conversion], picked: Iterator[list[pa.Array]]) -> RowBatches:
    schema = pa.schema([pa.field(conversion.name, conversion.type) for conversion in conversions])

    def convert() -> Iterator[pa.RecordBatch]:
        row = 1
        for arrays in picked:
            count = len(arrays[0])
            if count == 0:
                continue
            rows = RowRange(row, row + count - 1)
            built = [
                conversion.convert(array, rows) for conversion, array in zip(conversions, arrays, strict=True)
            ]
            row += count
            yield pa.RecordBatch.from_arrays(built, schema=schema)

    return RowBatches(schema, convert())


def pick_at(index: int) -> Callable[[pa.RecordBatch], pa.Array]:
    """Build a function that gets a column from a batch, without its extension type."""

    def pick(batch: pa.RecordBatch) -> pa.Array:
        return unwrap(batch.column(index))

    return pick
