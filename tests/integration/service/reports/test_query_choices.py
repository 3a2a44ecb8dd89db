"""Choices that a query gives are enforced before there is a run, by every route that starts one."""

from __future__ import annotations

from typing import Any

from tests.integration.service.conftest import Api
from tests.integration.service.reports.test_authoring import make

REGIONS = "SELECT * FROM (VALUES ('EMEA'), ('APAC'), (NULL)) AS t (region)"


def build_blocks(
    choices_sql: str = REGIONS, sql: str = "SELECT {{ region }} AS v", **content: Any
) -> list[dict[str, Any]]:
    """Build a parameter with the choices of a query, that query, and one that uses the parameter."""
    chosen = {"type": "text", "choices": {"query": "regions"}, **content}
    return [
        {"type": "parameter", "name": "region", "content": chosen},
        {"type": "sql", "name": "regions", "content": {"sql": choices_sql, "database_id": 1}},
        {"type": "sql", "name": "sales", "content": {"sql": sql, "database_id": 1}},
    ]


async def find_block(api: Api, report: dict[str, Any], name: str) -> dict[str, Any]:
    """Find a block of a report."""
    blocks = (await api.client.get(f"/api/v1/report/{report['id']}")).json()["result"]["blocks"]
    return next(block for block in blocks if block["name"] == name)


async def ask_choices_query(api: Api, report: dict[str, Any]) -> None:
    """Run the query that gives the choices, and wait for its end."""
    block = await find_block(api, report, "regions")
    run_id = (await api.client.post(f"/api/v1/block/{block['id']}/run")).json()["run_id"]
    await api.wait_for(f"/api/reports/{report['id']}/queries/{block['query_id']}/run/{run_id}")


async def start(api: Api, report: dict[str, Any], region: Any) -> list[Any]:
    """Start a run by the trigger, by the API, and of the block alone; give the three answers."""
    report_id, given = report["id"], {"region": region}
    made = await api.client.post("/api/v1/webhook/", json={"report_id": report_id})
    token = {"token": made.json()["result"]["token"]}
    block = await find_block(api, report, "sales")
    return [
        await api.client.post(f"/api/v1/report/{report_id}/webhook", params=token, json=given),
        await api.client.post(f"/api/v1/report/{report_id}/run/noteflow", json={"parameters": given}),
        await api.client.post(f"/api/v1/block/{block['id']}/run", json={"parameters": given}),
    ]


async def count_runs(api: Api, report: dict[str, Any]) -> int:
    """Count the runs of a report."""
    listed = await api.client.get("/api/v1/noteflow_run/", params={"report_uid": report["uid"]})
    count: int = listed.json()["count"]
    return count


async def test_value_that_the_query_did_not_give_is_refused_before_there_is_a_run(api: Api) -> None:
    report = await make(api, *build_blocks())
    await ask_choices_query(api, report)
    refused = await start(api, report, "Mars")
    assert [answer.status_code for answer in refused] == [400, 422, 422]
    for answer in refused:
        message = answer.json()["message"]
        assert "parameter 'region' is 'Mars': it must be one of 'EMEA', 'APAC'" in message
        assert "the query 'regions'" in message
    assert await count_runs(api, report) == 0
    assert [answer.status_code for answer in await start(api, report, "APAC")] == [200, 200, 200]


async def test_value_is_refused_while_the_query_has_no_result(api: Api) -> None:
    report = await make(api, *build_blocks())
    refused = await start(api, report, "EMEA")
    assert [answer.status_code for answer in refused] == [400, 422, 422]
    for answer in refused:
        message = answer.json()["message"]
        assert "parameter 'region'" in message
        assert "the query 'regions' has no result: run it first" in message
    assert await count_runs(api, report) == 0


async def test_value_is_refused_while_the_query_only_fails(api: Api) -> None:
    report = await make(api, *build_blocks("SELECT nope"))
    await ask_choices_query(api, report)
    refused = await start(api, report, "EMEA")
    assert [answer.status_code for answer in refused] == [400, 422, 422]


async def test_value_is_refused_when_there_is_no_such_query(api: Api) -> None:
    report = await make(api, *build_blocks(choices={"query": "reigons"}))
    refused = await start(api, report, "EMEA")
    assert [answer.status_code for answer in refused] == [400, 422, 422]
    assert "no query 'reigons'" in refused[0].json()["message"]


async def test_default_and_no_value_need_no_choices(api: Api) -> None:
    with_default = await make(api, *build_blocks(default="all"))
    assert [answer.status_code for answer in await start(api, with_default, "all")] == [200, 200, 200]
    without = await make(api, *build_blocks())
    run = await api.client.post(f"/api/v1/report/{without['id']}/run/noteflow")
    assert run.status_code == 200
    outputs = await api.wait_for(f"/api/reports/{without['id']}/run/{run.json()['result']['run_id']}")
    assert outputs.json()["status"] == "success"


async def test_each_item_of_a_list_must_be_a_choice(api: Api) -> None:
    report = await make(api, *build_blocks(multiple=True, sql="SELECT {{ region | length }} AS v"))
    await ask_choices_query(api, report)
    assert [one.status_code for one in await start(api, report, ["EMEA", "APAC"])] == [200, 200, 200]
    refused = await start(api, report, ["EMEA", "Mars"])
    assert [one.status_code for one in refused] == [400, 422, 422]
    assert [one.status_code for one in await start(api, report, [])] == [200, 200, 200]


async def test_number_in_a_url_is_the_choice_that_is_written_like_it(api: Api) -> None:
    blocks = build_blocks(
        "SELECT range AS n FROM range(3)", sql="SELECT typeof({{ region }}) AS v", type="any"
    )
    report = await make(api, *blocks)
    await ask_choices_query(api, report)
    made = await api.client.post("/api/v1/webhook/", json={"report_id": report["id"]})
    path, token = f"/api/v1/report/{report['id']}/webhook", made.json()["result"]["token"]
    run = (await api.client.get(path, params={"token": token, "region": "2"})).json()
    outputs = (await api.wait_for(f"/api/reports/{report['id']}/run/{run['run_id']}")).json()
    rows = (await api.client.get(outputs["queries"][-1]["query_result"])).json()["data"]
    assert rows == [{"v": "INTEGER"}]
    assert (await api.client.get(path, params={"token": token, "region": "3"})).status_code == 400


async def test_all_values_of_the_query_are_choices_and_forms_know_that_they_have_not_all(api: Api) -> None:
    report = await make(api, *build_blocks("SELECT 'r' || range AS region FROM range(3000)"))
    await ask_choices_query(api, report)
    assert [one.status_code for one in await start(api, report, "r2999")] == [200, 200, 200]
    assert [one.status_code for one in await start(api, report, "r3000")] == [400, 422, 422]
    parameter = await find_block(api, report, "region")
    offered = (await api.client.get(f"/api/v1/block/{parameter['id']}/choices")).json()
    assert len(offered["result"]) == 1000
    assert offered["is_complete"] is False


async def test_trial_of_other_sql_does_not_change_the_choices(api: Api) -> None:
    report = await make(api, *build_blocks())
    await ask_choices_query(api, report)
    block = await find_block(api, report, "regions")
    trial = {"content_json": {"sql": "SELECT 'Mars' AS region"}}
    run_id = (await api.client.post(f"/api/v1/block/{block['id']}/run", json=trial)).json()["run_id"]
    await api.wait_for(f"/api/reports/{report['id']}/queries/{block['query_id']}/run/{run_id}")
    assert [one.status_code for one in await start(api, report, "Mars")] == [400, 422, 422]
    assert [one.status_code for one in await start(api, report, "EMEA")] == [200, 200, 200]


async def test_repeat_of_a_key_is_answered_whatever_the_choices_are_now(api: Api) -> None:
    report = await make(api, *build_blocks())
    await ask_choices_query(api, report)
    made = await api.client.post("/api/v1/webhook/", json={"report_id": report["id"]})
    token = {"token": made.json()["result"]["token"]}
    call: dict[str, Any] = {"params": token, "json": {"region": "EMEA"}, "headers": {"Idempotency-Key": "k1"}}
    path = f"/api/v1/report/{report['id']}/webhook"
    first = (await api.client.post(path, **call)).json()
    await api.wait_for(f"/api/reports/{report['id']}/run/{first['run_id']}")  # its query gives choices too
    block = await find_block(api, report, "regions")
    content = {"sql": "SELECT 'Mars' AS region", "database_id": 1}
    await api.client.put(f"/api/v1/block/{block['id']}", json={"content": content})
    await ask_choices_query(api, report)
    again = await api.client.post(path, **call)
    assert again.status_code == 200, again.text
    assert again.json() == first
    assert (await api.client.post(f"/api/v1/noteflow_run/{first['run_id']}/re_run")).status_code == 422


async def test_query_of_choices_that_uses_a_parameter_is_a_warning(api: Api) -> None:
    report = await make(api, *build_blocks("SELECT {{ region }} AS region"))
    [warning] = report["warnings"]
    assert warning.startswith("block 'region': the query of its choices uses 'region'")


async def test_result_of_sql_that_was_edited_gives_no_choices_until_the_query_has_run_again(api: Api) -> None:
    report = await make(api, *build_blocks())
    await ask_choices_query(api, report)
    block = await find_block(api, report, "regions")
    content = {"sql": "SELECT 'Mars' AS region", "database_id": 1}
    await api.client.put(f"/api/v1/block/{block['id']}", json={"content": content})
    refused = await start(api, report, "EMEA")
    assert [answer.status_code for answer in refused] == [400, 422, 422]
    for answer in refused:
        assert (
            "the query 'regions' has not run since it was changed: run it first" in answer.json()["message"]
        )
    parameter = await find_block(api, report, "region")
    offered = (await api.client.get(f"/api/v1/block/{parameter['id']}/choices")).json()
    assert (offered["result"], offered["is_complete"]) == ([], False)
    await ask_choices_query(api, report)
    assert [answer.status_code for answer in await start(api, report, "EMEA")] == [400, 422, 422]
    assert [answer.status_code for answer in await start(api, report, "Mars")] == [200, 200, 200]
