"""The API around runs: who may ask, triggers, subscriptions, and the shapes of answers."""

from __future__ import annotations

import re
from typing import Any

import jwt
import pytest
from fastapi import FastAPI

from airflow_provider_pushmetrics.service.accounts.authentication import generate_api_token, hash_token
from airflow_provider_pushmetrics.service.models import ApiToken
from airflow_provider_pushmetrics.service.storage.clock import get_now
from tests.fakes.service_process import API_TOKEN
from tests.fakes.service_reports import sql
from tests.integration.service.conftest import BASE_URL, Api

OPEN = {"/health/live", "/health/ready", "/api/v1/report/{reference}/webhook"}
"""The paths without a Bearer; the trigger has a token of its own."""


@pytest.mark.parametrize("credential", ["", "Bearer wrong", "Basic eA==", "Bearer a.b.c"])
async def test_wrong_and_missing_bearer_are_refused_alike_by_every_route(
    api: Api, app: FastAPI, credential: str
) -> None:
    paths = app.openapi()["paths"]
    assert paths.keys() > OPEN
    for path in paths.keys() - OPEN:
        for method in paths[path]:
            url = re.sub(r"\{\w+\}", "1", path)
            answer = await api.client.request(method, url, headers={"Authorization": credential})
            assert (answer.status_code, answer.json()) == (401, {"message": "Not authorized"}), url


async def test_token_is_exchanged_for_a_jwt_that_is_a_bearer_but_cannot_prolong_itself(api: Api) -> None:
    answer = (await api.client.post("/api/v1/security/exchange")).json()
    assert set(answer) == {"access_token", "expires_in"}
    assert answer["expires_in"] == 900
    bearer = {"Authorization": f"Bearer {answer['access_token']}"}
    assert (await api.client.get("/api/v1/report/", headers=bearer)).status_code == 200
    assert (await api.client.post("/api/v1/security/exchange", headers=bearer)).status_code == 401
    claims = jwt.decode(answer["access_token"], options={"verify_signature": False})
    assert claims["workspace_id"] == 1
    assert claims["exp"] - claims["iat"] == 900


async def test_jwt_of_another_key_an_expired_one_and_one_without_signature_are_refused(api: Api) -> None:
    key, now = api.parts.cipher.jwt_keys[0], int(get_now().timestamp())
    claims = {"sub": "1", "token_id": 1, "workspace_id": 1, "iat": now, "exp": now + 900}
    good = jwt.encode(claims, key, algorithm="HS256")
    bad = [
        jwt.encode(claims, b"x" * 32, algorithm="HS256"),
        jwt.encode({**claims, "exp": now - 1}, key, algorithm="HS256"),
        jwt.encode(claims, "", algorithm="none"),
        good[:-2],
    ]
    statuses = [
        (await api.client.get("/api/v1/report/", headers={"Authorization": f"Bearer {token}"})).status_code
        for token in (good, *bad)
    ]
    assert statuses == [200, 401, 401, 401, 401]


@pytest.mark.parametrize("field", ["revoked_on", "expires_on"])
async def test_revoked_and_expired_tokens_are_refused_and_so_are_their_jwts(api: Api, field: str) -> None:
    token = generate_api_token()
    bearer = {"Authorization": f"Bearer {token}"}
    with api.parts.database.writing() as session:
        session.add(ApiToken(user_id=1, workspace_id=1, name="t", token_hash=hash_token(token)))
    exchanged = (await api.client.post("/api/v1/security/exchange", headers=bearer)).json()["access_token"]
    with api.parts.database.writing() as session:
        row = session.query(ApiToken).filter_by(token_hash=hash_token(token)).one()
        setattr(row, field, get_now())
    for value in (token, exchanged):
        headers = {"Authorization": f"Bearer {value}"}
        assert (await api.client.get("/api/v1/report/", headers=headers)).status_code == 401


async def test_token_itself_is_not_stored(api: Api) -> None:
    for path in api.parts.settings.data_dir.glob("*.db*"):
        assert API_TOKEN.encode() not in path.read_bytes()


async def test_health_needs_no_credential(api: Api) -> None:
    for path, expected in (("live", {"status": "ok"}), ("ready", {"status": "ok", "workers": 1})):
        answer = await api.client.get(f"/health/{path}", headers={"Authorization": ""})
        assert (answer.status_code, answer.json()) == (200, expected)


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/report/999",
        "/api/v1/report/nope",
        "/api/v1/noteflow_run/999999",
        "/api/v1/webhook/999",
        "/api/v1/webhook_subscription/nope",
        "/api/reports/1/run/999999",
        "/api/reports/1/run/x",
        "/api/reports/1/run/99999999999999999999999",
        "/api/reports/999/run/1",
        "/api/reports/1/queries/1/run/999999",
        "/nowhere",
    ],
)
async def test_what_is_not_there_is_404_with_a_message(api: Api, path: str) -> None:
    answer = await api.client.get(path)
    assert answer.status_code == 404
    assert set(answer.json()) == {"message"}


async def test_405_names_every_method_of_its_path(api: Api, app: FastAPI) -> None:
    for path, methods in app.openapi()["paths"].items():
        answer = await api.client.request("PATCH", re.sub(r"\{\w+\}", "1", path))
        assert answer.status_code == 405, path
        assert answer.headers["allow"].split(", ") == sorted(method.upper() for method in methods), path


async def test_405_of_a_page_names_its_methods(api: Api) -> None:
    answer = await api.client.delete("/app/reports")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
    assert (await api.client.patch("/openapi.json")).headers["allow"] == "GET, HEAD"


async def test_result_of_another_report_or_query_is_not_there(api: Api) -> None:
    made = api.make_report(q=sql("SELECT 1 AS n"))
    run_id = (await api.run(made.id))["run_id"]
    for path in (
        f"/api/reports/1/run/{run_id}",
        f"/api/reports/{made.id}/queries/1/reportRun/{run_id}",
        f"/api/reports/{made.id}/queries/x/reportRun/{run_id}",
        f"/api/reports/1/queries/{made.queries['q']}/reportRun/{run_id}",
    ):
        assert (await api.client.get(path)).status_code == 404
    alone = (await api.client.post(f"/api/v1/block/{made.blocks['q']}/run")).json()["run_id"]
    await api.wait_for(f"/api/reports/{made.id}/queries/{made.queries['q']}/run/{alone}")
    assert (await api.client.get(f"/api/reports/{made.id}/queries/1/run/{alone}")).status_code == 404


async def test_reports_are_listed_and_shown(api: Api) -> None:
    listed = (await api.client.get("/api/v1/report/", params={"q": "(page:0,page_size:1)"})).json()
    assert listed["ids"] == [1]
    assert listed["count"] >= 1
    row = listed["result"][0]
    assert (row["name"], row["workflow_enabled"]) == ("Departure delays", True)
    shown = (await api.client.get(f"/api/v1/report/{row['uid']}")).json()
    assert shown["id"] == 1
    assert [block["name"] for block in shown["result"]["blocks"]] == [
        "introduction", "origin", "month", "by_carrier", "by_day", "worst",
    ]  # fmt: skip


async def test_trigger_lives_from_creation_to_deletion(api: Api) -> None:
    made = api.make_report(q=sql("SELECT 1 AS n"))
    created = await api.client.post(
        "/api/v1/webhook/",
        json={"report_id": made.id, "active": True, "recipients": '["a@b.c"]', "details": {}},
    )
    assert created.status_code == 201
    row = created.json()["result"]
    assert (row["recipients"], row["details"]) == ('["a@b.c"]', "{}")
    assert row["url"] == f"{BASE_URL}/api/v1/report/{made.id}/webhook?token={row['token']}"
    assert (await api.client.post(row["url"])).status_code == 200

    refreshed = (await api.client.put(f"/api/v1/webhook/{row['uid']}", json={"refresh_token": True})).json()
    assert refreshed["result"]["token"] != row["token"]
    assert (await api.client.post(row["url"])).status_code == 401
    assert (await api.client.post(refreshed["result"]["url"])).status_code == 200

    chosen = "a-token-of-my-own-0123456789"
    await api.client.put(f"/api/v1/webhook/{row['id']}", json={"token": chosen})
    assert (await api.client.post(f"/api/v1/report/{made.id}/webhook?token={chosen}")).status_code == 200

    assert (await api.client.delete(f"/api/v1/webhook/{row['id']}")).json() == {"message": "OK"}
    assert (await api.client.post(f"/api/v1/report/{made.id}/webhook?token={chosen}")).status_code == 401


async def test_list_of_triggers_holds_no_token(api: Api) -> None:
    token = await api.get_trigger_token()
    answer = await api.client.get("/api/v1/webhook/")
    assert token not in answer.text
    assert all("token" not in row and "url" not in row for row in answer.json()["result"])


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"report_id": 999}, 404),
        ({}, 422),
        ({"report_id": 1, "token": "has space in it here"}, 400),
        ({"report_id": 1, "token": "short"}, 400),
    ],
)
async def test_trigger_that_cannot_be_is_refused(api: Api, body: dict[str, Any], status: int) -> None:
    answer = await api.client.post("/api/v1/webhook/", json=body)
    assert answer.status_code == status
    assert set(answer.json()) == {"message"}


async def test_subscription_lives_from_creation_to_deletion(api: Api) -> None:
    created = await api.client.post(
        "/api/v1/webhook_subscription/",
        json={"name": "n", "url": "http://h/x", "events": ["report.run", "report.run"], "active": False},
    )
    assert created.status_code == 201
    answer = created.json()
    assert answer["signing_secret"].startswith("whsec_")
    assert answer["result"]["events"] == ["report.run"]
    assert answer["result"]["active"] is False
    path = f"/api/v1/webhook_subscription/{answer['id']}"
    shown = await api.client.get(path)
    assert answer["signing_secret"] not in shown.text
    assert shown.json()["result"] == answer["result"]
    changed = (await api.client.put(path, json={"url": "https://h/y", "active": True})).json()["result"]
    assert (changed["url"], changed["active"], changed["name"]) == ("https://h/y", True, "n")
    assert answer["id"] in (await api.client.get("/api/v1/webhook_subscription/")).json()["ids"]
    assert (await api.client.delete(path)).json() == {"message": "OK"}
    assert (await api.client.get(path)).status_code == 404


@pytest.mark.parametrize(
    "change",
    [
        {"url": "ftp://h/x"},
        {"url": "http://"},
        {"url": "http://h:port/"},
        {"url": "http://h/ x"},
        {"url": "http://h/" + "x" * 2048},
        {"url": "http://[::1"},
        {"events": []},
        {"events": ["report.exploded"]},
        {"events": "report.run"},
        {"name": " "},
        {"active": "perhaps"},
    ],
)
async def test_subscription_that_cannot_be_is_refused(api: Api, change: dict[str, Any]) -> None:
    body = {"name": "n", "url": "http://h/x", "events": ["report.run"], **change}
    answer = await api.client.post("/api/v1/webhook_subscription/", json=body)
    assert answer.status_code == 422
    assert next(iter(change)) in answer.json()["message"]


async def test_body_that_is_no_json_is_refused(api: Api) -> None:
    answer = await api.client.post(
        "/api/v1/webhook_subscription/", content=b"{", headers={"Content-Type": "application/json"}
    )
    assert (answer.status_code, answer.json()) == (400, {"message": "Request is not JSON"})
