"""
Conversion of the columns of DuckDB to Arrow.

DuckDB returns most types exactly. The others are cast by a projection of its relation:

- HUGEINT and UHUGEINT, which it returns as decimals of 38 digits whatever their value, and BIGNUM, which it
  returns as internal bytes: to text, which is parsed as a decimal. In lists and structs they are
  DECIMAL(38, 0);
- BIT (internal bytes), TIME WITH TIME ZONE (without its offset), UUID, ENUM, geometries: to text;
- UNION and VARIANT: to JSON, where DuckDB's ``to_json`` writes some members of a union in another way than
  values that stand alone; lists of JSON, which it returns as lists of texts: to JSON;
- INTERVAL: refused if its time has more nanoseconds than 64 bits.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from airflow_provider_pushmetrics.service.datasources.base import SourceError
from airflow_provider_pushmetrics.service.datasources.columns.base import (
    MAX_INTERVAL_HOURS,
    Conversion,
    FixedType,
    LimitedText,
    RowRange,
    Unchanged,
    quote,
    quote_text,
)
from airflow_provider_pushmetrics.service.datasources.columns.decimals import AnyDecimal
from airflow_provider_pushmetrics.service.datasources.columns.row_batches import ConvertedColumn, pick_at

if TYPE_CHECKING:
    from duckdb.sqltypes import DuckDBPyType

MAX_TYPE_LEVELS = 64

# fmt: off
EXACT = frozenset({
    "boolean", "tinyint", "smallint", "integer", "bigint", "utinyint", "usmallint", "uinteger", "ubigint",
    "float", "double", "decimal", "varchar", "blob", "date", "time", "time_ns", "timestamp", "timestamp_s",
    "timestamp_ms", "timestamp_ns", "timestamp with time zone", "interval",
})
# fmt: on
HUGE = frozenset({"hugeint", "uhugeint", "bignum"})
AS_JSON = frozenset({"union", "variant"})

JSON = "JSON"
DIGITS = HUGE | {
    "boolean", "tinyint", "smallint", "integer", "bigint", "utinyint", "usmallint", "uinteger", "ubigint",
}  # fmt: skip
"""Types whose texts are JSON."""
ZONED = frozenset({"timestamp with time zone"})
MOMENTS = {
    "date": "-%m-%d",
    "timestamp_ns": "-%m-%dT%H:%M:%S.%n",
    **dict.fromkeys(("timestamp", "timestamp_s", "timestamp_ms", *ZONED), "-%m-%dT%H:%M:%S.%f"),
}
"""What follows the year, by type; zeros at the end of a fraction are removed."""


def write_projection(position: int, name: str, type_: DuckDBPyType) -> str:
    """
    Write the expression that selects a column exactly.

    :param position: Its number, from 1. Its name may find another column: names are not case-sensitive.
    """
    column, alias = f"#{position}", quote(name)
    if type_.id == "union":
        return f"CAST({_write_union(column, type_)} AS JSON) AS {alias}"
    if _contains(type_, AS_JSON):
        return f"to_json({column}) AS {alias}"
    if _is_json_list(type_):
        items = f"list_transform({column}, lambda item: coalesce(CAST(item AS VARCHAR), 'null'))"
        return f"CAST('[' || array_to_string({items}, ',') || ']' AS JSON) AS {alias}"
    if type_.id == "interval":
        message = f"column {name!r}: an interval has more than {MAX_INTERVAL_HOURS:,} hours: cast it to text."
        return (
            f"CASE WHEN abs(date_part('hour', {column})) > {MAX_INTERVAL_HOURS}"
            f" THEN error({quote_text(message)}) ELSE {column} END AS {alias}"
        )
    if type_.id in HUGE or (type_.id not in EXACT and not _is_nested(type_)):
        return f"CAST({column} AS VARCHAR) AS {alias}"
    exact = write_exact_type(type_)
    return f"{column} AS {alias}" if exact == str(type_) else f"CAST({column} AS {exact}) AS {alias}"


def _write_union(column: str, type_: DuckDBPyType) -> str:
    """Write the JSON of a union: an object with the member that is set."""
    cases = []
    for name, child in _list_children(type_)[1:]:  # the first is the tag
        text = _write_member(f"union_extract({column}, {quote_text(name)})", child)
        start = quote_text(f"{{{json.dumps(name, ensure_ascii=False)}:")
        cases.append(f"WHEN {quote_text(name)} THEN {start} || coalesce({text}, 'null') || '}}'")
    return f"CASE CAST(union_tag({column}) AS VARCHAR) {' '.join(cases)} END"


def _write_member(member: str, type_: DuckDBPyType) -> str:
    """Write the JSON of a member of a union as that of a value that stands alone."""
    text = f"CAST({member} AS VARCHAR)"
    if type_.id == "union":
        return _write_union(member, type_)
    if type_.id in DIGITS or str(type_) == JSON:
        return text
    if type_.id == "decimal":  # .5 without a zero, if all of its digits follow the point
        return rf"regexp_replace({text}, '^(-?)\.', '\10.')"
    if type_.id in ("float", "double"):
        return f"CASE WHEN isfinite({member}) THEN {text} END"
    if type_.id == "blob":
        return f"'\"' || base64({member}) || '\"'"
    if type_.id in MOMENTS:
        return _write_moment(member, type_.id)
    if type_.id in ("time", "time_ns"):
        width = f"CASE WHEN length({text}) <= 8 THEN 8 WHEN length({text}) <= 15 THEN 15 ELSE 18 END"
        return f"'\"' || rpad({text}, {width}, '0') || '\"'"
    is_told = type_.id in EXACT | AS_JSON or _is_nested(type_)
    return f"CAST(to_json({member if is_told else text}) AS VARCHAR)"


def _write_moment(member: str, type_id: str) -> str:
    """Write the JSON of a date or timestamp: years of four digits, or of more with a sign."""
    moment, offset = (f"({member} AT TIME ZONE 'UTC')", "+00:00") if type_id in ZONED else (member, "")
    if type_id in (
        "timestamp_s",
        "timestamp_ms",
    ):  # strftime casts these to nanoseconds, of 1677 to 2262
        moment = f"CAST({member} AS TIMESTAMP)"
    year = f"date_part('year', {moment})"
    sign = f"CASE WHEN {year} > 9999 OR {year} = 0 THEN '+' WHEN {year} < 0 THEN '-' ELSE '' END"
    rest = f"strftime({moment}, '{MOMENTS[type_id]}')"
    rest = rf"regexp_replace({rest}, '(\.0+|(\.\d{{6}})000)$', '\2') || '{offset}'"
    told = f"format('{{}}{{:04d}}', {sign}, abs({year})) || {rest}"
    return f"'\"' || CASE WHEN isfinite({member}) THEN {told} ELSE CAST({member} AS VARCHAR) END || '\"'"


def _is_json_list(type_: DuckDBPyType) -> bool:
    return type_.id == "list" and str(_list_children(type_)[0][1]) == JSON


def write_exact_type(type_: DuckDBPyType) -> str:
    """Write the type to which values in lists, structs and maps are cast to be exact."""
    if type_.id in ("list", "array"):
        return f"{write_exact_type(_list_children(type_)[0][1])}[]"
    if type_.id == "struct":
        members = (f"{quote(name)} {write_exact_type(child)}" for name, child in _list_children(type_))
        return f"STRUCT({', '.join(members)})" if _needs_cast(type_) else str(type_)
    if type_.id == "map":
        kinds = (write_exact_type(child) for _, child in _list_children(type_))
        return f"MAP({', '.join(kinds)})"
    if type_.id in HUGE:
        return "DECIMAL(38, 0)"
    return str(type_) if type_.id in EXACT or type_.id == "tuple" else "VARCHAR"


def list_columns(
    types: Sequence[DuckDBPyType], schema: pa.Schema, max_value_bytes: int
) -> list[ConvertedColumn]:
    """
    List the conversions of a projected relation.

    :param types: The types before the projection.
    :param schema: The columns after it.
    """
    return [
        ConvertedColumn(_plan_conversion(type_, field, max_value_bytes), pick_at(index))
        for index, (type_, field) in enumerate(zip(types, schema, strict=True))
    ]


class InUtc(FixedType):
    """Values with timestamps in the time zone of the session, converted to UTC."""

    def __init__(self, name: str, type_: pa.DataType) -> None:
        super().__init__(name, replace_time_zones(type_))

    def convert(self, values: pa.Array, rows: RowRange) -> pa.Array:
        """Change the time zone; the instants stay the same."""
        return values.cast(self._type)


def replace_time_zones(type_: pa.DataType) -> pa.DataType:
    if pa.types.is_timestamp(type_) and type_.tz is not None:
        return pa.timestamp(type_.unit, "UTC")
    if pa.types.is_list(type_):
        return pa.list_(type_.value_field.with_type(replace_time_zones(type_.value_type)))
    if pa.types.is_struct(type_):
        return pa.struct([field.with_type(replace_time_zones(field.type)) for field in type_])
    if pa.types.is_map(type_):
        return pa.map_(
            type_.key_field.with_type(replace_time_zones(type_.key_type)),
            type_.item_field.with_type(replace_time_zones(type_.item_type)),
        )
    return type_


def _plan_conversion(type_: DuckDBPyType, field: pa.Field, max_bytes: int) -> Conversion:
    name = field.name
    if type_.id in HUGE:
        return AnyDecimal(name)
    if str(type_) == JSON or _is_json_list(type_) or _contains(type_, AS_JSON):
        return LimitedText(name, pa.json_(), max_bytes)
    if pa.types.is_string(field.type) or pa.types.is_binary(field.type):
        return LimitedText(name, field.type, max_bytes)
    replaced = replace_time_zones(field.type)
    return Unchanged(name, field.type) if replaced == field.type else InUtc(name, field.type)


def check_levels(types: Iterable[DuckDBPyType]) -> None:
    """
    Refuse types that are nested too deeply for recursive functions.

    :raises SourceError: if one is.
    """
    level = list(types)
    for _ in range(MAX_TYPE_LEVELS):
        level = [child for type_ in level if _has_children(type_) for _, child in _list_children(type_)]
        if not level:
            return
    raise SourceError(f"a column is nested deeper than {MAX_TYPE_LEVELS} levels: select parts of it.")


def _is_nested(type_: DuckDBPyType) -> bool:
    return type_.id in ("list", "array", "struct", "map", "tuple")


def _has_children(type_: DuckDBPyType) -> bool:
    return _is_nested(type_) or type_.id == "union"


def _list_children(type_: DuckDBPyType) -> list[tuple[str, DuckDBPyType]]:
    """List the types in a nested type; the size of an array is not one."""
    return [(name, child) for name, child in type_.children if not isinstance(child, int | list)]


def _contains(type_: DuckDBPyType, ids: frozenset[str]) -> bool:
    if type_.id in ids:
        return True
    return _is_nested(type_) and any(_contains(child, ids) for _, child in _list_children(type_))


def _needs_cast(type_: DuckDBPyType) -> bool:
    return any(write_exact_type(child) != str(child) for _, child in _list_children(type_))
