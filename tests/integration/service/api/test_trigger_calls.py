"""The trigger: who may pull it, and with what."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import httpx
import pytest

from airflow_provider_pushmetrics.service.models import Run
from airflow_provider_pushmetrics.service.runs.triggers import TriggerCall, find_called_triggers
from airflow_provider_pushmetrics.service.settings import ServiceSettings
from tests.fakes.service_reports import TRIGGER_TOKEN, parameter, sql
from tests.integration.service.conftest import Api

REFUSED = {"message": "The report is unknown or the token is not valid"}


def count_runs(api: Api) -> int:
    with api.parts.database.reading() as session:
        return session.query(Run).count()


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_trigger_answers_with_the_run(api: Api, method: str) -> None:
    token = await api.get_trigger_token()
    answer = await api.client.request(method, f"/api/v1/report/1/webhook?token={token}")
    assert answer.status_code == 200
    assert answer.json() == {"success": True, "run_id": count_runs(api)}


async def test_id_that_no_column_holds_spoils_no_other_call_s_answer(api: Api) -> None:
    well = TriggerCall("1", await api.get_trigger_token())
    found = find_called_triggers(
        api.parts.database, [well, TriggerCall("9" * 12, "x"), TriggerCall(str(2**31), "x")]
    )
    assert [trigger is not None for trigger in found] == [True, False, False]


async def test_trigger_needs_no_bearer_and_takes_the_uid(api: Api) -> None:
    token = await api.get_trigger_token()
    uid = (await api.client.get("/api/v1/report/1")).json()["result"]["uid"]
    answer = await api.client.post(
        f"/api/v1/report/{uid}/webhook?token={token}", headers={"Authorization": ""}
    )
    assert answer.json()["success"] is True


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/report/1/webhook",
        "/api/v1/report/1/webhook?token=",
        "/api/v1/report/1/webhook?token=wrong",
        "/api/v1/report/1/webhook?token=%FF%00",
        "/api/v1/report/999/webhook?token={token}",
        "/api/v1/report/nope/webhook?token={token}",
        "/api/v1/report/99999999999999999999999/webhook?token={token}",
        "/api/v1/report/999999999999/webhook?token={token}",
        "/api/v1/report/1/webhook?token=wrong&token={token}",
    ],
)
async def test_wrong_token_missing_token_and_unknown_report_answer_alike(api: Api, path: str) -> None:
    before = count_runs(api)
    url = path.format(token=await api.get_trigger_token())
    for answer in (await api.client.get(url), await api.client.post(url, content=b"[not json")):
        assert (answer.status_code, answer.json()) == (401, REFUSED)
    assert count_runs(api) == before


async def test_token_in_the_body_opens_nothing(api: Api) -> None:
    answer = await api.client.post("/api/v1/report/1/webhook", json={"token": await api.get_trigger_token()})
    assert answer.status_code == 401


async def test_token_of_another_report_is_wrong(api: Api) -> None:
    api.make_report(q=sql("SELECT 1 AS n"))
    answer = await api.client.post(f"/api/v1/report/1/webhook?token={TRIGGER_TOKEN}")
    assert answer.status_code == 401


async def test_disabled_trigger_says_so_to_who_has_its_token(api: Api) -> None:
    made = api.make_report(q=sql("SELECT 1 AS n"))
    webhook = next(
        row
        for row in (await api.client.get("/api/v1/webhook/?q=(page_size:100)")).json()["result"]
        if row["report_id"] == made.id
    )
    await api.client.put(f"/api/v1/webhook/{webhook['id']}", json={"active": False})
    answer = await api.client.post(f"/api/v1/report/{made.id}/webhook?token={TRIGGER_TOKEN}")
    assert (answer.status_code, answer.json()) == (403, {"message": "This webhook is disabled"})
    wrong = await api.client.post(f"/api/v1/report/{made.id}/webhook?token=wrong")
    assert (wrong.status_code, wrong.json()) == (401, REFUSED)
    await api.client.put(f"/api/v1/webhook/{webhook['id']}", json={"active": True})
    assert (await api.run(made.id))["status"] == "success"


@pytest.mark.parametrize(
    "body", [b"[1]", b"3", b"null", b"{", b'{"a": NaN}', b"[" * 100_000, b"a=1", b"\xff"]
)
async def test_body_that_is_no_json_object_starts_no_run(api: Api, body: bytes) -> None:
    before = count_runs(api)
    token = await api.get_trigger_token()
    answer = await api.client.post(f"/api/v1/report/1/webhook?token={token}", content=body)
    assert answer.status_code == 400
    assert set(answer.json()) == {"message"}
    assert count_runs(api) == before


async def test_body_over_one_mebibyte_starts_no_run(api: Api) -> None:
    before = count_runs(api)
    token = await api.get_trigger_token()
    url = f"/api/v1/report/1/webhook?token={token}"
    answer = await api.client.post(url, content=b'{"a": "' + b"x" * 1024 * 1024 + b'"}')
    assert answer.status_code == 413
    assert count_runs(api) == before


async def test_body_of_a_get_is_ignored(api: Api) -> None:
    token = await api.get_trigger_token()
    answer = await api.client.request("GET", f"/api/v1/report/1/webhook?token={token}", content=b"[not json")
    assert answer.status_code == 200


async def test_parameters_come_from_both_places_and_the_body_wins(api: Api) -> None:
    made = api.make_report(
        a=parameter("default"),
        q=sql("SELECT {{ a }} AS a, {{ params.b }} AS b, {{ webhook.parameters.c }} AS c, {{ d }} AS d"),
    )
    outputs = await api.run(made.id, {"a": "body", "c": 3}, a="url", b="url", d="unknown names too")
    assert outputs["parameters"] == {"a": "body", "b": "url", "c": 3, "d": "unknown names too"}
    assert await api.fetch_rows(outputs, "q") == [{"a": "body", "b": "url", "c": 3, "d": "unknown names too"}]


async def test_defaults_hold_where_nothing_is_given(api: Api) -> None:
    made = api.make_report(a=parameter("default"), q=sql("SELECT {{ a }} AS a"))
    outputs = await api.run(made.id)
    assert outputs["parameters"] == {"a": "default"}
    assert await api.fetch_rows(outputs, "q") == [{"a": "default"}]


@pytest.mark.parametrize("value", [None, True, 2.5, [1, 2], "", "é☃", 10**30])
async def test_json_values_keep_their_type_into_the_database(api: Api, value: Any) -> None:
    made = api.make_report(q=sql("SELECT {{ v }} AS v"))
    outputs = await api.run(made.id, {"v": value})
    assert outputs["parameters"] == {"v": value}
    assert await api.fetch_rows(outputs, "q") == [{"v": value}]


async def test_json_object_is_no_value_of_sql_but_its_text_is_one(api: Api) -> None:
    made = api.make_report(q=sql("SELECT {{ v }} AS v"), text=sql("SELECT {{ v | tojson }} AS v"))
    outputs = await api.run(made.id, {"v": {"k": [None]}})
    assert "SQL accepts text, numbers, dates and lists of them" in outputs["blocks"][0]["error"]
    assert await api.fetch_rows(outputs, "text") == [{"v": '{"k": [null]}'}]


async def test_same_idempotency_key_gives_the_same_run(api: Api) -> None:
    token = await api.get_trigger_token()
    url, headers = f"/api/v1/report/1/webhook?token={token}", {"Idempotency-Key": "key-1"}
    answers = await asyncio.gather(
        *(api.client.post(url, json={"month": 2}, headers=headers) for _ in range(8))
    )
    assert len({answer.json()["run_id"] for answer in answers}) == 1
    await api.wait_for(f"/api/reports/1/run/{answers[0].json()['run_id']}")
    later = await api.client.post(url, json={"month": 2}, headers=headers)
    assert later.json() == answers[0].json()
    marks = [answer.headers.get("idempotency-replayed") for answer in (*answers, later)]
    assert sorted(marks, key=str) == [None, *["true"] * 8]


async def test_same_idempotency_key_with_other_parameters_is_refused(api: Api) -> None:
    token = await api.get_trigger_token()
    url, headers = f"/api/v1/report/1/webhook?token={token}", {"Idempotency-Key": "key-2"}
    await api.client.post(url, json={"month": 2}, headers=headers)
    before = count_runs(api)
    for other in ({"month": "2"}, {"month": 2.0}, {}):
        answer = await api.client.post(url, json=other, headers=headers)
        assert answer.status_code == 409
        assert answer.json() == {"message": "This Idempotency-Key was used before with other parameters"}
    assert count_runs(api) == before


@pytest.mark.parametrize("key", ["", "x" * 256, "with space"])
async def test_unusable_idempotency_key_is_refused(api: Api, key: str) -> None:
    token = await api.get_trigger_token()
    answer = await api.client.post(
        f"/api/v1/report/1/webhook?token={token}", headers={"Idempotency-Key": key}
    )
    assert answer.status_code == 400


async def test_no_log_line_holds_the_token(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # the test's own client
    token = await api.get_trigger_token()
    await api.client.post(f"/api/v1/report/1/webhook?token={token}")
    assert "POST /api/v1/report/1/webhook 200" in caplog.text
    assert token not in caplog.text


async def test_setting_hides_the_run_as_the_real_product_does(api: Api, client: httpx.AsyncClient) -> None:
    token = await api.get_trigger_token()
    settings = api.parts.settings
    hidden = {**settings.__dict__, "trigger_returns_run_id": False}
    object.__setattr__(api.parts, "settings", ServiceSettings(**hidden))
    try:
        answer = await client.post(f"/api/v1/report/1/webhook?token={token}")
    finally:
        object.__setattr__(api.parts, "settings", settings)
    assert answer.content == b'{"success":true}'
