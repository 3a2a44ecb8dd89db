"""Searching and sorting the rows of a result for a page, by their values and not by what is shown of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError
from airflow_provider_pushmetrics.service.results.cells import write_cells
from airflow_provider_pushmetrics.service.results.stored_result import StoredResult

MAX_SORTED_ROWS = 10_000
MAX_SORTED_BYTES = 64 * 1024 * 1024
"""A larger result is not held in memory for a page: it can be downloaded, or its query can sort."""

TOO_LARGE = (
    f"Only results of up to {MAX_SORTED_ROWS:,} rows and {MAX_SORTED_BYTES // 1024**2} MiB can be searched"
    " and sorted here. Download the rows, or sort them in SQL."
)


@dataclass(frozen=True)
class RowOrder:
    """
    Which rows are wanted, and in which order.

    :param search: A text that one of their cells contains, in any case; empty for all rows.
    :param column: The number of the column to sort by; None for the order of the query.
    """

    search: str = ""
    column: int | None = None
    is_descending: bool = False

    @property
    def is_stored(self) -> bool:
        """Return whether these are all rows in the order in which they are stored."""
        return not self.search and self.column is None


def can_sort(result: StoredResult) -> bool:
    """Return whether a result is small enough, as far as its number of rows says."""
    return result.row_count <= MAX_SORTED_ROWS


def select_rows(
    result: StoredResult, order: RowOrder, offset: int, limit: int
) -> tuple[int, Iterator[pa.RecordBatch]]:
    """
    Select some rows.

    :return: How many rows were found, and those that are wanted of them.
    :raises PushMetricsParameterError: if the result is too large to be searched and sorted, or has no such
        column.
    """
    if order.is_stored:
        return result.row_count, result.read_slice(offset, limit)
    if order.column is not None and order.column >= len(result.schema):
        raise PushMetricsParameterError("The result has no such column")
    found = pa.Table.from_batches(_search(result, order.search), result.schema)
    if order.column is not None and found.num_rows:
        found = found.take(_sort(found.column(order.column), is_descending=order.is_descending))
    return found.num_rows, iter(found.slice(offset, limit).combine_chunks().to_batches())


def _search(result: StoredResult, search: str) -> Iterator[pa.RecordBatch]:
    if not can_sort(result):
        raise PushMetricsParameterError(TOO_LARGE)
    size = 0
    for batch in result.read_batches():
        size += batch.nbytes
        if size > MAX_SORTED_BYTES:
            raise PushMetricsParameterError(TOO_LARGE)
        yield batch.filter(_match(batch, search)) if search else batch


def _match(batch: pa.RecordBatch, search: str) -> pa.BooleanArray:
    """Find the rows with a cell that contains a text, as it is shown."""
    found = pa.nulls(batch.num_rows, pa.bool_()).fill_null(False)
    for column in batch.columns:
        matches = pc.match_substring(write_cells(column), search, ignore_case=True)
        found = pc.or_(found, matches.fill_null(False))
    return found


def _sort(column: pa.ChunkedArray, *, is_descending: bool) -> pa.Array:
    """Sort by values: numbers and moments as such, and what has no order by its text. NULL is last."""
    if not _has_order(column.type):
        column = pa.chunked_array([write_cells(chunk) for chunk in column.chunks], pa.string())
    direction = "descending" if is_descending else "ascending"
    keys = [("value", direction)]
    return pc.sort_indices(pa.table({"value": column}), sort_keys=keys)


def _has_order(kind: pa.DataType) -> bool:
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    is_moment = pa.types.is_date(kind) or pa.types.is_time(kind) or pa.types.is_timestamp(kind)
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    return bool(is_number or is_moment or is_text or pa.types.is_boolean(kind))
