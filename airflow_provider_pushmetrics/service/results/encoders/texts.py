"""
Columns of flat Arrow types as columns of texts, at the speed of Arrow.

Values that Arrow formats like ``values`` are left to it; the others are written one by one.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_pushmetrics.iso8601 import (
    SECONDS_PER_DAY,
    write_date,
    write_duration,
    write_time,
    write_timestamp,
)
from airflow_provider_pushmetrics.service.results.arrow_types import is_json
from airflow_provider_pushmetrics.service.results.conversion import INFINITIES, infinity_of
from airflow_provider_pushmetrics.service.results.values import lay_out_float, write_float, write_text

EPOCH = date(1970, 1, 1)
FIRST_DAY, LAST_DAY = (date.min - EPOCH).days, (date.max - EPOCH).days
NANOS = {"us": 1_000, "ns": 1}
UTC_OFFSET = "+00:00"

MAX_PLAIN_SCALE = 6
"""Arrow writes small decimals with more places with an exponent."""

ARROW_POSITIONAL = 1e10
"""Arrow writes floats from here on with an exponent, but we do so only from 1e16 on."""
OURS_POSITIONAL = 1e16


def write_texts(array: pa.Array) -> pa.StringArray:
    """Write each value of a column of a flat type as text; null stays null."""
    kind = array.type
    if is_json(kind):
        return array.storage.cast(pa.string())
    if pa.types.is_floating(kind):
        return _write_floats(array)
    if pa.types.is_decimal(kind):
        return _write_decimals(array)
    if pa.types.is_date(kind):
        return _write_dates(array)
    if pa.types.is_timestamp(kind):
        return _write_timestamps(array)
    if pa.types.is_time(kind):
        return _write_times(array)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return _write_each(array, lambda value: base64.b64encode(value).decode("ascii"))
    if kind == pa.month_day_nano_interval():
        return _write_each(array, lambda value: write_duration(*value))
    return array.cast(pa.string())


def has_any(texts: pa.StringArray, characters: bytes) -> bool:
    """
    Return whether any text of a column contains one of some ASCII characters, null or not.

    Called for every column of texts, so it searches the column's memory as a whole: 40 times as
    fast as a regular expression for four characters, and five times for all that JSON escapes.
    """
    joined = bytes(view_bytes(texts))
    return any(character in joined for character in characters)


def view_bytes(texts: pa.StringArray) -> memoryview:
    """View the memory of all texts, one after the other."""
    _, offsets, values = texts.buffers()
    if values is None or len(texts) == 0:
        return memoryview(b"")
    first, last = (
        struct.unpack_from("<i", offsets, 4 * at)[0] for at in (texts.offset, texts.offset + len(texts))
    )
    return memoryview(values).cast("B")[first:last]


def rewrite(texts: pa.StringArray, mask: pa.BooleanArray, write: Callable[[Any], str]) -> pa.StringArray:
    """Replace the texts that a mask marks."""
    mask = pc.fill_null(mask, False)
    marked = texts.filter(mask).to_pylist()
    return pc.replace_with_mask(texts, mask, pa.array([write(one) for one in marked], pa.string()))


def _write_each(array: pa.Array, write: Callable[[Any], str]) -> pa.StringArray:
    return pa.array([None if value is None else write(value) for value in array.to_pylist()], pa.string())


def _write_mixed(
    array: pa.Array,
    is_odd: pa.BooleanArray,
    write_plain: Callable[[pa.Array], pa.StringArray],
    write_odd: Callable[[pa.Array], list[str]],
) -> pa.StringArray:
    """Write a column of which Arrow can write most values."""
    is_odd = pc.fill_null(is_odd, False)
    if not pc.any(is_odd).as_py():
        return write_plain(array)
    plain = write_plain(pc.if_else(is_odd, pa.scalar(None, array.type), array))
    return pc.replace_with_mask(plain, is_odd, pa.array(write_odd(array.filter(is_odd)), pa.string()))


def _write_floats(array: pa.Array) -> pa.StringArray:
    size = pc.abs(array)
    is_plain = pc.less(size, pa.scalar(ARROW_POSITIONAL, array.type))
    if pc.all(is_plain, min_count=0).as_py():
        return array.cast(pa.string())
    is_odd = pc.invert(is_plain)
    is_long = pc.greater_equal(size, pa.scalar(OURS_POSITIONAL, array.type))
    is_odd = pc.and_not(is_odd, pc.and_(is_long, pc.is_finite(array)))
    return _write_mixed(array, is_odd, lambda plain: plain.cast(pa.string()), _write_odd_floats)


def _write_odd_floats(array: pa.Array) -> list[str]:
    if pa.types.is_float64(array.type):
        return [write_float(value) for value in array.to_pylist()]
    finite = pc.is_finite(array).to_pylist()
    texts = array.cast(
        pa.string()
    ).to_pylist()  # the shortest digits of a float32, which Python does not have
    return [
        lay_out_float(text) if is_finite else write_float(float(text))
        for text, is_finite in zip(texts, finite, strict=True)
    ]


def _write_decimals(array: pa.Array) -> pa.StringArray:
    texts = array.cast(pa.string())
    if array.type.scale <= MAX_PLAIN_SCALE or not has_any(texts, b"E"):
        return texts
    is_odd = pc.fill_null(pc.match_substring(texts, "E"), False)
    written = [write_text(value) for value in array.filter(is_odd).to_pylist()]
    return pc.replace_with_mask(texts, is_odd, pa.array(written, pa.string()))


def _write_dates(array: pa.Array) -> pa.StringArray:
    return _write_mixed(
        array,
        _is_outside(array.view(pa.int32()), FIRST_DAY, LAST_DAY),
        lambda plain: plain.cast(pa.string()),
        lambda odd: _write_moments(odd.view(pa.int32()), odd.type, write_date),
    )


def _write_timestamps(array: pa.Array) -> pa.StringArray:
    kind = array.type
    offset = "" if kind.tz is None else UTC_OFFSET
    nanos = NANOS[kind.unit]
    per_day = SECONDS_PER_DAY * 1_000_000_000 // nanos
    is_odd = _is_outside(array.view(pa.int64()), FIRST_DAY * per_day, (LAST_DAY + 1) * per_day - 1)

    def write_plain(plain: pa.Array) -> pa.StringArray:
        texts = _write_seconds(plain.view(pa.timestamp(kind.unit)), pa.timestamp("s"))
        texts = pc.replace_substring(texts, " ", "T", max_replacements=1)
        return pc.binary_join_element_wise(texts, offset, "") if offset else texts

    def write_odd(odd: pa.Array) -> list[str]:
        return _write_moments(
            odd.view(pa.int64()), kind, lambda number: write_timestamp(number * nanos, offset=offset)
        )

    return _write_mixed(array, is_odd, write_plain, write_odd)


def _write_times(array: pa.Array) -> pa.StringArray:
    nanos = NANOS[array.type.unit]
    midnight = SECONDS_PER_DAY * 1_000_000_000 // nanos
    return _write_mixed(
        array,
        _is_outside(array.view(pa.int64()), 0, midnight - 1),
        lambda plain: _write_seconds(plain, pa.time32("s")),
        lambda odd: [write_time(number * nanos) for number in odd.view(pa.int64()).to_pylist()],
    )


def _write_seconds(array: pa.Array, whole: pa.DataType) -> pa.StringArray:
    """Write times with no fraction of a second, six digits of it, or nine where six are not enough."""
    try:
        return array.cast(whole).cast(pa.string())
    except pa.ArrowInvalid:
        texts = array.cast(pa.string())
    texts = pc.replace_substring_regex(texts, r"\.0+$", "")
    return pc.replace_substring_regex(texts, r"(\.\d{6})000$", r"\1")


def _is_outside(numbers: pa.Array, low: int, high: int) -> pa.BooleanArray:
    """Return which numbers are out of range; those for infinity always are."""
    infinity = INFINITIES[numbers.type.bit_width]
    lowest, highest = max(low, 1 - infinity), min(high, infinity - 1)
    is_low = pc.less(numbers, pa.scalar(lowest, numbers.type))
    return pc.or_(is_low, pc.greater(numbers, pa.scalar(highest, numbers.type)))


def _write_moments(numbers: pa.Array, kind: pa.DataType, write: Callable[[int], str]) -> list[str]:
    infinity = infinity_of(kind)
    special = {infinity: "infinity", -infinity: "-infinity"}
    return [special.get(number) or write(number) for number in numbers.to_pylist()]
