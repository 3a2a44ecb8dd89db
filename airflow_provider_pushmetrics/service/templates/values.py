"""The bound values of a query in each database: the casts, and the types that its driver accepts."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, TypeAlias

from airflow_provider_pushmetrics.service.templates.budget import BlockTemplateError

INT32_BITS = 31
INT64_BITS = 63

MAX_ZEROS = 1000
"""A number that needs more zeros keeps its exponent."""


@dataclass(frozen=True)
class Value:
    """A value that the driver binds: one placeholder in the SQL."""

    value: Any


@dataclass(frozen=True)
class Identifier:
    """The output of ``| identifier``, written as a quoted name."""

    name: Any


@dataclass(frozen=True)
class InClause:
    """The output of ``| inclause``, written as ``(a, b)``."""

    values: tuple[Any, ...]


@dataclass(frozen=True)
class ComposedSql:
    """The SQL of a query that another is composed of, with the marks of its own values."""

    text: str


class UnknownText(str):
    """Stands for a value, or the name of a column, which is known when the SQL is rendered."""

    __slots__ = ()


Pieces: TypeAlias = tuple["str | Value", ...]
"""SQL and the values in it, in order."""

WriteValue: TypeAlias = Callable[[Any], Pieces]

NULL: Pieces = ("NULL",)


def bind(value: Any) -> Pieces:
    return (Value(value),)


def bind_in(before: str, after: str = "", convert: Callable[[Any], Any] | None = None) -> WriteValue:
    """Build a function that binds a value between two texts, converted for the driver."""
    return lambda value: (before, Value(value if convert is None else convert(value)), after)


def cast(kind: str, convert: Callable[[Any], Any] | None = None) -> WriteValue:
    """Build a function that binds a value with a cast."""
    return bind_in("CAST(", f" AS {kind})", convert)


def write_decimal(value: Decimal | int) -> str:
    """Write a number with all its digits."""
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def write_json(value: Any, indent: int | None = None, margin: str = "\n") -> str:
    """
    Write a value as JSON, for ``| tojson``.

    Numbers have all their digits, NaN and infinity are null, and bytes are base64.
    """
    match value:
        case None | bool() | str():
            return json.dumps(value)
        case float() | Decimal() if not math.isfinite(value):
            return "null"
        case Decimal():
            return format(value, "f") if abs(value.adjusted()) <= MAX_ZEROS else str(value)
        case int() | float():
            return repr(value)
        case bytes():
            return json.dumps(base64.b64encode(value).decode())
        case date() | time():
            return json.dumps(value.isoformat())
    inner = margin if indent is None else margin + " " * indent
    if isinstance(value, Mapping):
        names = sorted((str(name), one) for name, one in value.items())
        parts = [f"{json.dumps(name)}: {write_json(one, indent, inner)}" for name, one in names]
    elif isinstance(value, list | tuple):
        parts = [write_json(one, indent, inner) for one in value]
    else:
        return json.dumps(str(value))
    opening, closing = "{}" if isinstance(value, Mapping) else "[]"
    if indent is None or not parts:
        return opening + ", ".join(parts) + closing
    return opening + inner + f",{inner}".join(parts) + margin + closing


def find_kind(value: Any) -> str:
    """
    Find the kind of a value.

    :raises BlockTemplateError: if SQL has no such kind.
    """
    for types, find in _KINDS:
        if isinstance(value, types):
            return find(value)
    raise BlockTemplateError(
        f"a {{{{ … }}}} gives a {type(value).__name__}: SQL accepts text, numbers, dates and lists of them."
    )


def _find_integer_kind(value: int) -> str:
    bits = (value if value >= 0 else ~value).bit_length()
    return "integer" if bits <= INT32_BITS else "bigint" if bits <= INT64_BITS else "huge"


_KINDS: tuple[tuple[Any, Callable[[Any], str]], ...] = (
    (bool, lambda value: "boolean"),
    (int, _find_integer_kind),
    (float, lambda value: "float"),
    (str, lambda value: "text"),
    (Decimal, lambda value: "decimal"),
    (datetime, lambda value: "timestamp" if value.tzinfo is None else "timestamptz"),
    (date, lambda value: "date"),
    (time, lambda value: "time"),
    (bytes | bytearray | memoryview, lambda value: "bytes"),
    (list | tuple, lambda value: "list"),
)


def refuse(database: str, what: str, way_out: str) -> WriteValue:
    """Build a function that refuses a kind of value."""

    def write(value: Any) -> Pieces:
        raise BlockTemplateError(f"{database} has no {what} to bind: {way_out}.")

    return write


def _check_finite(database: str, write: WriteValue) -> WriteValue:
    def write_finite(value: Any) -> Pieces:
        if not math.isfinite(value):
            raise BlockTemplateError(f"{database} has no number {value}: leave it out, or make it null.")
        return write(value)

    return write_finite


def _check_digits(database: str, most: int, write: WriteValue) -> WriteValue:
    def write_short(value: Any) -> Pieces:
        digits = len(str(abs(value))) if isinstance(value, int) else _count_digits(value)
        if digits > most:
            raise BlockTemplateError(
                f"a number of {digits} digits is too long for {database}, which supports {most}: shorten it."
            )
        return write(value)

    return write_short


def _count_digits(value: Decimal) -> int:
    _, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        return 0
    return max(len(digits), -exponent) if exponent <= 0 else len(digits) + exponent


def _write_postgresql_list(value: list[Any] | tuple[Any, ...]) -> Pieces:
    """Bind a list with a type for all of its items; PostgreSQL infers the type of an empty one."""
    given = [one for one in value if one is not None]
    if not given:
        return ("'{}'",) if not value else (Value([None] * len(value)),)
    kind = _find_common_kind({find_kind(one) for one in given})
    convert = _POSTGRESQL_TEXTS.get(kind, lambda one: one)
    converted = [None if one is None else convert(one) for one in value]
    return "CAST(", Value(converted), f" AS {_POSTGRESQL_TYPES[kind]}[])"


def _find_common_kind(kinds: set[str]) -> str:
    """Find the kind that can represent values of all these kinds."""
    if kinds <= set(_NUMBERS):
        is_mixed = "float" in kinds and kinds & {"decimal", "huge"}
        return "decimal" if is_mixed else next(kind for kind in _NUMBERS if kind in kinds)
    if len(kinds) > 1 or "list" in kinds:
        raise BlockTemplateError(
            f"a list contains values of several kinds ({', '.join(sorted(kinds))}): give it one kind."
        )
    return kinds.pop()


_NUMBERS = ("float", "decimal", "huge", "bigint", "integer")
"""Widest first."""

_POSTGRESQL_TYPES: Mapping[str, str] = {
    "boolean": "boolean",
    "integer": "integer",
    "bigint": "bigint",
    "huge": "numeric",
    "float": "double precision",
    "decimal": "numeric",
    "text": "text",
    "bytes": "bytea",
    "date": "date",
    "timestamp": "timestamp",
    "timestamptz": "timestamptz",
    "time": "time",
}
_POSTGRESQL_TEXTS: Mapping[str, Callable[[Any], Any]] = {
    "huge": lambda value: str(value) if isinstance(value, float) else write_decimal(value),
    "decimal": lambda value: str(value) if isinstance(value, float) else write_decimal(value),
    "bytes": bytes,
}

POSTGRESQL_VALUES: Mapping[str, WriteValue] = {
    **{kind: cast(name, _POSTGRESQL_TEXTS.get(kind)) for kind, name in _POSTGRESQL_TYPES.items()},
    "list": _write_postgresql_list,
}
"""
Each with a cast, since ``$1 is null`` has no type, and since a driver binds every integer as the widest type.

Drivers have no type for numbers of any length. These are sent as text, which PostgreSQL reads exactly.
"""

NATIVE_VALUES: Mapping[str, WriteValue] = {
    **dict.fromkeys((*_POSTGRESQL_TYPES, "list"), bind),
    "bytes": lambda value: (Value(bytes(value)),),
}
"""For drivers that bind every Python value by its type."""

DUCKDB_VALUES: Mapping[str, WriteValue] = {
    **NATIVE_VALUES,
    "huge": _check_digits("DuckDB", 38, bind),
    "decimal": _check_digits("DuckDB", 38, bind),
    "list": lambda value: (Value(list(value)),),
}


def _bind_sqlite_decimal(value: Decimal) -> Pieces:
    """Bind a decimal as an equal integer or float, as SQLite has no decimals."""
    number: int | float = int(value) if value == value.to_integral_value() else float(value)
    if Decimal(repr(number)) != value or (isinstance(number, int) and number.bit_length() > INT64_BITS):
        raise BlockTemplateError(f"SQLite cannot hold the number {value} exactly: give it as a text.")
    return (Value(number),)


_LIST_WAY_OUT = "write c IN {{ name | inclause }}"

SQLITE_VALUES: Mapping[str, WriteValue] = {
    **NATIVE_VALUES,
    "boolean": lambda value: (Value(int(value)),),
    "huge": refuse("SQLite", "integers of more than 64 bits", "give it as a text"),
    "float": _check_finite("SQLite", bind),
    "decimal": _check_finite("SQLite", _bind_sqlite_decimal),
    "date": lambda value: (Value(value.isoformat()),),
    "timestamp": lambda value: (Value(str(value)),),
    "timestamptz": lambda value: (Value(str(value.astimezone(UTC))),),
    "time": lambda value: (Value(value.isoformat()),),
    "list": refuse("SQLite", "lists", _LIST_WAY_OUT),
}
"""Dates and times are written as SQLite's own functions write them, timestamps with a zone in UTC."""


def _bind_number(value: Any) -> Pieces:
    """Bind a number; a negative one in brackets, since its sign must not join a minus before it."""
    return (Value(value),) if value >= 0 else ("(", Value(value), ")")


_in_brackets = bind_in("(", ")")
"""In brackets, since some drivers write values into the SQL, and ``select a 'x'`` is an alias."""

MYSQL_VALUES: Mapping[str, WriteValue] = {
    "boolean": bind,
    "integer": _bind_number,
    "bigint": _bind_number,
    "huge": _check_digits("MySQL", 65, _bind_number),
    "float": _check_finite("MySQL", _bind_number),
    "decimal": _check_finite("MySQL", _check_digits("MySQL", 65, _bind_number)),
    "text": _in_brackets,
    "bytes": bind_in("(", ")", bytes),
    "date": bind_in("DATE ", "", date.isoformat),
    "timestamp": bind_in("TIMESTAMP ", "", str),
    "timestamptz": bind_in(
        "CONVERT_TZ(TIMESTAMP ",
        ", '+00:00', @@session.time_zone)",
        lambda value: str(value.astimezone(UTC).replace(tzinfo=None)),
    ),
    "time": bind_in("TIME ", "", str),
    "list": refuse("MySQL", "lists", _LIST_WAY_OUT),
}
"""Typed literals, since the driver writes values into the SQL; an invalid date is an error, not NULL."""


def _bind_mssql_decimal(value: Decimal | int) -> Pieces:
    scale = max(-int(value.as_tuple().exponent), 0) if isinstance(value, Decimal) else 0
    return "CAST(", Value(write_decimal(value)), f" AS decimal(38, {scale}))"


MSSQL_VALUES: Mapping[str, WriteValue] = {
    "boolean": lambda value: (Value(int(value)),),
    "integer": _bind_number,
    "bigint": _bind_number,
    "huge": _check_digits("SQL Server", 38, _bind_mssql_decimal),
    "float": _check_finite("SQL Server", cast("float", repr)),
    "decimal": _check_finite("SQL Server", _check_digits("SQL Server", 38, _bind_mssql_decimal)),
    "text": _in_brackets,
    "bytes": bind_in("(", ")", bytes),
    "date": cast("date", date.isoformat),
    "timestamp": cast("datetime2(6)", str),
    "timestamptz": cast("datetimeoffset(6)", str),
    "time": cast("time(6)", str),
    "list": refuse("SQL Server", "lists", _LIST_WAY_OUT),
}

ORACLE_VALUES: Mapping[str, WriteValue] = {
    **NATIVE_VALUES,
    "boolean": lambda value: (Value(int(value)),),
    "huge": _check_digits("Oracle", 38, bind),
    "decimal": _check_finite("Oracle", _check_digits("Oracle", 38, bind)),
    "float": bind_in("TO_BINARY_DOUBLE(", ")"),
    "time": refuse("Oracle", "times of the day", "give it as a text"),
    "list": refuse("Oracle", "lists", _LIST_WAY_OUT),
}
