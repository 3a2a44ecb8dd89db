"""
Conversion of the columns of PostgreSQL to Arrow.

The ADBC driver returns most types exactly. The query is wrapped in another that casts the rest:

- types that it returns as internal bytes: ``timetz``, ``bit``, ``inet``, ranges, points, ``tsvector``, …
- ``money`` (a number of cents, without the currency), ``oid`` (negative above 2,147,483,647), ``uuid``;
- composite types, since the driver reads their attributes only when it connects;
- arrays of such types.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from airflow_provider_pushmetrics.service.datasources.columns.arrays import (
    DIMENSIONS,
    TOO_LARGE,
    VALUES,
    ArrayConversion,
)
from airflow_provider_pushmetrics.service.datasources.columns.base import (
    MAX_INTERVAL_HOURS,
    Conversion,
    LimitedText,
    Unchanged,
    quote,
)
from airflow_provider_pushmetrics.service.datasources.columns.decimals import (
    AnyDecimal,
    DeclaredDecimal,
    build_decimal_type,
)
from airflow_provider_pushmetrics.service.datasources.columns.row_batches import ConvertedColumn, pick_at
from airflow_provider_pushmetrics.service.datasources.columns.timestamps import PostgresTimestamp

TYPE_NAME, TYPE_MODIFIER = b"POSTGRESQL:type", b"POSTGRESQL:typmod"
"""The keys of the driver's metadata of a field."""

UNKNOWN_TYPE_PREFIX = "unnamed<oid:"

UTC_MICROSECONDS = pa.timestamp("us", "UTC")
MICROSECONDS = pa.timestamp("us")

EXACT: Mapping[str, pa.DataType] = {
    "bool": pa.bool_(),
    "int2": pa.int16(),
    "int4": pa.int32(),
    "int8": pa.int64(),
    "float4": pa.float32(),
    "float8": pa.float64(),
    "time": pa.time64("us"),
}
MOMENTS: Mapping[str, pa.DataType] = {
    "date": pa.date32(),
    "timestamp": MICROSECONDS,
    "timestamptz": UTC_MICROSECONDS,
}
TEXTS: Mapping[str, pa.DataType] = {
    "text": pa.string(),
    "varchar": pa.string(),
    "bytea": pa.binary(),
}
SHORT_TEXTS: Mapping[str, pa.DataType] = {"bpchar": pa.string(), "name": pa.string()}
"""Texts of limited length, which would lose trailing spaces in a cast to ``text``."""
JSON_TYPES = frozenset({"json", "jsonb"})
OID = "oid"
INET = "inet"
INTERVAL = "interval"
NUMERIC = "numeric"

ARRAY_CASTS: Mapping[str, str] = {OID: "::int8[]", INET: "::text::text[]"}
"""The casts of arrays that are not cast to arrays of text."""

MAX_STORED_BYTES = 65_536
"""Smaller stored values are not measured: PostgreSQL compresses at most 255 to 1, which keeps them below
``limits.max_value_bytes`` (16 MiB)."""


@dataclass(frozen=True)
class PostgresColumn:
    """
    The expressions that read a column of the wrapped query.

    :param expression: Selects its values; only its name if it needs no cast.
    :param dimensions: Selects the dimensions of an array.
    """

    name: str
    conversion: Conversion
    expression: str
    dimensions: str | None = None


def find_unknown_types(schema: pa.Schema) -> list[int]:
    """List the ids of types whose names the driver does not know."""
    names = {_get_type_name(field) for field in schema}
    return [
        int(name.removeprefix(UNKNOWN_TYPE_PREFIX).removesuffix(">"))
        for name in sorted(names)
        if name.startswith(UNKNOWN_TYPE_PREFIX)
    ]


def plan_columns(
    schema: pa.Schema, max_value_bytes: int, array_types: frozenset[int] = frozenset()
) -> list[PostgresColumn]:
    """
    Choose how the columns of a query are read.

    :param schema: The driver's description of them.
    :param array_types: The array types among the types whose names the driver does not know.
    """
    arrays = {f"{UNKNOWN_TYPE_PREFIX}{one}>" for one in array_types}
    return [
        _plan_array(field, max_value_bytes)
        if pa.types.is_list(field.type) or _get_type_name(field) in arrays
        else _plan_scalar(field, max_value_bytes)
        for field in schema
    ]


def wrap(sql: str, columns: Sequence[PostgresColumn]) -> str:
    """Write the query that reads the columns; unchanged if none needs a cast."""
    if all(column.expression == quote(column.name) for column in columns):
        return f"{sql}\n"
    written = [f"{column.expression} AS {quote(column.name)}" for column in columns]
    written += [column.dimensions for column in columns if column.dimensions is not None]
    # The line break ends a comment of the query. Without OFFSET, PostgreSQL would inline the expressions of
    # the query and evaluate them several times.
    return f"SELECT {', '.join(written)} FROM (SELECT * FROM (\n{sql}\n) AS q OFFSET 0) AS q"  # noqa: S608 (the query that is to be run)


def list_columns(columns: Sequence[PostgresColumn]) -> list[ConvertedColumn]:
    """List the conversions, with the columns of the wrapped query that they read."""
    listed, dimensions = [], len(columns)
    for index, column in enumerate(columns):
        if column.dimensions is None:
            listed.append(ConvertedColumn(column.conversion, pick_at(index)))
        else:
            listed.append(ConvertedColumn(column.conversion, _pick_array(index, dimensions)))
            dimensions += 1
    return listed


def _plan_scalar(field: pa.Field, max_bytes: int) -> PostgresColumn:
    name, type_name = field.name, _get_type_name(field)
    column = quote(name)
    if EXACT.get(type_name) == field.type:
        return PostgresColumn(name, Unchanged(name, field.type), column)
    if MOMENTS.get(type_name) == field.type:
        return PostgresColumn(name, PostgresTimestamp(name, field.type), column)
    if type_name == NUMERIC:
        return PostgresColumn(name, _plan_numeric(field), column)
    if type_name == INTERVAL:
        return PostgresColumn(name, Unchanged(name, field.type), _refuse_long_interval(name))
    if type_name == OID:
        return PostgresColumn(name, Unchanged(name, pa.int64()), f"{column}::int8")
    if type_name == INET:
        # The cast to text adds the mask, which PostgreSQL does not print.
        return PostgresColumn(name, Unchanged(name, pa.string()), f"abbrev({column})")
    if SHORT_TEXTS.get(type_name) == field.type:
        return PostgresColumn(name, LimitedText(name, field.type, max_bytes), column)
    if TEXTS.get(type_name) == field.type:
        return PostgresColumn(name, LimitedText(name, field.type, max_bytes), _limit(column, max_bytes))
    text = _limit(column, max_bytes, cast="::text")
    kind = pa.json_() if type_name in JSON_TYPES else pa.string()
    return PostgresColumn(name, LimitedText(name, kind, max_bytes), text)


def _plan_numeric(field: pa.Field) -> Conversion:
    modifier = int(field.metadata.get(TYPE_MODIFIER, b"-1"))
    if modifier < 0:
        return AnyDecimal(field.name)
    # As in numeric.c: the precision in the upper half, the scale as a signed number of 11 bits.
    precision, scale = (modifier - 4) >> 16 & 0xFFFF, (modifier - 4) & 0x7FF
    scale = (scale ^ 1024) - 1024
    found = build_decimal_type(precision, scale)
    return AnyDecimal(field.name) if found is None else DeclaredDecimal(field.name, found)


def _plan_array(field: pa.Field, max_bytes: int) -> PostgresColumn:
    name, column, cast = field.name, quote(field.name), ""
    element = _plan_element(field) if pa.types.is_list(field.type) else None
    if element is None:
        type_name = _get_type_name(field).removeprefix("_")
        cast = ARRAY_CASTS.get(type_name, "::text[]")
        kind = pa.int64() if type_name == OID else pa.json_() if type_name in JSON_TYPES else pa.string()
        element = LimitedText(name, kind, max_bytes) if type_name != OID else Unchanged(name, kind)
    is_large = f"pg_column_size({column}) > {MAX_STORED_BYTES} AND octet_length({column}::text) > {max_bytes}"
    # The elements of a slice are numbered from 1, as the driver requires.
    is_odd = f"array_lower({column}, 1) <> 1 OR array_ndims({column}) > 1"
    sliced = f"CASE WHEN {is_odd} THEN ({column})[:] ELSE {column} END"
    return PostgresColumn(
        name,
        ArrayConversion(name, element, max_bytes),
        f"CASE WHEN {is_large} THEN NULL ELSE ({sliced}){cast} END",
        f"CASE WHEN {is_large} THEN '{TOO_LARGE}'"
        f" WHEN array_ndims({column}) > 1 THEN array_dims({column}) END",
    )


def _plan_element(field: pa.Field) -> Conversion | None:
    """Choose the conversion of the elements of an array; None if they must be cast."""
    type_name, type_ = _get_type_name(field).removeprefix("_"), field.type.value_type
    known = {**EXACT, **TEXTS, **SHORT_TEXTS}.get(type_name)
    if type_name == INTERVAL or type_ == known:
        return Unchanged(field.name, type_)
    if MOMENTS.get(type_name) == type_:
        return PostgresTimestamp(field.name, type_)
    return AnyDecimal(field.name) if type_name == NUMERIC else None


def _refuse_long_interval(name: str) -> str:
    """Make the query fail for an interval that is too long for the driver, with the name of the column."""
    column = quote(name)
    text = f"column {name!r} has an interval of more than {MAX_INTERVAL_HOURS:,} hours: cast it to text"
    return (
        f"CASE WHEN abs(extract(hour FROM {column})) > {MAX_INTERVAL_HOURS}"
        # The text of the value keeps PostgreSQL from evaluating the failing cast in advance.
        f" THEN ('{text.replace(chr(39), chr(39) * 2)}' || left({column}::text, 0))::interval"
        f" ELSE {column} END"
    )


def _limit(column: str, max_bytes: int, cast: str = "") -> str:
    """Truncate a value that is too large to one character more than the limit, as a sign of it."""
    measured = f"octet_length({column}{cast})"
    return (
        f"CASE WHEN pg_column_size({column}) > {MAX_STORED_BYTES} AND {measured} > {max_bytes}"
        f" THEN substr({column}{cast}, 1, {max_bytes + 1}) ELSE {column}{cast} END"
    )


def _pick_array(values: int, dimensions: int) -> Callable[[pa.RecordBatch], pa.Array]:
    def pick(batch: pa.RecordBatch) -> pa.Array:
        return pa.StructArray.from_arrays(
            [batch.column(values), batch.column(dimensions)], names=[VALUES, DIMENSIONS]
        )

    return pick


def _get_type_name(field: pa.Field) -> str:
    return str((field.metadata or {}).get(TYPE_NAME, b"").decode())
