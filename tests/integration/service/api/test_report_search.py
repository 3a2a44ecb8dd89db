"""Searching the list of reports, as its page does."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.integration.service.conftest import Api, read_accepted

SQL = "SELECT \"größe\",\n  1 AS n FROM warehouse.hülsen WHERE note LIKE '100%'"


async def search(api: Api, *filters: tuple[str, str, str], **query: Any) -> list[str]:
    rows = [{"col": column, "opr": operator, "value": value} for column, operator, value in filters]
    q = json.dumps({"filters": rows, "page_size": 100, **query})
    listed = read_accepted(await api.client.get("/api/v1/report/", params={"q": q}))
    assert listed["count"] == len(listed["result"])
    return [row["name"] for row in listed["result"]]


@pytest.fixture(name="reports")
async def make_reports(api: Api) -> None:
    if await search(api, ("name", "eq", "Stock")):
        return
    block = {"type": "sql", "name": "q", "content": {"database_id": 1, "sql": SQL}}
    await api.create_report(block, {**block, "name": "r"}, name="Stock", folder="Logistics")
    await api.create_report(name="Empty", folder="Sales/EMEA", description="Of the quarter")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("stoc", ["Stock"]),
        ("LOGISTICS", ["Stock"]),
        ("emea", ["Empty"]),
        ("quarter", ["Empty"]),
        ("warehouse.h", ["Stock"]),
        ("größe", ["Stock"]),
        ("hülsen where", ["Stock"]),
        ('"größe",\n', ["Stock"]),
        ("100%", ["Stock"]),
        ("1_0", []),
        ("\\n", []),
        ("database_id", []),
    ],
)
async def test_search_finds_names_descriptions_folders_and_sql(
    api: Api, reports: None, text: str, found: list[str]
) -> None:
    assert await search(api, ("text", "ct", text)) == found


async def test_folder_and_text_narrow_together_and_the_list_is_ordered_by_folder(
    api: Api, reports: None
) -> None:
    assert await search(api, ("folder", "eq", "Logistics")) == ["Stock"]
    assert await search(api, ("folder", "eq", "Logistics"), ("text", "ct", "empty")) == []
    folders = [("text", "ct", "e")]
    names = await search(api, *folders, order_column="folder", order_direction="desc")
    assert [name for name in names if name in ("Stock", "Empty")] == ["Empty", "Stock"]
