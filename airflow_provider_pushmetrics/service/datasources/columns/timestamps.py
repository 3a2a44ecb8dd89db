"""Dates and timestamps of PostgreSQL, including infinity."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_pushmetrics.service.datasources.columns.base import FixedType, RowRange

DAYS_TO_2000 = 10_957
MICROSECONDS_TO_2000 = DAYS_TO_2000 * 86_400_000_000
"""The difference between the epochs of Arrow (1970) and PostgreSQL (2000)."""

INT32_MAX = 2**31 - 1
INT64_MAX = 2**63 - 1

FIRST_MICROSECOND = -211_813_488_000_000_000 + MICROSECONDS_TO_2000
"""The first timestamp of PostgreSQL, in 4714 BC. Earlier ones are the result of an overflow."""


class PostgresTimestamp(FixedType):
    """
    A date or timestamp of PostgreSQL. Infinity is converted to the largest integer, as in DuckDB.

    The ADBC driver adds the days between 1970 and 2000 to every value, and infinity overflows.

    :param type_: The type: date, or timestamp with or without a time zone.
    """

    def convert(self, values: pa.Array, rows: RowRange) -> pa.Array:
        """Restore infinity; timestamps after the last one of Arrow are refused."""
        if pa.types.is_date(self._type):
            return self._restore(values, pa.int32(), INT32_MAX, DAYS_TO_2000)
        self._refuse_overflow(values, rows)
        return self._restore(values, pa.int64(), INT64_MAX, MICROSECONDS_TO_2000)

    def _restore(self, values: pa.Array, counter: pa.DataType, largest: int, shift: int) -> pa.Array:
        numbers = values.view(counter)
        smallest = -largest - 1
        # The largest integer plus the difference overflows to the smallest.
        infinity = pa.scalar(smallest + shift - 1, counter)
        minus_infinity = pa.scalar(smallest + shift, counter)
        if not pc.any(pc.less_equal(numbers, minus_infinity)).as_py():
            return values
        restored = pc.if_else(pc.equal(numbers, infinity), pa.scalar(largest, counter), numbers)
        restored = pc.if_else(pc.equal(numbers, minus_infinity), pa.scalar(-largest, counter), restored)
        return restored.view(self._type)

    def _refuse_overflow(self, values: pa.Array, rows: RowRange) -> None:
        numbers = values.view(pa.int64())
        is_wrong = pc.and_(
            pc.less(numbers, FIRST_MICROSECOND),
            pc.greater(pc.abs(pc.subtract(numbers, -INT64_MAX - 1 + MICROSECONDS_TO_2000)), 1),
        )
        if pc.any(is_wrong).as_py():
            index = pc.index(is_wrong, True).as_py()
            raise self.build_error(rows.at(index), "the timestamp is after the year 294246: cast it to text.")
