"""Rows of JSON with the types of their columns."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_pushmetrics.hooks.typed_rows import parse_exact, type_rows


@pytest.mark.parametrize(
    ("kind", "written", "read"),
    [
        ("decimal128(10, 2)", "0.10", Decimal("0.10")),
        ("decimal128(38, 0)", "12345678901234567890", Decimal("12345678901234567890")),
        ("double", "3", 3.0),
        ("float", "0.1", 0.1),
        ("int64", "9223372036854775807", 2**63 - 1),
        ("date32[day]", '"2024-02-29"', date(2024, 2, 29)),
        ("date32[day]", '"+20000-01-01"', "+20000-01-01"),
        ("date32[day]", '"infinity"', "infinity"),
        ("timestamp[us]", '"2024-02-29T12:30:00.500000"', datetime(2024, 2, 29, 12, 30, 0, 500_000)),
        ("timestamp[us, tz=UTC]", '"2024-02-29T12:30:00+00:00"', datetime(2024, 2, 29, 12, 30, tzinfo=UTC)),
        ("timestamp[ns]", '"2024-02-29T12:30:00.123456789"', "2024-02-29T12:30:00.123456789"),
        ("time64[us]", '"12:30:00"', time(12, 30)),
        ("time64[us]", '"24:00:00"', "24:00:00"),
        ("binary", '"AP8="', b"\x00\xff"),
        ("month_day_nano_interval", '"P1M"', "P1M"),
        ("string", '"2024-02-29"', "2024-02-29"),
        ("json", "1.50", Decimal("1.50")),
        ("list<item: decimal128(3, 2)>", "[1.50, null]", [Decimal("1.50"), None]),
        ("list<item: double>", "[1.5]", [1.5]),
        ("something else", "1.5", 1.5),
        ("int64", "null", None),
        ("date32[day]", "null", None),
    ],
)
def test_value_has_the_type_of_its_column(kind: str, written: str, read: Any) -> None:
    body = f'{{"columns": [{{"name": "c", "type": "{kind}"}}], "data": [{{"c": {written}}}]}}'
    rows = type_rows(json.loads(body, parse_float=Decimal))
    assert rows == [{"c": read}]
    assert rows is not None
    assert type(rows[0]["c"]) is type(read)


def test_result_of_another_server_has_floats() -> None:
    assert type_rows(json.loads('{"data": [{"c": 1.5}]}', parse_float=Decimal)) == [{"c": 1.5}]
    assert type_rows({"data": "?"}) is None


def test_number_that_a_float_would_round_is_a_decimal() -> None:
    assert parse_exact("1.5") == 1.5
    assert parse_exact("12345678901234567.89") == Decimal("12345678901234567.89")
    assert isinstance(parse_exact("12345678901234567.89"), Decimal)
