"""Searching and sorting the rows of a result on its page: by values, and all rows, not those of one page."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes.service_reports import sql
from tests.integration.service.conftest import Api, read_accepted

VALUES = """
SELECT * FROM (VALUES
  (1, 12345678901234567.89::DECIMAL(38, 2), 1.5::DOUBLE, 'b', DATE '2026-03-02', [2, 1],
    'x' || chr(10) || 'y'),
  (2, 9.10::DECIMAL(38, 2), 'NaN'::DOUBLE, 'a', DATE '2026-03-10', [1], ''),
  (3, 0.10::DECIMAL(38, 2), NULL, 'B', NULL, NULL, NULL),
  (10, 100.00::DECIMAL(38, 2), '-Infinity'::DOUBLE, 'Größe', DATE '0044-01-01', [10], '<b>')
) AS t (id, amount, ratio, word, day, list, note)
"""
ASCENDING = {
    "id": ["1", "2", "3", "10"],
    "amount": ["3", "2", "10", "1"],
    "ratio": ["10", "1", "2", "3"],
    "word": ["3", "10", "2", "1"],
    "day": ["10", "1", "2", "3"],
    "list": ["10", "2", "1", "3"],  # by its text
    "note": ["2", "10", "1", "3"],
}


async def run_query(api: Api, query: str) -> str:
    """Run a query; give the URL of its rows."""
    made = api.make_report(q=sql(query))
    outputs = await api.run(made.id)
    return f"/app/results/run/{outputs['run_id']}/{made.blocks['q']}/rows"


async def read_rows(api: Api, url: str, **query: Any) -> dict[str, Any]:
    return read_accepted(await api.client.get(url, params=query))


async def test_rows_are_sorted_by_their_values_with_null_last(api: Api) -> None:
    url = await run_query(api, VALUES)
    for number, (name, ascending) in enumerate(ASCENDING.items()):
        page = await read_rows(api, url, column=number)
        assert page["columns"][number]["name"] == name
        assert [row[0] for row in page["rows"]] == ascending, name
        page = await read_rows(api, url, column=number, is_descending=True)
        nulls = [row[0] for row in page["rows"] if row[number] in (None, "NaN")]
        assert [row[0] for row in page["rows"]] == [
            *(one for one in reversed(ascending) if one not in nulls),
            *nulls,
        ], name


async def test_search_finds_what_is_shown_in_any_column(api: Api) -> None:
    url = await run_query(api, VALUES)
    for search, found in {
        "12345678901234567.89": ["1"],
        "nan": ["2"],
        "GRÖSSE": [],
        "größE": ["10"],
        "0.10": ["3"],
        "2026-03": ["1", "2"],
        "<B>": ["10"],
        ".": ["1", "2", "3", "10"],
        "x\ny": ["1"],
        "no such": [],
    }.items():
        page = await read_rows(api, url, search=search)
        assert [row[0] for row in page["rows"]] == found, search
        assert (page["found_count"], page["row_count"], page["can_sort"]) == (len(found), 4, True)


async def test_pages_go_through_all_rows_in_their_order(api: Api) -> None:
    url = await run_query(api, "SELECT (range * 7919) % 10000 AS n FROM range(10000)")
    page = await read_rows(api, url, column=0, offset=9950, limit=100)
    assert page["rows"] == [[str(n)] for n in range(9950, 10_000)]
    page = await read_rows(api, url, column=0, is_descending=True, search="99", offset=1, limit=2)
    found = [str(n) for n in range(10_000) if "99" in str(n)]
    assert (page["found_count"], page["rows"]) == (len(found), [["9998"], ["9997"]])


async def test_larger_result_is_not_sorted_and_says_so(api: Api) -> None:
    url = await run_query(api, "SELECT range AS n FROM range(10001)")
    assert (await read_rows(api, url))["can_sort"] is False
    for query in ({"column": 0}, {"search": "1"}):
        refused = await api.client.get(url, params=query)
        assert refused.status_code == 400
        assert "up to 10,000 rows" in refused.json()["message"]
    wide = await run_query(api, "SELECT repeat('x', 10000000) || range AS n FROM range(7)")
    assert (await api.client.get(wide, params={"column": 0})).status_code == 400


@pytest.mark.parametrize("query", [{"column": 7}, {"column": -1}, {"search": "x" * 501}])
async def test_unknown_column_and_long_search_are_refused(api: Api, query: dict[str, Any]) -> None:
    url = await run_query(api, VALUES)
    assert (await api.client.get(url, params=query)).status_code in (400, 422)


async def test_empty_result_can_be_sorted(api: Api) -> None:
    url = await run_query(api, "SELECT 1 AS n WHERE false")
    page = await read_rows(api, url, column=0)
    assert (page["rows"], page["found_count"]) == ([], 0)
