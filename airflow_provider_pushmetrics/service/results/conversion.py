"""Lossless conversion of Arrow columns, including nested types."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_pushmetrics.iso8601 import parse_duration, write_duration

MICROSECONDS = {"s": 1_000_000, "ms": 1_000}
INFINITIES = {32: 2**31 - 1, 64: 2**63 - 1}
"""Infinity of a date or a timestamp is the largest integer of its width; its negative is minus infinity."""


def convert(array: pa.Array, target: pa.DataType) -> pa.Array:
    """
    Convert a column to the type that ``arrow_types`` chose for it, or back.

    :raises pyarrow.ArrowException: if a value does not fit.
    """
    kind = array.type
    if kind == target:
        return array
    if pa.types.is_dictionary(kind):
        return convert(array.dictionary_decode(), target)
    if pa.types.is_run_end_encoded(kind):
        return convert(pc.run_end_decode(array), target)
    if isinstance(kind, pa.BaseExtensionType):
        return _convert_extension(array, target)
    if isinstance(target, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(target, convert(array, target.storage_type))
    if pa.types.is_union(kind):
        return _unfold_union(array, target)
    if pa.types.is_union(target):
        return _fold_union(array, target)
    if pa.types.is_nested(kind):
        return _convert_nested(array, target)
    return _convert_flat(array, target)


def infinity_of(kind: pa.DataType) -> int:
    """Return the integer for infinity in a date or a timestamp."""
    return INFINITIES[kind.bit_width]


def slice_lists(array: pa.Array) -> tuple[pa.Array, int, int]:
    """Return the offsets of lists or maps, beginning at 0, and the values that they cover."""
    offsets = array.offsets
    first, last = offsets[0].as_py(), offsets[-1].as_py()
    return pc.subtract(offsets, pa.scalar(first, offsets.type)), first, last - first


def number_members(array: pa.UnionArray) -> pa.Array:
    """Return the number of the set member of a union in each row."""
    if len(array) == 0:  # an empty union may have no buffers, on which pyarrow 26 crashes
        return pa.array([], pa.int8())
    numbers = {code: number for number, code in enumerate(array.type.type_codes)}
    return pa.array([numbers[code] for code in array.type_codes.to_pylist()], pa.int8())


def _convert_extension(array: pa.ExtensionArray, target: pa.DataType) -> pa.Array:
    if isinstance(array.type, pa.UuidType):
        texts = [None if value is None else str(value) for value in array.to_pylist()]
        return pa.array(texts, pa.string()).cast(target)
    if isinstance(array.type, pa.Bool8Type):
        return array.storage.cast(target)
    return convert(array.storage, target)


def _convert_flat(array: pa.Array, target: pa.DataType) -> pa.Array:
    kind = array.type
    if pa.types.is_timestamp(kind) and pa.types.is_timestamp(target):
        return _convert_timestamps(array, target)
    if pa.types.is_duration(kind):
        nanos = array.cast(pa.duration("ns")).cast(pa.int64()).to_pylist()
        return pa.array([None if one is None else pa.MonthDayNano((0, 0, one)) for one in nanos], target)
    if kind == pa.month_day_nano_interval():
        return pa.array([None if one is None else write_duration(*one) for one in array.to_pylist()], target)
    if target == pa.month_day_nano_interval():
        read = [None if one is None else pa.MonthDayNano(parse_duration(one)) for one in array.to_pylist()]
        return pa.array(read, target)
    if pa.types.is_float16(kind):
        return array.cast(pa.float32()).cast(target)
    return array.cast(target)


def _convert_timestamps(array: pa.Array, target: pa.TimestampType) -> pa.Array:
    """Convert seconds to microseconds, and keep infinity, which a cast would multiply."""
    numbers = array.view(pa.int64())
    if array.type.unit != target.unit:
        infinity = infinity_of(array.type)
        is_infinite = pc.is_in(numbers, pa.array([infinity, -infinity]))
        factor = MICROSECONDS[array.type.unit]
        finite = pc.multiply_checked(pc.if_else(is_infinite, pa.scalar(0, pa.int64()), numbers), factor)
        numbers = pc.if_else(is_infinite, numbers, finite)
    return numbers.view(target)


def _convert_nested(array: pa.Array, target: pa.DataType) -> pa.Array:
    if pa.types.is_struct(target):
        children = [convert(array.field(at), field.type) for at, field in enumerate(target)]
        return pa.StructArray.from_arrays(children, fields=list(target), mask=array.is_null())
    if pa.types.is_map(target):
        offsets, first, length = slice_lists(array)
        keys = convert(array.keys.slice(first, length), target.key_type)
        items = convert(array.items.slice(first, length), target.item_type)
        return pa.MapArray.from_arrays(offsets, keys, items, type=target, mask=array.is_null())
    if pa.types.is_fixed_size_list(array.type) or type(array) in (pa.ListViewArray, pa.LargeListViewArray):
        large = pa.types.is_large_list(target)
        plain = (pa.large_list if large else pa.list_)(array.type.value_field)
        return convert(array.cast(plain), target)
    offsets, first, length = slice_lists(array)
    values = convert(array.values.slice(first, length), target.value_type)
    kind: Any = pa.LargeListArray if pa.types.is_large_list(target) else pa.ListArray
    return kind.from_arrays(offsets, values, type=target, mask=array.is_null())


def _unfold_union(array: pa.UnionArray, target: pa.DataType) -> pa.Array:
    """Turn a union into a sparse one, or into a struct of the number of the set member and all members."""
    set_members = number_members(array)
    fields = list(target) if pa.types.is_union(target) else list(target)[1:]
    members = [convert(array.field(number), field.type) for number, field in enumerate(fields)]
    if array.type.mode == "dense" or not pa.types.is_union(target):
        is_dense = array.type.mode == "dense"
        places = (
            array.offsets.cast(pa.int64())
            if is_dense and len(array)
            else pa.array(range(len(array)), pa.int64())
        )
        members = [_take_set(member, places, set_members, number) for number, member in enumerate(members)]
    if pa.types.is_union(target):
        return pa.UnionArray.from_sparse(set_members, members, [field.name for field in fields])
    return pa.StructArray.from_arrays([set_members, *members], fields=list(target))


def _take_set(member: pa.Array, places: pa.Array, set_members: pa.Array, number: int) -> pa.Array:
    """Spread the values of a member over all rows; null where another one is set."""
    is_set = pc.equal(set_members, pa.scalar(number, pa.int8()))
    return member.take(pc.if_else(is_set, places, pa.scalar(None, pa.int64())))


def _fold_union(array: pa.StructArray, target: pa.DataType) -> pa.Array:
    fields = list(target)
    members = [convert(array.field(at + 1), field.type) for at, field in enumerate(fields)]
    set_members = pc.fill_null(array.field(0), 0)  # null inside of what is null itself
    return pa.UnionArray.from_sparse(set_members, members, [field.name for field in fields])
