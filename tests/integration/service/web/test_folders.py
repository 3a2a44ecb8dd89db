"""The folders beside the list of reports, and the reports that are in them."""

from __future__ import annotations

import json
from typing import Any

from tests.integration.service.conftest import Api, read_accepted


async def make_report(api: Api, name: str, folder: str | None) -> None:
    read_accepted(await api.client.post("/api/v1/report/", json={"name": name, "folder": folder}))


async def list_names(api: Api, folder: str) -> list[str]:
    query = {"filters": [{"col": "folder", "opr": "under", "value": folder}], "order_column": "name"}
    answer = await api.client.get("/api/v1/report/", params={"q": json.dumps(query)})
    return sorted(row["name"] for row in read_accepted(answer)["result"])


async def read_folders(api: Api) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = read_accepted(await api.client.get("/app/activity/folders"))["result"]
    return rows


async def test_folders_are_listed_with_their_own_reports_and_list_those_below_them(api: Api) -> None:
    for name, folder in (
        ("a", "Finance"), ("b", "Finance/Weekly"), ("c", "Finance/Weekly"), ("d", "Finances"),
        ("e", "100%"), ("f", "100x/y"), ("g", None), ("h", "finance/weekly"),
    ):  # fmt: skip
        await make_report(api, name, folder)
    counts = {row["folder"]: row["count"] for row in await read_folders(api)}
    assert counts.items() >= {"Finance": 1, "Finance/Weekly": 2, "Finances": 1, "100%": 1}.items()
    assert None not in counts
    assert await list_names(api, "Finance") == ["a", "b", "c"]
    assert await list_names(api, "Finance/Weekly") == ["b", "c"]
    # Neither sign is a pattern.
    assert await list_names(api, "100%") == ["e"]
    assert await list_names(api, "Finance/Week_y") == []


async def test_folders_are_for_those_who_are_signed_in(api: Api) -> None:
    answer = await api.client.get("/app/activity/folders", headers={"Authorization": ""})
    assert answer.status_code == 401
