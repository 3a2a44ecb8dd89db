"""
The Arrow type of a result's column, and its type in the Parquet file.

A source may return any Arrow type. A result has one of a few, so that the types do not depend on the
driver: microseconds for seconds, texts for dictionaries, UTC for any other zone.
"""

from __future__ import annotations

from collections import Counter

import pyarrow as pa

from airflow_provider_pushmetrics.exceptions import PushMetricsError

MAX_DECIMAL256_DIGITS = 76
MAX_DIGITS_128 = 38
TAG = "tag"
"""The field of a stored union with the number of the set member."""


class UnsupportedTypeError(PushMetricsError):
    """No supported type can hold the column."""


def choose_schema(schema: pa.Schema) -> pa.Schema:
    """
    Choose the schema of a result.

    :raises UnsupportedTypeError: naming the column.
    """
    return pa.schema([pa.field(field.name, _choose(field.name, field.type)) for field in schema])


def choose_stored_schema(schema: pa.Schema) -> pa.Schema:
    """Choose the schema of the Parquet file of a result, for a schema that ``choose_schema`` gave."""
    return pa.schema([pa.field(field.name, _choose_stored(field.type)) for field in schema])


def describe_type(kind: pa.DataType) -> str:
    """Name a type as results in JSON do: ``int64``, ``decimal128(10, 2)``, ``json``."""
    return str(kind).replace("extension<arrow.json>", "json")


def is_json(kind: pa.DataType) -> bool:
    """Return whether texts of a type are JSON documents."""
    return isinstance(kind, pa.JsonType)


def _choose(name: str, kind: pa.DataType) -> pa.DataType:
    if isinstance(kind, pa.BaseExtensionType):
        return _choose_extension(name, kind)
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return _choose(name, kind.value_type)
    if pa.types.is_nested(kind):
        return _choose_nested(name, kind)
    if pa.types.is_temporal(kind):
        return _choose_temporal(name, kind)
    if pa.types.is_decimal(kind):
        return _choose_decimal(name, kind)
    if pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_binary_view(kind) or pa.types.is_fixed_size_binary(kind):
        return pa.binary()
    return pa.float32() if pa.types.is_float16(kind) else kind


def _choose_extension(name: str, kind: pa.BaseExtensionType) -> pa.DataType:
    if is_json(kind):
        return pa.json_(pa.string())
    if isinstance(kind, pa.UuidType):
        return pa.string()
    return pa.bool_() if isinstance(kind, pa.Bool8Type) else _choose(name, kind.storage_type)


def _choose_temporal(name: str, kind: pa.DataType) -> pa.DataType:
    if pa.types.is_timestamp(kind):
        return pa.timestamp("ns" if kind.unit == "ns" else "us", None if kind.tz is None else "UTC")
    if pa.types.is_date(kind):
        return pa.date32()
    if pa.types.is_time(kind):
        return pa.time64("ns" if kind == pa.time64("ns") else "us")
    if pa.types.is_duration(kind) or kind == pa.month_day_nano_interval():
        return pa.month_day_nano_interval()
    raise UnsupportedTypeError(f"column {name!r} has the type {kind}, which no result can hold.")


def _choose_decimal(name: str, kind: pa.DataType) -> pa.DataType:
    scale = max(kind.scale, 0)
    precision = kind.precision - min(kind.scale, 0)
    precision = max(precision, scale)
    if precision > MAX_DECIMAL256_DIGITS:
        raise UnsupportedTypeError(
            f"column {name!r} has {precision} digits: a decimal has at most {MAX_DECIMAL256_DIGITS}."
        )
    return pa.decimal128(precision, scale) if precision <= MAX_DIGITS_128 else pa.decimal256(precision, scale)


def _choose_nested(name: str, kind: pa.DataType) -> pa.DataType:
    if pa.types.is_map(kind):
        return pa.map_(_choose(name, kind.key_type), _choose(name, kind.item_type))
    if pa.types.is_struct(kind) or pa.types.is_union(kind):
        fields = [pa.field(field.name, _choose(name, field.type)) for field in kind]
        _refuse_same_names(name, [field.name for field in fields])
        return pa.struct(fields) if pa.types.is_struct(kind) else pa.sparse_union(fields)
    is_large = pa.types.is_large_list(kind) or pa.types.is_large_list_view(kind)
    value = pa.field("item", _choose(name, kind.value_type))
    return pa.large_list(value) if is_large else pa.list_(value)


def _refuse_same_names(column: str, names: list[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice or not names:
        fault = f"several fields named {twice[0]!r}" if twice else "no fields"
        raise UnsupportedTypeError(
            f"column {column!r} has values with {fault}: give each field a name with AS."
        )


def _choose_stored(kind: pa.DataType) -> pa.DataType:
    """Replace what Parquet lacks: intervals by ISO 8601 texts, unions by structs."""
    if kind == pa.month_day_nano_interval():
        return pa.string()
    if pa.types.is_union(kind):
        names = [field.name for field in kind]
        tag = TAG
        while tag in names:
            tag += "_"
        members = [pa.field(field.name, _choose_stored(field.type)) for field in kind]
        return pa.struct([pa.field(tag, pa.int8()), *members])
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(field.name, _choose_stored(field.type)) for field in kind])
    if pa.types.is_map(kind):
        return pa.map_(_choose_stored(kind.key_type), _choose_stored(kind.item_type))
    if pa.types.is_large_list(kind):
        return pa.large_list(pa.field("item", _choose_stored(kind.value_type)))
    if pa.types.is_list(kind):
        return pa.list_(pa.field("item", _choose_stored(kind.value_type)))
    return kind
