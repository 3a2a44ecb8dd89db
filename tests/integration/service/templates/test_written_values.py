"""A value that a template makes a text of is written as in CSV, by whatever way it became one."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal

import pytest

from tests.integration.service.conftest import Api


@pytest.fixture(scope="module")
def database_kind() -> str:
    """Run these tests on one kind of database of the service: they are of values of results."""
    return "sqlite"


EXPRESSIONS = {
    "nothing": "NULL::VARCHAR",
    "flag": "true",
    "whole": "12345678901234567",
    "ratio": "3.0::DOUBLE",
    "small": "0.00000012::DECIMAL(18, 8)",
    "zero": "0::DECIMAL(18, 7)",
    "amount": "12345678901234567.89",
    "not_a_number": "'NaN'::DOUBLE",
    "day": "DATE '2024-02-29'",
    "moment": "TIMESTAMP '2024-01-01 12:30:00'",
    "moment_in_utc": "TIMESTAMPTZ '2024-01-01 12:30:00+00'",
    "at": "TIME '12:30:00'",
    "data": "'\\xAA\\xBB'::BLOB",
    "items": "[true, NULL]",
    "prices": "[0.10]",
    "record": "{'a': 1, 'b': 'x'}",
    "text": "'a <b> & c'",
}
WAYS = (
    "{{ q.data[0].NAME }}",
    "{{ q.data[0].NAME ~ '' }}",
    "{{ q.data | map(attribute='NAME') | join('-') }}",
    "{{ q.data | join('-', attribute='NAME') }}",
    "{{ q.data[0].NAME | string }}",
    "{{ q.data[0].NAME | replace('~', '') }}",
    "{{ q.data[0].NAME | trim }}",
)


async def test_value_is_written_as_in_csv_by_every_way(api: Api) -> None:
    sql = ", ".join(f"{expression} AS {name}" for name, expression in EXPRESSIONS.items())
    lines = [f"<<{way.replace('NAME', name)}>>" for name in EXPRESSIONS for way in WAYS]
    blocks = (
        {"type": "sql", "name": "q", "content": {"sql": f"SELECT {sql}", "database_id": 1}},
        {"type": "text", "name": "t", "content": {"text": "\n".join(lines)}},
        {"type": "text", "name": "j", "content": {"text": "{{ q.data[0] | tojson }}"}},
        {"type": "text", "name": "i", "content": {"text": "{{ q.data[0] | tojson(indent=2) }}"}},
    )
    outputs = await api.run_by_api((await api.create_report(*blocks))["id"])
    told = {block["name"]: block["output"] or block["error"] for block in outputs["blocks"][1:]}
    url = outputs["queries"][0]["query_result"]
    answer = await api.client.get(url, headers={"Accept": "text/csv"})
    names, cells = csv.reader(io.StringIO(answer.text))
    written = iter(told["t"].split("\n"))
    found = {name: [next(written) for _ in WAYS] for name in names}
    assert found == {name: [f"<<{cell}>>"] * len(WAYS) for name, cell in zip(names, cells, strict=True)}
    row = json.loads((await api.client.get(url)).text, parse_float=Decimal)["data"][0]
    for name in ("j", "i"):
        assert json.loads(told[name], parse_float=Decimal) == row


async def test_method_is_no_value(api: Api) -> None:
    blocks = (
        {"type": "sql", "name": "q", "content": {"sql": "SELECT 1 AS n", "database_id": 1}},
        {"type": "text", "name": "t", "content": {"text": "{{ q.data[0].items }}"}},
        {"type": "text", "name": "pairs", "content": {"text": "{{ q.data[0].items() | first | first }}"}},
    )
    outputs = await api.run_by_api((await api.create_report(*blocks))["id"])
    assert "is a function, not a value" in outputs["blocks"][1]["error"]
    assert outputs["blocks"][2]["output"] == "n"


async def test_text_for_sql_is_the_same_by_both_ways_and_null_is_refused(api: Api) -> None:
    way = "'{{ r.data[0].v }}-{{ r.data[0].d }}' AS a, {{ r.data[0].v ~ '-' ~ r.data[0].d }} AS b"
    blocks = (
        {
            "type": "sql",
            "name": "r",
            "content": {"sql": "SELECT 0.00000012 AS v, now()::DATE AS d, NULL AS n", "database_id": 1},
        },
        {"type": "sql", "name": "q", "content": {"sql": f"SELECT {way}", "database_id": 1}},
        {
            "type": "sql",
            "name": "of_null",
            "content": {"sql": "SELECT {{ 'id ' ~ r.data[0].n }}", "database_id": 1},
        },
    )
    outputs = await api.run_by_api((await api.create_report(*blocks))["id"])
    [row] = await api.fetch_rows(outputs, "q")
    assert row["a"] == row["b"]
    assert row["a"].startswith("0.00000012-2")
    assert "makes a text of what is null" in outputs["blocks"][2]["error"]
