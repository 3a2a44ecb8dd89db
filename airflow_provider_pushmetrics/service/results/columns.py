"""Lossless conversion of Arrow columns to Python values."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_pushmetrics.iso8601 import SECONDS_PER_DAY
from airflow_provider_pushmetrics.service.results.arrow_types import is_json
from airflow_provider_pushmetrics.service.results.conversion import infinity_of, number_members, slice_lists
from airflow_provider_pushmetrics.service.results.encoders.texts import (
    FIRST_DAY,
    LAST_DAY,
    NANOS,
    write_texts,
)
from airflow_provider_pushmetrics.service.results.values import parse_json, write_json


def read_rows(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    columns = [read_values(column) for column in batch.columns]
    names = batch.schema.names
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def read_values(array: pa.Array) -> list[Any]:
    """
    Read a column as Python values.

    Decimals are exact, JSON is parsed with all its digits, and values that Python's types cannot hold are ISO
    8601 text: dates outside years 1 to 9999, infinity, nanoseconds, 24:00:00, intervals.
    """
    kind = array.type
    if is_json(kind):
        return _read_each(array.storage.to_pylist(), parse_json)
    if pa.types.is_float32(kind):
        # With the shortest digits that read back to it: 0.1, not 0.10000000149011612.
        return _read_each(array.cast(pa.string()).to_pylist(), float)
    if kind == pa.month_day_nano_interval():
        return list(write_texts(array).to_pylist())
    if pa.types.is_temporal(kind):
        return _read_moments(array)
    return _read_nested(array) if pa.types.is_nested(kind) else list(array.to_pylist())


def _read_each(values: list[Any], read: Callable[[Any], Any]) -> list[Any]:
    return [None if value is None else read(value) for value in values]


def _read_moments(array: pa.Array) -> list[Any]:
    """Read dates and times as Python objects, or as text if Python cannot represent them."""
    kind = array.type
    numbers = array.view(pa.int32() if pa.types.is_date32(kind) else pa.int64())
    found, texts = numbers.to_pylist(), None
    is_held = [number is None or _is_held(number, kind) for number in found]
    plain = pc.if_else(pa.array(is_held, pa.bool_()), array, pa.scalar(None, kind))
    if pa.types.is_timestamp(kind):
        values = plain.cast(pa.timestamp("us", kind.tz)).to_pylist()
    elif pa.types.is_time(kind):
        values = plain.cast(pa.time64("us")).to_pylist()
    else:
        values = plain.to_pylist()
    if all(is_held):
        return list(values)
    texts = write_texts(array).to_pylist()
    return [value if held else text for value, held, text in zip(values, is_held, texts, strict=True)]


def _is_held(number: int, kind: pa.DataType) -> bool:
    if pa.types.is_date32(kind):
        return FIRST_DAY <= number <= LAST_DAY
    nanos = NANOS[kind.unit]
    per_day = SECONDS_PER_DAY * 1_000_000_000 // nanos
    if nanos == 1 and number % 1000:
        return False
    if pa.types.is_time(kind):
        return 0 <= number < per_day
    if abs(number) == infinity_of(kind):
        return False
    return FIRST_DAY * per_day <= number < (LAST_DAY + 1) * per_day


def _read_nested(array: pa.Array) -> list[Any]:
    kind = array.type
    if pa.types.is_union(kind):
        return _read_union(array)
    if pa.types.is_struct(kind):
        members = [read_values(array.field(at)) for at in range(kind.num_fields)]
        names = [field.name for field in kind]
        rows: list[Any] = [dict(zip(names, values, strict=True)) for values in zip(*members, strict=True)]
        return [row if valid else None for row, valid in zip(rows, array.is_valid().to_pylist(), strict=True)]
    offsets, first, length = slice_lists(array)
    ends = offsets.to_pylist()
    if pa.types.is_map(kind):
        keys = [_make_key(key) for key in read_values(array.keys.slice(first, length))]
        pairs = list(zip(keys, read_values(array.items.slice(first, length)), strict=True))
        read: list[Any] = [dict(pairs[start:end]) for start, end in pairwise(ends)]
    else:
        items = read_values(array.values.slice(first, length))
        read = [items[start:end] for start, end in pairwise(ends)]
    return [one if valid else None for one, valid in zip(read, array.is_valid().to_pylist(), strict=True)]


def _make_key(key: Any) -> Any:
    return write_json(key) if isinstance(key, dict | list) else key


def _read_union(array: pa.UnionArray) -> list[Any]:
    members = [read_values(array.field(at)) for at in range(array.type.num_fields)]
    names = [field.name for field in array.type]
    set_members = number_members(array).to_pylist()
    return [{names[number]: members[number][row]} for row, number in enumerate(set_members)]
