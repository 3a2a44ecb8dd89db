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

    These are intervals, and columns with infinity, a year outside 1 to 9999 or 24:00; JSON becomes its text.

    :param max_digits: Decimals of more digits become text.
    :raises PushMetricsParameterError: for unions and intervals inside other types, with the column.
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
    return column


def _convert_moments(column: pyarrow.ChunkedArray) -> Any:
    import pyarrow as pa

    kind = column.type
    width = pa.int32() if kind.bit_width == 32 else pa.int64()
    numbers = [number for chunk in column.chunks for number in chunk.view(width).to_pylist()]
    write, bounds = _choose_writer(kind)
    if all(number is None or number in bounds for number in numbers):
        return column
    infinity = 2 ** (kind.bit_width - 1) - 1
    names = {infinity: "infinity", -infinity: "-infinity"}
    return _write_each(numbers, lambda number: names.get(number) or write(number))


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
