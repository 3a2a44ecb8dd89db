"""
Conversion of the columns of MariaDB and MySQL to Arrow.

The server describes each column, and sends each value as text. In MySQL ``json`` is a type; in MariaDB it is
a text of the format ``json``. A ``boolean`` is described as ``tinyint``. A ``timestamp`` is sent in the time
zone of the session, without its name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

import pyarrow as pa
from pymysql.constants import FIELD_TYPE, FLAG

from airflow_provider_pushmetrics.service.datasources.columns.base import (
    Conversion,
    LimitedText,
    Parsed,
    Unchanged,
)
from airflow_provider_pushmetrics.service.datasources.columns.decimals import (
    DeclaredDecimal,
    build_decimal_type,
)
from airflow_provider_pushmetrics.service.datasources.columns.row_batches import ConvertedColumn, pick_at

BINARY_CHARSET = 63
JSON_FORMAT = "json"
"""The format of ``json`` in MariaDB; fields of MySQL have no format."""

INTEGERS = frozenset({
    FIELD_TYPE.TINY, FIELD_TYPE.SHORT, FIELD_TYPE.INT24, FIELD_TYPE.LONG, FIELD_TYPE.LONGLONG,
    FIELD_TYPE.YEAR,
})  # fmt: skip
STRINGS = frozenset({
    FIELD_TYPE.BLOB, FIELD_TYPE.TINY_BLOB, FIELD_TYPE.MEDIUM_BLOB, FIELD_TYPE.LONG_BLOB, FIELD_TYPE.STRING,
    FIELD_TYPE.VAR_STRING, FIELD_TYPE.VARCHAR, FIELD_TYPE.GEOMETRY,
})  # fmt: skip
DECIMALS = frozenset({FIELD_TYPE.DECIMAL, FIELD_TYPE.NEWDECIMAL})
DATES = frozenset({FIELD_TYPE.DATE, FIELD_TYPE.NEWDATE})
TIMESTAMPS = frozenset({FIELD_TYPE.DATETIME, FIELD_TYPE.TIMESTAMP})

DURATION = re.compile(r"(-?)(\d+):(\d\d):(\d\d)(?:\.(\d{1,6}))?")


class Field(Protocol):
    """The description of a column by the server."""

    name: str
    type_code: int
    charsetnr: int
    flags: int
    length: int
    scale: int


def plan_conversion(field: Field, max_value_bytes: int) -> Conversion:
    """Choose the conversion of a column; its values are texts or bytes."""
    name, code = field.name, field.type_code
    if code in INTEGERS:
        is_large = code == FIELD_TYPE.LONGLONG and field.flags & FLAG.UNSIGNED
        return Parsed(name, pa.uint64() if is_large else pa.int64())
    if code in DECIMALS:
        return _plan_decimal(field)
    if code == FIELD_TYPE.FLOAT:
        return Parsed(name, pa.float32(), parse_floats)
    if code == FIELD_TYPE.DOUBLE:
        return Parsed(name, pa.float64())
    if code in DATES:
        return Parsed(name, pa.date32())
    if code in TIMESTAMPS:
        return Parsed(name, pa.timestamp("us"))
    if code == FIELD_TYPE.TIME:
        return Parsed(name, pa.month_day_nano_interval(), parse_durations)
    if code == FIELD_TYPE.BIT:
        return Parsed(name, pa.string(), lambda values: write_bits(values, field.length))
    if code == FIELD_TYPE.NULL:
        return Unchanged(name, pa.string())
    if code == FIELD_TYPE.JSON or getattr(field, "format", "") == JSON_FORMAT:
        return LimitedText(name, pa.json_(), max_value_bytes)
    return LimitedText(name, pa.binary() if _is_binary(field) else pa.string(), max_value_bytes)


def list_columns(fields: Sequence[Field], max_value_bytes: int) -> list[ConvertedColumn]:
    return [
        ConvertedColumn(plan_conversion(field, max_value_bytes), pick_at(index))
        for index, field in enumerate(fields)
    ]


def build_batch(fields: Sequence[Field], rows: Sequence[Sequence[str | bytes | None]]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(
        [
            pa.array(values, pa.binary() if _is_binary(field) else pa.string())
            for field, values in zip(fields, zip(*rows, strict=True), strict=True)
        ],
        names=[str(index) for index in range(len(fields))],
    )


def parse_floats(values: pa.Array) -> pa.Array:
    """Parse values of the type ``float``, which are printed as ``double``."""
    return values.cast(pa.float64()).cast(pa.float32(), safe=False)


def parse_durations(values: pa.Array) -> pa.Array:
    """Parse values of the type ``time``, which can be negative, and longer than a day."""
    return pa.array(map(_parse_duration, values.to_pylist()), pa.month_day_nano_interval())


def write_bits(values: pa.Array, count: int) -> pa.Array:
    """Write values of the type ``bit`` as their binary digits."""
    return pa.array(
        [
            None if value is None else format(int.from_bytes(value, "big"), f"0{count}b")
            for value in values.to_pylist()
        ],
        pa.string(),
    )


def _plan_decimal(field: Field) -> Conversion:
    # The length includes the sign and the point.
    precision = field.length - (field.scale > 0) - (not field.flags & FLAG.UNSIGNED)
    found = build_decimal_type(precision, field.scale) or pa.string()  # never: 65 digits are the most
    return DeclaredDecimal(field.name, found)


def _is_binary(field: Field) -> bool:
    """Return whether the driver returns bytes."""
    return field.type_code == FIELD_TYPE.BIT or (
        field.charsetnr == BINARY_CHARSET and field.type_code in STRINGS
    )


def _parse_duration(text: str | None) -> tuple[int, int, int] | None:
    if text is None:
        return None
    found = DURATION.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a time")
    sign, hours, minutes, seconds, fraction = found.groups()
    whole = (int(hours) * 60 + int(minutes)) * 60 + int(seconds)
    nanoseconds = whole * 1_000_000_000 + int((fraction or "").ljust(9, "0"))
    return 0, 0, -nanoseconds if sign else nanoseconds
