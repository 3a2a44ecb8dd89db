"""Requests that would do something else than they say are refused before anything happens."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.integration.service.conftest import Api


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"options": {"send_to_me": True, "email": "me at example"}}, "options.email"),
        ({"options": {"send_to_me": True, "email": "a@example.com, b@example.com"}}, "options.email"),
        ({"options": {"email": "me@example.com"}}, "send_to_me"),
        ({"options": {"send_to_mee": True}}, "options.send_to_mee"),
        ({"parameter": {"region": "EMEA"}}, "parameter"),
    ],
)
async def test_run_that_would_send_elsewhere_is_refused_before_there_is_one(
    api: Api, body: dict[str, Any], said: str
) -> None:
    mail = {"to_": "all@example.com", "subject": "s", "value": "v"}
    report = await api.create_report({"type": "email", "name": "mail", "content": mail})
    answer = await api.client.post(f"/api/v1/report/{report['id']}/run/noteflow", json=body)
    assert answer.status_code == 422, answer.text
    assert said in answer.json()["message"]
    runs = await api.client.get("/api/v1/noteflow_run/", params={"report_uid": report["uid"]})
    assert runs.json()["count"] == 0


@pytest.mark.parametrize("email", ["me@example.com", "Me <me@example.com>", "", None])
async def test_preview_takes_one_address_as_people_write_it_or_none(api: Api, email: str | None) -> None:
    report = await api.create_report({"type": "text", "name": "hello", "content": {"text": "hello"}})
    body = {"options": {"send_to_me": True, "email": email}}
    answer = await api.client.post(f"/api/v1/report/{report['id']}/run/noteflow", json=body)
    assert answer.status_code == 200, answer.text


async def test_unknown_key_of_a_block_run_is_refused(api: Api) -> None:
    report = await api.create_report({"type": "text", "name": "hello", "content": {"text": "hello"}})
    path = f"/api/v1/block/{report['blocks'][0]['uid']}/run"
    answer = await api.client.post(path, json={"content": {"text": "other"}})
    assert answer.status_code == 422, answer.text
    assert "content" in answer.json()["message"]


async def test_database_name_is_given_once_in_a_workspace(api: Api) -> None:
    body = {"database_name": "twice", "sqlalchemy_uri": "duckdb:///flights.duckdb"}
    assert (await api.client.post("/api/v1/database/", json=body)).status_code == 201
    again = await api.client.post("/api/v1/database/", json=body)
    assert again.status_code == 422, again.text
    assert "there is already a database called 'twice'" in again.json()["message"]
    other = await api.client.post("/api/v1/database/", json={**body, "database_name": "once"})
    path = f"/api/v1/database/{other.json()['id']}"
    renamed = await api.client.put(path, json={"database_name": "twice"})
    assert renamed.status_code == 422, renamed.text
    assert (await api.client.get(path)).json()["result"]["database_name"] == "once"
    kept = await api.client.put(path, json={"database_name": "once"})
    assert kept.status_code == 200, kept.text


async def test_another_workspace_may_give_the_same_database_name(api: Api, client: httpx.AsyncClient) -> None:
    body = {"database_name": "flights", "sqlalchemy_uri": "duckdb:///flights.duckdb"}
    made = await client.post("/api/v1/workspace/", json={"name": "Second"})
    headers = {"Authorization": f"Bearer {made.json()['token']}"}
    answer = await client.post("/api/v1/database/", json=body, headers=headers)
    assert answer.status_code == 201, answer.text
