"""A value in a union of DuckDB is told as the same value alone."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from tests.integration.service.conftest import Api


@pytest.fixture(scope="module")
def database_kind() -> str:
    """Run this test on one kind of database of the service: it is of values of results."""
    return "sqlite"


EXPRESSIONS = (
    "TIME '12:30:00.5'",
    "TIME '24:00:00'",
    "'12:30:00.123456789'::TIME_NS",
    "'12:30:00+02'::TIMETZ",
    "DATE '20000-01-01'",
    "DATE '0044-03-15 (BC)'",
    "'infinity'::DATE",
    "'-infinity'::TIMESTAMP",
    "TIMESTAMP '20000-01-01 00:00:00'",
    "TIMESTAMP '0044-03-15 (BC) 00:00:00'",
    "TIMESTAMPTZ '20000-01-01 00:00:00+00'",
    "TIMESTAMP '0012-03-15 00:00:00'",
    "DATE '0012-03-15'",
    "TIMESTAMP_MS '2024-01-01 12:30:00.123'",
    "TIMESTAMP '1960-01-01 12:30:00.123456'",
    "-0.0::DOUBLE",
    "-0.5::DECIMAL(5, 2)",
    "5e-324::DOUBLE",
    "union_value(x := 1)",
    "'a'::ENUM('a','b')",
    "MAP {'a': 1}",
    "12345678901234567890123456789012345678901234567890::BIGNUM",
    "chr(1) || chr(10) || 'é'",
    "TIMESTAMP '20000-01-01 00:00:00.5'",
    "TIMESTAMP '290309-12-22 (BC) 00:00:00'",
    "true",
    "12",
    "123456789012345678901234567890::HUGEINT",
    "1.10::DECIMAL(5, 2)",
    "12345678901234567.89",
    "0.1::FLOAT",
    "123456789.0::FLOAT",
    "1e20::DOUBLE",
    "'NaN'::DOUBLE",
    "'-Infinity'::FLOAT",
    "'a \"text\"'",
    "'\\xAA\\x00'::BLOB",
    "DATE '2024-02-29'",
    "TIMESTAMP '2024-01-01 12:30:00'",
    "TIMESTAMP '2024-01-01 12:30:00.5'",
    "TIMESTAMP_NS '2024-01-01 12:30:00.123456789'",
    "TIMESTAMP_NS '2024-01-01 12:30:00.5'",
    "TIMESTAMP_S '2024-01-01 12:30:00'",
    "TIMESTAMPTZ '2024-01-01 00:00:00+02'",
    "'infinity'::TIMESTAMPTZ",
    "TIME '12:30:00'",
    "'[1.50, {\"a\": null}]'::JSON",
    "'0190a8f0-0000-7000-8000-000000000000'::UUID",
    "'101'::BIT",
    "[1, NULL]",
    "{'a': 1}",
    "NULL::INTEGER",
    "{'a': 1}::VARIANT",
    "1::VARIANT",
    "[1, 2]::VARIANT",
    "0.5::DECIMAL(2, 2)",
    "-0.0512::DECIMAL(4, 4)",
    "0::DECIMAL(38, 38)",
    "TIMESTAMP_MS '9999-12-31 00:00:00.5'",
    "TIMESTAMP_S '1600-01-01 00:00:00'",
    "TIMESTAMP_S '20000-01-01 00:00:00'",
    "'infinity'::TIMESTAMP_MS",
    "DATE '0001-01-01 (BC)'",
)


async def test_member_of_a_union_is_told_as_the_value_alone(api: Api) -> None:
    alone = ", ".join(f"{expression} AS v{n}" for n, expression in enumerate(EXPRESSIONS))
    members = ", ".join(f"union_value(m := {expression}) AS v{n}" for n, expression in enumerate(EXPRESSIONS))
    blocks = (
        {"type": "sql", "name": name, "content": {"sql": f"SELECT {values}", "database_id": 1}}
        for name, values in (("alone", alone), ("members", members))
    )
    outputs = await api.run_by_api((await api.create_report(*blocks, time_zone="Asia/Tokyo"))["id"])
    told = {}
    for query in outputs["queries"]:
        text = (await api.client.get(query["query_result"])).text
        [told[query["query_name"]]] = json.loads(text, parse_float=Decimal)["data"]
    assert told["members"] == {name: {"m": value} for name, value in told["alone"].items()}
