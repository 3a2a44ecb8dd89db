"""Arrays of PostgreSQL, which may have several dimensions."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_pushmetrics.service.datasources.columns.base import (
    Conversion,
    RowRange,
    unwrap,
    write_too_large,
)

TOO_LARGE = "too large"
"""The dimensions that the query returns for an array that is too large."""

VALUES, DIMENSIONS = "values", "dimensions"

BOUNDS = re.compile(r"\[(-?\d+):(-?\d+)\]")


class ArrayConversion(Conversion):
    """
    A column of arrays, as nested lists with one level for each dimension.

    PostgreSQL does not describe the number of dimensions, and its driver returns the elements in one list.
    The query returns the dimensions in another column.

    :param element: Converts the elements.
    :param max_bytes: The maximum size of one array.
    """

    is_deferred = True

    def __init__(self, name: str, element: Conversion, max_bytes: int) -> None:
        super().__init__(name)
        self._element = element
        self._max_bytes = max_bytes
        self._depth = 1

    @property
    def type(self) -> pa.DataType:
        """Lists of the elements' type."""
        found: pa.DataType = self._element.type
        for _ in range(self._depth):
            found = pa.list_(found)
        return found

    def observe(self, values: pa.Array) -> None:
        """Count the dimensions, and observe the elements."""
        self._element.observe(unwrap(pc.list_flatten(values.field(0))))
        dimensions = pc.count_substring(values.field(1), "[")
        self._depth = max(self._depth, pc.max(dimensions).as_py() or 0)

    def convert(self, values: pa.Array, rows: RowRange) -> pa.Array:
        """Build the lists."""
        lists, dimensions = values.field(0), values.field(1)
        if pc.any(pc.equal(dimensions, TOO_LARGE)).as_py():
            index = pc.index(dimensions, TOO_LARGE).as_py()
            raise self.build_error(rows.at(index), write_too_large(self._max_bytes))
        elements = self._element.convert(unwrap(pc.list_flatten(lists)), rows)
        lengths = pc.fill_null(pc.list_value_length(lists), 0).to_pylist()
        sizes = [[length] for length in lengths]
        if self._depth > 1:
            sizes = [
                self._read_sizes(written, length, rows.at(index))
                for index, (written, length) in enumerate(zip(dimensions.to_pylist(), lengths, strict=True))
            ]
        built = elements
        for level in range(self._depth - 1, 0, -1):
            built = pa.ListArray.from_arrays(_count_offsets(sizes, level), built)
        return pa.ListArray.from_arrays(
            pa.array(_accumulate([size[0] for size in sizes]), pa.int32()),
            built,
            mask=pc.is_null(lists) if lists.null_count else None,
        )

    def _read_sizes(self, written: str | None, length: int, row: RowRange) -> list[int]:
        if length == 0:
            return [0] * self._depth  # an empty array has no dimensions
        sizes = [int(last) - int(first) + 1 for first, last in BOUNDS.findall(written or f"[1:{length}]")]
        if len(sizes) != self._depth:
            raise self.build_error(
                row,
                f"the array has {len(sizes)} dimension(s), others {self._depth}: cast it to text.",
            )
        return sizes


def _count_offsets(sizes: Sequence[Sequence[int]], level: int) -> pa.Array:
    """Compute the offsets of the lists of a level: each has the size of its level, in each row."""
    lengths: list[int] = []
    for size in sizes:
        lists = 1
        for outer in size[:level]:
            lists *= outer
        lengths.extend([size[level]] * lists)
    return pa.array(_accumulate(lengths), pa.int32())


def _accumulate(lengths: Sequence[int]) -> list[int]:
    offsets = [0]
    for length in lengths:
        offsets.append(offsets[-1] + length)
    return offsets
