"""Writing a result as Parquet, in row groups of a bounded size."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from airflow_provider_pushmetrics.service.datasources.base import RowBatches, split_batch
from airflow_provider_pushmetrics.service.results.arrow_types import (
    UnsupportedTypeError,
    choose_schema,
    choose_stored_schema,
)
from airflow_provider_pushmetrics.service.results.checks import check_column
from airflow_provider_pushmetrics.service.results.conversion import convert
from airflow_provider_pushmetrics.service.results.distinct import list_repeating
from airflow_provider_pushmetrics.service.results.stored_result import SCHEMA_KEY, Completeness, ResultError

GROUP_ROWS = 65_536
GROUP_BYTES = 16 * 1024 * 1024
"""A row group is written and read as a whole: this limits the memory of wide rows."""

ARROW_SCHEMA_KEY = b"ARROW:schema"


def write_parquet(file: IO[bytes], rows: RowBatches, get_truncation: Callable[[], Completeness]) -> int:
    """
    Write a result.

    :param get_truncation: Called after all rows were read.
    :return: The number of rows.
    :raises ResultError: if a format could not represent a value, with its column and rows.
    """
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
