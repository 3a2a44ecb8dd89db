"""
Rows as JSON, whole columns at a time.

The encoder of the standard library makes one row after the other, at a tenth of this speed. Here each column
becomes a column of JSON texts, and Arrow joins them to rows.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

MAX_BATCH_BYTES = 256 * 1024 * 1024
"""A column of texts holds 2 GiB; of a batch that comes near it, the halves are encoded."""

TO_ESCAPE = '["\\\\\\x00-\\x1f]'
"""What JSON does not take in a text as it is: https://www.rfc-editor.org/rfc/rfc8259#section-7."""


def encode_rows(batch: pa.RecordBatch, *, before: str = "", after: str = "") -> bytes:
    """
    Write each row as a JSON object.

    :param before: Stands before each.
    :param after: Stands behind each.
    """
    if batch.num_rows > 1 and batch.nbytes > MAX_BATCH_BYTES:
        middle = batch.num_rows // 2
        halves = (batch.slice(0, middle), batch.slice(middle))
        return b"".join(encode_rows(half, before=before, after=after) for half in halves)
    if batch.num_rows == 0:
        return b""
    pieces: list[Any] = []
    opening = before + "{"
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        pieces += [pa.scalar(f"{opening}{dump(name)}:"), encode_column(column)]
        opening = ","
    pieces.append(pa.scalar("}" + after))
    return _get_bytes(pc.binary_join_element_wise(*pieces, ""))


def encode_column(column: pa.Array) -> pa.Array:
    """Write each value of a column as JSON."""
    encode = _find_encoder(column.type)
    if encode is None:
        return pa.array([dump(make_plain(value)) for value in column.to_pylist()], pa.string())
    return pc.fill_null(encode(column), "null")


def make_plain(value: Any) -> Any:
    """Turn a value into what JSON has; what JSON has no number for becomes null."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case Decimal():
            return _make_number(value)
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case bytes():
            return value.hex()
        case dict():
            return {str(key): make_plain(one) for key, one in value.items()}
        case list() | tuple():
            return [make_plain(one) for one in value]
        case _:
            return str(value)


def dump(value: Any) -> str:
    """Write a plain value as JSON, without spaces."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _find_encoder(kind: pa.DataType) -> Callable[[pa.Array], pa.Array] | None:
    """Find the fast way for a type; None if values of it are written one by one."""
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return lambda column: column.cast(pa.string())
    if pa.types.is_float64(kind):
        return _encode_floats
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _encode_texts
    if pa.types.is_date32(kind):
        return _encode_dates
    return None


def _encode_floats(column: pa.Array) -> pa.Array:
    finite = pc.if_else(pc.is_finite(column), column, pa.scalar(None, pa.float64()))
    return finite.cast(pa.string())


def _encode_texts(column: pa.Array) -> pa.Array:
    texts = column.cast(pa.string())
    if pc.any(pc.match_substring_regex(texts, TO_ESCAPE)).as_py():
        return pa.array([None if text is None else dump(text) for text in texts.to_pylist()], pa.string())
    return pc.binary_join_element_wise('"', texts, '"', "")


def _encode_dates(column: pa.Array) -> pa.Array:
    low, high = (pa.scalar(day) for day in (date.min, date.max))
    if pc.all(pc.and_(pc.greater_equal(column, low), pc.less_equal(column, high))).as_py() is False:
        return pa.array([None if one is None else dump(make_plain(one)) for one in column.to_pylist()])
    return pc.binary_join_element_wise('"', column.cast(pa.string()), '"', "")


def _make_number(value: Decimal) -> int | float | None:
    if not value.is_finite():
        return None
    return int(value) if value == value.to_integral_value() else float(value)


def _get_bytes(texts: pa.StringArray) -> bytes:
    """Take all texts, one behind the other, as they lie in memory."""
    _, offsets, values = texts.buffers()
    ends = (texts.offset, texts.offset + len(texts))
    first, last = (struct.unpack_from("<i", offsets, 4 * at)[0] for at in ends)
    return bytes(memoryview(values)[first:last])
