"""Arrow tables that data frames can hold: unsupported values become text, and nothing is rounded or lost."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING, Any

from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError
from airflow_provider_pushmetrics.iso8601 import write_date, write_duration, write_time, write_timestamp

if TYPE_CHECKING:
    import pyarrow

EPOCH = date(1970, 1, 1)
DAYS = range((date.min - EPOCH).days, (date.max - EPOCH).days + 1)
NANOS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
NANOS_PER_DAY = 86_400 * 10**9
MAX_PORTABLE_DIGITS = 38
LACKING = ("interval", "union")


def make_portable(table: pyarrow.Table, *, max_digits: int | None = None) -> pyarrow.Table:
    """
    Replace the columns that data frames cannot hold by their ISO 8601 or decimal texts.

    These are intervals, and columns with infinity, a year outside 1 to 9999, 24:00 or a time with
    nanoseconds; JSON becomes its text.

    :param max_digits: Decimals of more digits become text.
    :raises PushMetricsParameterError: for unions, intervals and such values inside other types, with the
        column.
    """
    import pyarrow

    columns = [_convert(table.field(at), table.column(at), max_digits) for at in range(table.num_columns)]
    return pyarrow.Table.from_arrays(columns, names=table.column_names)


def _convert(field: pyarrow.Field, column: pyarrow.ChunkedArray, max_digits: int | None) -> Any:
    import pyarrow as pa

    kind = field.type
    if isinstance(kind, pa.BaseExtensionType):
        return pa.chunked_array([chunk.storage for chunk in column.chunks], kind.storage_type)
    if kind == pa.month_day_nano_interval():
        return _write_each(column.to_pylist(), lambda value: write_duration(*value))
    if pa.types.is_decimal(kind) and max_digits is not None and kind.precision > max_digits:
        return _write_each(column.to_pylist(), lambda value: format(value, "f"))
    if pa.types.is_temporal(kind):
        return _convert_moments(column)
    if pa.types.is_nested(kind) and any(word in str(kind) for word in LACKING):
        raise PushMetricsParameterError(
            f"column {field.name!r} has the type {kind}, which data frames do not support: use fetch_arrow or"
            " fetch_rows."
        )
    if pa.types.is_nested(kind) and not all(map(_is_supported, column.chunks)):
        raise PushMetricsParameterError(
            f"column {field.name!r} has a date or a time inside its {kind} that data frames do not support:"
            " use fetch_arrow or fetch_rows."
        )
    return column


def _is_supported(array: pyarrow.Array) -> bool:
    """Tell whether data frames support all dates and times inside lists, structs and maps."""
    import pyarrow as pa

    kind = array.type
    if isinstance(kind, pa.BaseExtensionType):
        return _is_supported(array.storage)
    if pa.types.is_temporal(kind):
        return _find_unsupported(_read_numbers(array), kind) is None
    if pa.types.is_struct(kind):
        return all(map(_is_supported, array.flatten()))
    if pa.types.is_map(kind):
        return _is_supported(array.keys) and _is_supported(array.items)
    return not pa.types.is_nested(kind) or _is_supported(array.flatten())


def _convert_moments(column: pyarrow.ChunkedArray) -> Any:
    kind = column.type
    numbers = [number for chunk in column.chunks for number in _read_numbers(chunk)]
    write, _ = _choose_writer(kind)
    if _find_unsupported(numbers, kind) is None:
        return column
    infinity = 2 ** (kind.bit_width - 1) - 1
    names = {infinity: "infinity", -infinity: "-infinity"}
    return _write_each(numbers, lambda number: names.get(number) or write(number))


def _read_numbers(array: pyarrow.Array) -> list[int | None]:
    import pyarrow as pa

    numbers: list[int | None] = array.view(
        pa.int32() if array.type.bit_width == 32 else pa.int64()
    ).to_pylist()
    return numbers


def _find_unsupported(numbers: list[int | None], kind: pyarrow.DataType) -> int | None:
    """Find the first date or time that Python does not support."""
    import pyarrow as pa

    _, bounds = _choose_writer(kind)
    step = NANOS["us"] if pa.types.is_time(kind) and kind.unit == "ns" else 1
    return next((one for one in numbers if one is not None and (one not in bounds or one % step)), None)


def _choose_writer(kind: pyarrow.DataType) -> tuple[Callable[[int], str], range]:
    """Choose how a date or a time is written, and which integers Python supports."""
    import pyarrow as pa

    if pa.types.is_date(kind):
        return write_date, DAYS
    nanos = NANOS[kind.unit]
    per_day = NANOS_PER_DAY // nanos
    if pa.types.is_time(kind):
        return lambda number: write_time(number * nanos), range(per_day)
    offset = "" if kind.tz is None else "+00:00"
    infinity = 2**63 - 1
    bounds = range(max(DAYS.start * per_day, 1 - infinity), min(DAYS.stop * per_day, infinity))
    return lambda number: write_timestamp(number * nanos, offset=offset), bounds


def _write_each(values: list[Any], write: Callable[[Any], str]) -> Any:
    import pyarrow as pa

    return pa.array([None if value is None else write(value) for value in values], pa.string())
