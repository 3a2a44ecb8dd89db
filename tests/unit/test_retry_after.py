"""``Retry-After``, as servers write it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_pushmetrics.retry_after import LONGEST_READ_SECONDS, parse_retry_after

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 120 ", 120.0),
        ("999999999", 999_999_999.0),
        ("Thu, 01 Jan 2026 12:00:30 GMT", 30.0),
        ("Thu, 01 Jan 2026 13:00:30 +0100", 30.0),
        ("Thu, 01 Jan 2026 12:00:30 -0000", 30.0),
        ("Thu, 01 Jan 2026 11:00:00 GMT", 0.0),
        ("Thu, 01 Jan 9000 12:00:00 GMT", LONGEST_READ_SECONDS),
        ("9" * 10, LONGEST_READ_SECONDS),
        ("9" * 10_000, LONGEST_READ_SECONDS),
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("٣", None),
        ("1e400", None),
        ("nan", None),
        ("Thu, 01 Jan 99999999999999999999 12:00:00 GMT", None),
        ("Thu, 99 Jan 2026 12:00:00 GMT", None),
        ("Thu, 99 Foo 2026", None),
        ("Thu, 01 Jan 2026 12:00:00 +99999999999999", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value, NOW) == seconds


dates = st.builds(
    "{}, {} {} {} {}:{}:{} {}".format,
    st.sampled_from(["Thu", "", "XXX"]),
    st.integers(-1, 10**20),
    st.sampled_from(["Jan", "Dec", "Foo"]),
    st.integers(-1, 10**20),
    st.integers(-1, 10**20),
    st.integers(-1, 10**20),
    st.integers(-1, 10**20),
    st.sampled_from(["GMT", "-0000", "+9999999999", "EST"]) | st.text(max_size=5),
)


@given(st.text(st.characters()) | dates)
def test_every_text_gives_a_bounded_time_or_none(value: str) -> None:
    seconds = parse_retry_after(value, NOW)
    assert seconds is None or 0 <= seconds <= LONGEST_READ_SECONDS
