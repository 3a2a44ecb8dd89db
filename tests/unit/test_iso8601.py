"""Dates, times and durations as ISO 8601."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_pushmetrics.iso8601 import (
    parse_duration,
    write_date,
    write_duration,
    write_time,
    write_timestamp,
)

EPOCH = date(1970, 1, 1)
SECOND = 1_000_000_000


@given(st.dates())
def test_date_is_written_as_python_writes_it(day: date) -> None:
    assert write_date((day - EPOCH).days) == day.isoformat()


@pytest.mark.parametrize(
    ("day", "days_away", "written"),
    [
        (date.max, 1, "+10000-01-01"),
        (date.min, -1, "+0000-12-31"),
        (date.min, -366, "+0000-01-01"),
        (date.min, -367, "-0001-12-31"),
        (date.max, 146_097 * 25, "+19999-12-31"),
    ],
)
def test_date_outside_years_1_to_9999_has_a_sign(day: date, days_away: int, written: str) -> None:
    assert write_date((day - EPOCH).days + days_away) == written


@pytest.mark.parametrize(
    ("nanos", "written"),
    [
        (0, "00:00:00"),
        (86_400 * SECOND, "24:00:00"),
        (3_661 * SECOND + 500_000_000, "01:01:01.500000"),
        (1, "00:00:00.000000001"),
    ],
)
def test_time_has_only_the_digits_that_it_needs(nanos: int, written: str) -> None:
    assert write_time(nanos) == written


def test_timestamp_before_1970_counts_down_from_its_day() -> None:
    assert write_timestamp(-1000, offset="+00:00") == "1969-12-31T23:59:59.999999+00:00"


@pytest.mark.parametrize(
    ("months", "days", "nanos", "written"),
    [
        (1, 0, 0, "P1M"),
        (14, 0, 0, "P1Y2M"),
        (-14, 3, 0, "P-1Y-2M3D"),
        (0, 0, 0, "PT0S"),
        (0, 0, -1_500_000_000, "PT-1.5S"),
        (0, 0, -500_000_000, "PT-0.5S"),
        (0, 1, 3_661 * SECOND, "P1DT1H1M1S"),
    ],
)
def test_duration_keeps_months_days_and_seconds_apart(
    months: int, days: int, nanos: int, written: str
) -> None:
    assert write_duration(months, days, nanos) == written


@given(st.integers(-(2**31), 2**31 - 1), st.integers(-(2**31), 2**31 - 1), st.integers(-(2**63), 2**63 - 1))
def test_duration_is_read_back_as_it_was(months: int, days: int, nanos: int) -> None:
    assert parse_duration(write_duration(months, days, nanos)) == (months, days, nanos)


@pytest.mark.parametrize("text", ["", "1 month", "P1.5Y", "P1W", "-P1M"])
def test_other_text_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is not an ISO 8601 duration"):
        parse_duration(text)


def test_timedelta_days_are_hours_of_a_duration() -> None:
    assert write_duration(0, 0, timedelta(days=1) // timedelta(microseconds=1) * 1000) == "PT24H"
