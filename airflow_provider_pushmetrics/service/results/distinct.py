"""
Columns with few distinct values.

Dates, states and prices repeat in most results. The text of such a value is written once, and Arrow copies it
to its rows, which takes a third of the time of writing it for each.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

PROBE_ROWS = 1024
MAX_SHARE_OF_PROBE = 0.5
MAX_SHARE = 0.25
"""If more than this share of the values is distinct, finding them takes longer than it saves."""

MAX_MEAN_BYTES = 128
"""Values are copied for the comparison: large ones would need the memory once more."""


def find_distinct(column: pa.Array) -> pa.DictionaryArray | None:
    """
    Find the distinct values of a column that has few.

    :return: Indices, none of which is null, into the distinct values, one of which is null if the column has
        nulls. None if there are many distinct values, or if values of the type cannot be compared.
    """
    if not _is_comparable(column.type) or not 0 < column.nbytes <= len(column) * MAX_MEAN_BYTES:
        return None
    values = _view_bits(column)
    if _has_many(values.slice(0, PROBE_ROWS)):
        return None
    encoded = values.dictionary_encode(null_encoding="encode")
    if len(encoded.dictionary) > len(column) * MAX_SHARE:
        return None
    return pa.DictionaryArray.from_arrays(encoded.indices, encoded.dictionary.view(column.type))


def list_repeating(group: pa.RecordBatch) -> list[str]:
    """
    List the columns of a row group for which Parquet should build dictionaries.

    For others it would try, fill a page with values that do not repeat, and start again without a dictionary:
    that takes twice the time, and the file is larger.
    """
    names = group.schema.names
    return [
        name for name, column in zip(names, group.columns, strict=True) if find_distinct(column) is not None
    ]


def _is_comparable(kind: pa.DataType) -> bool:
    is_text = pa.types.is_string(kind) or pa.types.is_binary(kind)
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal128(kind)
    is_moment = pa.types.is_date(kind) or pa.types.is_time(kind) or pa.types.is_timestamp(kind)
    return bool(is_text or is_number or is_moment)


def _view_bits(column: pa.Array) -> pa.Array:
    """View floats as integers of the same bits, since 0.0 equals -0.0 and has another text."""
    if not pa.types.is_floating(column.type):
        return column
    return column.view(pa.int32() if column.type.bit_width == 32 else pa.int64())


def _has_many(values: pa.Array) -> bool:
    count: int = pc.count_distinct(values, mode="all").as_py()
    return bool(count > len(values) * MAX_SHARE_OF_PROBE)
