"""Runs: what their blocks see, what they give, and how failures spread."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from tests.fakes.service_reports import TRIGGER_TOKEN, parameter, sql, text
from tests.integration.service.conftest import Api


async def test_outputs_have_the_agreed_shape(api: Api) -> None:
    made = api.make_report(note=text("Hello {{ who }}"), who=parameter("you"), q=sql("SELECT 1 AS n"))
    outputs = await api.run(made.id)
    assert list(outputs) == [
        "report_id", "report_name", "run_id", "status", "error", "started_at", "finished_at",
        "duration_seconds", "parameters", "blocks", "queries",
    ]  # fmt: skip
    assert (outputs["report_id"], outputs["status"], outputs["error"]) == (made.id, "success", None)
    assert outputs["started_at"].endswith("+00:00")
    assert outputs["duration_seconds"] > 0
    note, who, query = outputs["blocks"]
    assert (note["name"], note["type"], note["output"], note["query_result"]) == (
        "note",
        "text",
        "Hello you",
        None,
    )
    assert (who["type"], who["status"]) == ("parameter", "success")
    assert query["query_result"] == outputs["queries"][0]["query_result"]
    assert query["query_result"].endswith(
        f"/api/reports/{made.id}/queries/{made.queries['q']}/reportRun/{outputs['run_id']}"
    )
    assert outputs["queries"][0] | {"query_result": ""} == {
        "query_id": made.queries["q"],
        "query_name": "q",
        "query_result": "",
        "status": "success",
        "row_count": 1,
        "row_limit": 10_000_000,
        "is_truncated": False,
        "error": None,
    }


async def test_blocks_run_in_the_order_of_their_references(api: Api) -> None:
    made = api.make_report(
        last=sql("SELECT {{ middle.data[0].n }} * 10 AS n"),
        middle=sql("SELECT sum(n) AS n FROM ({{ first }})"),
        first=sql("SELECT unnest([1, 2, {{ three }}]) AS n"),
        three=parameter(3),
        note=text("{% for row in first.data %}{{ row.n }} {% endfor %}= {{ middle.data[0].n }}"),
    )
    outputs = await api.run(made.id)
    assert await api.fetch_rows(outputs, "last") == [{"n": 60}]
    assert outputs["blocks"][-1]["output"] == "1 2 3 = 6"


async def test_failing_block_fails_the_run_and_spares_what_does_not_need_it(api: Api) -> None:
    made = api.make_report(
        broken=sql("SELECT nope FROM nowhere"),
        needs_it=sql("SELECT {{ broken.data | length }} AS n"),
        needs_that=text("{{ needs_it.data }}"),
        other=sql("SELECT 1 AS n"),
    )
    outputs = await api.run(made.id)
    assert outputs["status"] == "failed"
    assert [block["status"] for block in outputs["blocks"]] == ["failed", "not_run", "not_run", "success"]
    broken, needs_it, needs_that, _ = outputs["blocks"]
    assert "nowhere" in broken["error"]
    assert outputs["error"] == f"block 'broken': {broken['error']}"
    assert needs_it["error"] == "not run, because broken did not succeed"
    assert (needs_that["error"], needs_that["duration_seconds"]) == (
        "not run, because needs_it did not succeed",
        None,
    )
    assert await api.fetch_rows(outputs, "other") == [{"n": 1}]


async def test_result_of_a_failed_query_says_why_in_json_and_refuses_other_formats(api: Api) -> None:
    made = api.make_report(broken=sql("SELECT nope"), needs_it=sql("SELECT {{ broken.data }}"))
    outputs = await api.run(made.id)
    broken, needs_it = (query["query_result"] for query in outputs["queries"])
    answer = (await api.client.get(broken)).json()
    assert answer["status"] == "failed"
    assert "nope" in answer["error"]
    assert (answer["columns"], answer["row_count"], answer["data"]) == ([], 0, [])
    assert (await api.client.get(needs_it)).json()["status"] == "not_run"
    for media_type in ("text/csv", "application/vnd.apache.parquet"):
        refusal = await api.client.get(broken, headers={"Accept": media_type})
        assert refusal.status_code == 409
        assert "gave no result" in refusal.json()["message"]


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("SELECT {{ nope }}", "'nope' is undefined"),
        ("SELECT {{ oh", "template"),
        ("SELECT CAST({{ v }} AS INTEGER) AS n", "Could not convert"),
        (
            "SELECT CAST(CASE range WHEN 99999 THEN 'x' ELSE '1' END AS INTEGER) AS n FROM range(100000)",
            "Could not",
        ),
        ("SELECT 1 AS n; SELECT 2 AS n", "not one statement"),
        ("", "not one statement"),
        ("SELECT {{ v.__class__ }}", "unsafe"),
    ],
)
async def test_query_that_cannot_run_fails_with_the_reason(api: Api, template: str, message: str) -> None:
    made = api.make_report(q=sql(template))
    outputs = await api.run(made.id, {"v": "abc"})
    assert outputs["status"] == "failed"
    assert message in outputs["blocks"][0]["error"]
    assert not list(api.parts.settings.results_dir.rglob("*.partial"))


async def test_text_of_a_url_becomes_what_its_parameter_is(api: Api) -> None:
    made = api.make_report(n=parameter(1, "integer"), uses=sql("SELECT {{ n }} AS n"))
    assert await api.fetch_rows(await api.run(made.id, n="7"), "uses") == [{"n": 7}]


async def test_block_wins_over_a_parameter_of_its_name(api: Api) -> None:
    made = api.make_report(x=sql("SELECT 'block' AS v"), note=text("{{ x.data[0].v }} {{ params.x }}"))
    outputs = await api.run(made.id, x="parameter")
    assert outputs["blocks"][1]["output"] == "block parameter"


async def test_circle_fails_the_run_and_names_the_blocks(api: Api) -> None:
    made = api.make_report(a=sql("SELECT {{ b.data }}"), b=sql("SELECT {{ a.data }}"))
    outputs = await api.run(made.id)
    assert outputs["status"] == "failed"
    assert "circular references: " in outputs["error"]
    assert [block["status"] for block in outputs["blocks"]] == ["not_run", "not_run"]


async def test_empty_report_succeeds(api: Api) -> None:
    outputs = await api.run(api.make_report().id)
    assert (outputs["status"], outputs["blocks"], outputs["queries"]) == ("success", [], [])


async def test_hostile_text_is_shown_as_it_is(api: Api) -> None:
    made = api.make_report(note=text("{{ v }}"))
    outputs = await api.run(made.id, {"v": "{{ 7 * 7 }} <b> \x00 é"})
    assert outputs["blocks"][0]["output"] == "{{ 7 * 7 }} <b> \ufffd é"


async def test_runs_are_listed_newest_first_with_their_report(api: Api) -> None:
    made = api.make_report(q=sql("SELECT 1 AS n"))
    first, second = await api.run(made.id), await api.run(made.id, {"x": 1})
    for reference in (made.id, (await api.client.get(f"/api/v1/report/{made.id}")).json()["result"]["uid"]):
        listed = (await api.client.get("/api/v1/noteflow_run/", params={"report_uid": reference})).json()
        assert listed["ids"] == [second["run_id"], first["run_id"]]
        assert listed["count"] == 2
        by_filter = (
            await api.client.get(
                "/api/v1/noteflow_run/",
                params={
                    "q": f"(filters:!((col:report,opr:rel_r_nf,value:'{reference}')),page:0,page_size:1)"
                },
            )
        ).json()
        assert (by_filter["ids"], by_filter["count"]) == ([second["run_id"]], 2)
    row = listed["result"][0]
    assert row["status"] == "success"
    assert row["report_id"] == made.id
    assert row["report_uid"]
    assert isinstance(row["start_time"], str)
    one = (await api.client.get(f"/api/v1/noteflow_run/{row['uid']}")).json()["result"]
    assert one == row
    tasks = (await api.client.get(f"/api/v1/noteflow_run/{row['id']}/get_task_results")).json()["result"]
    assert [(task["name"], task["status"], task["uid"]) for task in tasks] == [("q", "success", row["uid"])]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ("(col:id,opr:gt,value:{id})", False),
        ("(col:id,opr:eq,value:{id})", True),
        ("(col:created_on,opr:ltd,value:0)", True),
        ("(col:status,opr:eq,value:success)", True),
        ("(col:status,opr:eq,value:failed)", False),
    ],
)
async def test_runs_are_filtered(api: Api, filters: str, found: bool) -> None:
    made = api.make_report(q=sql("SELECT 1 AS n"))
    run_id = (await api.run(made.id))["run_id"]
    q = f"(filters:!({filters.format(id=run_id)}))"
    listed = (await api.client.get("/api/v1/noteflow_run/", params={"q": q, "report_uid": made.id})).json()
    assert listed["ids"] == ([run_id] if found else [])


@pytest.mark.parametrize(
    ("q", "message"),
    [
        ("(filters:!((col:nope,opr:eq,value:1)))", "Filter column: nope not allowed to filter"),
        ("(filters:!((col:status,opr:ct,value:1)))", "Filter operation: ct not allowed on column: status"),
        ("(order_column:nope)", "Order column: nope not allowed to order"),
        ("(filters:!((col:created_on,opr:ltd,value:x)))", "Not a valid rison schema"),
        ("((", "Not a valid rison/json argument"),
    ],
)
async def test_list_that_cannot_be_is_refused(api: Api, q: str, message: str) -> None:
    answer = await api.client.get("/api/v1/noteflow_run/", params={"q": q})
    assert answer.status_code == 400
    assert message in answer.json()["message"]


async def test_report_is_run_by_the_api_once_for_each_key(api: Api) -> None:
    made = api.make_report(q=sql("SELECT 1 AS n"))
    uids = [
        (
            await api.client.post(f"/api/v1/report/{made.id}/run/noteflow", headers={"Idempotency-Key": key})
        ).json()["result"]["noteflow_run_uid"]
        for key in ("a", "a", "b")
    ]
    assert uids[0] == uids[1] != uids[2]
    row = (await api.client.get(f"/api/v1/noteflow_run/{uids[0]}")).json()["result"]
    assert row["origin"] == "api"


async def test_key_of_a_preview_is_refused_for_the_run_itself(api: Api) -> None:
    """Otherwise the call would look as if the recipients had got their mails."""
    made = api.make_report(q=sql("SELECT 1 AS n"))
    path, preview = f"/api/v1/report/{made.id}/run/noteflow", {"send_to_me": True, "email": "me@example.com"}

    async def call(key: str, **body: Any) -> httpx.Response:
        return await api.client.post(path, json=body, headers={"Idempotency-Key": key})

    first = await call("daily", options=preview)
    refused = await call("daily")
    assert (refused.status_code, "other options" in refused.text) == (409, True), refused.text
    again = await call("daily", options=preview)
    assert again.json() == first.json()
    marks = [answer.headers.get("idempotency-replayed") for answer in (first, again)]
    assert marks == [None, "true"]
    plain = [await call("plain")]
    plain += [await call("plain", options=one) for one in ({}, {"send_to_me": False})]
    assert len({answer.json()["result"]["run_id"] for answer in plain}) == 1
    at_once = await asyncio.gather(*(call("race", options=one) for one in (preview, {}) * 4))
    assert sorted(answer.status_code for answer in at_once) == [200] * 4 + [409] * 4
    assert len({answer.json()["result"]["run_id"] for answer in at_once if answer.is_success}) == 1
    url, headers = f"/api/v1/report/{made.id}/webhook?token={TRIGGER_TOKEN}", {"Idempotency-Key": "daily"}
    assert (await api.client.post(url, headers=headers)).status_code == 409


async def test_query_runs_by_itself_with_what_it_needs_only(api: Api) -> None:
    made = api.make_report(
        n=parameter(1),
        a=sql("SELECT {{ n }} AS n"),
        q=sql("SELECT {{ a.data[0].n }} + 1 AS n"),
        broken=sql("oh"),
    )
    answer = await api.client.post(f"/api/v1/block/{made.blocks['q']}/run", json={"parameters": {"n": 41}})
    run_id = answer.json()["run_id"]
    result = await api.wait_for(f"/api/reports/{made.id}/queries/{made.queries['q']}/run/{run_id}")
    assert result.json()["data"] == [{"n": 42}]
    assert result.json()["run_id"] == run_id


async def test_query_that_runs_by_itself_has_the_text_of_other_queries(api: Api) -> None:
    made = api.make_report(
        n=parameter(1),
        base=sql("SELECT {{ n }} AS n"),
        middle=sql("SELECT n + 1 AS n FROM ({{ base }})"),
        q=sql("SELECT n + 1 AS n FROM ({{ middle }})"),
    )
    answer = await api.client.post(f"/api/v1/block/{made.blocks['q']}/run", json={"parameters": {"n": 40}})
    path = f"/api/reports/{made.id}/queries/{made.queries['q']}/run/{answer.json()['run_id']}"
    assert (await api.wait_for(path)).json()["data"] == [{"n": 42}]


async def test_parameter_does_not_run_by_itself(api: Api) -> None:
    made = api.make_report(n=parameter(1))
    answer = await api.client.post(f"/api/v1/block/{made.blocks['n']}/run", json={})
    assert answer.status_code == 422
    assert answer.json() == {"message": "Block 'n' is a parameter: there is nothing to run"}
