"""Searching the list of reports, as its page does."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi import FastAPI

from tests.integration.service.conftest import Api, open_client, read_accepted, read_result

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


# --- owners -------------------------------------------------------------------------------------------------


@pytest.fixture(name="hers")
async def make_reports_of_ann(api: Api, app: FastAPI) -> dict[str, Any]:
    """Make reports by the token of a new user, one of them as YAML, and give the user."""
    body = {"email": "ann.owner@example.com", "roles": [2]}
    user = read_result(await api.client.post("/api/v1/user/", params={"skip_welcome_email": True}, json=body))
    if not await search(api, ("owner", "eq", user["email"])):
        path = f"/api/v1/user/{user['uid']}/access_token/"
        token = read_accepted(await api.client.post(path, json={"name": "hers"}))["token"]
        async with open_client(app, token) as client:
            made = read_result(await client.post("/api/v1/report/", json={"name": "Hers"}))
            text = (await client.get(f"/api/v1/report/{made['id']}/config")).text
            copy = text.replace("Hers", "Hers as YAML").replace(made["uid"], "")
            read_accepted(await client.post("/api/v1/report/config", content=copy))
    return user


async def test_owner_of_a_report_is_who_created_it_also_by_a_token_and_as_yaml(
    api: Api, reports: None, hers: dict[str, Any]
) -> None:
    assert await search(api, ("owner", "eq", hers["email"])) == ["Hers", "Hers as YAML"]
    assert await search(api, ("text", "ct", "ANN.OWN")) == ["Hers", "Hers as YAML"]
    assert (
        await search(api, ("text", "ct", "owner@example")) == []
    )  # all people of a company have the same end
    assert "Stock" in await search(api, ("owner", "eq", "admin@localhost"))
    for direction, names in (("asc", ["Stock", "Hers"]), ("desc", ["Hers", "Stock"])):
        listed = await search(api, order_column="owner", order_direction=direction)
        assert [name for name in listed if name in names] == names
    (found,) = [row for row in await list_rows(api) if row["name"] == "Hers"]
    assert found["owner"] == hers["email"]
    # A report of the service itself has none; whoever changes a report does not own it.
    assert [row["owner"] for row in await list_rows(api) if row["name"] == "Departure delays"] == [None]
    changed = await api.client.put(f"/api/v1/report/{found['id']}", json={"description": "Changed"})
    assert read_result(changed)["owner"] == hers["email"]


async def test_user_who_was_removed_owns_nothing_by_name(api: Api, hers: dict[str, Any]) -> None:
    await api.client.delete(f"/api/v1/user/{hers['uid']}/remove_from_workspace/")
    assert [row["owner"] for row in await list_rows(api) if row["name"] == "Hers"] == [None]
    assert await search(api, ("text", "ct", "removed-")) == []
    report = next(row["id"] for row in await list_rows(api) if row["name"] == "Hers")
    assert read_result(await api.client.get(f"/api/v1/report/{report}"))["owner"] is None


async def list_rows(api: Api) -> list[dict[str, Any]]:
    answer = await api.client.get("/api/v1/report/", params={"q": json.dumps({"page_size": 100})})
    rows: list[dict[str, Any]] = read_accepted(answer)["result"]
    return rows
