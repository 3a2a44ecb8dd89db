"""Single values as JSON and as text."""

from __future__ import annotations

import json
import math
import sys
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_pushmetrics.service.results.values import (
    parse_json,
    write_float,
    write_json,
    write_text,
)

CASES: list[tuple[Any, str, str]] = [
    (None, "null", ""),
    ("", '""', ""),
    (True, "true", "true"),
    (2**64, "18446744073709551616", "18446744073709551616"),
    (0.1, "0.1", "0.1"),
    (3.0, "3", "3"),
    (12345678901.5, "12345678901.5", "12345678901.5"),
    (1e16, "1e+16", "1e+16"),
    (math.nan, "null", "NaN"),
    (-math.inf, "null", "-Infinity"),
    (Decimal("0.10"), "0.10", "0.10"),
    (Decimal("1E-7"), "0.0000001", "0.0000001"),
    (Decimal("12345678901234567.89"), "12345678901234567.89", "12345678901234567.89"),
    (Decimal("NaN"), "null", "NaN"),
    (Decimal("1E+999999"), "1E+999999", "1E+999999"),
    (date(2024, 2, 29), '"2024-02-29"', "2024-02-29"),
    (datetime(2024, 2, 29, 1), '"2024-02-29T01:00:00"', "2024-02-29T01:00:00"),
    (datetime(2024, 2, 29, tzinfo=UTC), '"2024-02-29T00:00:00+00:00"', "2024-02-29T00:00:00+00:00"),
    (
        time(1, 2, tzinfo=timezone(timedelta(hours=2))),
        '"01:02:00+02:00"',
        "01:02:00+02:00",
    ),
    (timedelta(hours=-1), '"PT-1H"', "PT-1H"),
    (pa.MonthDayNano((14, 0, 0)), '"P1Y2M"', "P1Y2M"),
    (b"\x00\xff", '"AP8="', "AP8="),
    ([1.5, None, math.nan], "[1.5,null,null]", "[1.5,null,null]"),
    ({"a": b"x", 1: Decimal("1.0")}, '{"a":"eA==","1":1.0}', '{"a":"eA==","1":1.0}'),
    ("\ud800", '"\\ud800"', "\ufffd"),
    ('"\\\n\x00', '"\\"\\\\\\n\\u0000"', '"\\\n\x00'),
    (UUID(int=1), f'"{UUID(int=1)}"', str(UUID(int=1))),
]


@pytest.mark.parametrize(("value", "as_json", "as_text"), CASES, ids=[repr(case[0])[:40] for case in CASES])
def test_value_is_written(value: Any, as_json: str, as_text: str) -> None:
    assert (write_json(value), write_text(value)) == (as_json, as_text)
    json.loads(write_json(value).encode())


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_float_reads_back_from_its_text(value: float) -> None:
    written = write_float(value)
    assert float(written) == value
    assert json.loads(written) == value


@settings(max_examples=50)
@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.decimals(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_json_is_read_without_losing_a_digit(value: Any) -> None:
    assert parse_json(write_json(value)) == value


@pytest.mark.parametrize("text", ["", "NaN", "[Infinity]", "{", "[" * 100_000, "'a'"])
def test_what_is_not_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the words are the decoder's
        parse_json(text)


def test_integer_of_more_digits_than_python_converts_is_read_and_written() -> None:
    digits = "1" * (sys.get_int_max_str_digits() + 700)
    assert Decimal(write_json(parse_json(digits))) == Decimal(digits)
