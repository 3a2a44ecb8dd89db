"""Choices that a query gives are enforced before there is a run, by every route that starts one."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from sqlalchemy import select

from airflow_provider_pushmetrics.service.models import BlockResult
from airflow_provider_pushmetrics.service.results.store import ResultStore
from airflow_provider_pushmetrics.service.results.stored_result import StoredResult
from airflow_provider_pushmetrics.service.runs.call_batching import CallBatcher, CallOutcome
from airflow_provider_pushmetrics.service.runs.pending_limit import UNLIMITED
from airflow_provider_pushmetrics.service.runs.submission import RunSubmission
from airflow_provider_pushmetrics.service.runs.triggers import TriggerCall
from tests.integration.service.conftest import Api, open_client

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


async def ask_choices_query(api: Api, report: dict[str, Any], **trial: Any) -> None:
    """Run the query that gives the choices, and wait for its end."""
    block = await find_block(api, report, "regions")
    run_id = await api.run_block(block["id"], **trial)
    await api.wait_for(f"/api/reports/{report['id']}/queries/{block['query_id']}/run/{run_id}")


async def make_trigger_call(api: Api, report: dict[str, Any]) -> tuple[str, dict[str, str]]:
    """Make a trigger of a report, and give its path and its token for the query string."""
    made = await api.client.post("/api/v1/webhook/", json={"report_id": report["id"]})
    return f"/api/v1/report/{report['id']}/webhook", {"token": made.json()["result"]["token"]}


async def change_choices(api: Api, report: dict[str, Any]) -> None:
    """Change the query that gives the choices: its only one is Mars."""
    block = await find_block(api, report, "regions")
    content = {"sql": "SELECT 'Mars' AS region", "database_id": 1}
    await api.client.put(f"/api/v1/block/{block['id']}", json={"content": content})


ACCEPTED, REFUSED = [200, 200, 200], [400, 422, 422]


async def start(api: Api, report: dict[str, Any], region: Any) -> tuple[list[int], list[str]]:
    """Start a run by the trigger, by the API, and of the block alone; give the statuses and the messages."""
    given = {"region": region}
    path, token = await make_trigger_call(api, report)
    block = await find_block(api, report, "sales")
    answers = [
        await api.client.post(path, params=token, json=given),
        await api.client.post(f"/api/v1/report/{report['id']}/run/noteflow", json={"parameters": given}),
        await api.client.post(f"/api/v1/block/{block['id']}/run", json={"parameters": given}),
    ]
    messages = [answer.json().get("message", "") for answer in answers]
    return [answer.status_code for answer in answers], messages


async def count_runs(api: Api, report: dict[str, Any]) -> int:
    """Count the runs of a report."""
    listed = await api.client.get("/api/v1/noteflow_run/", params={"report_uid": report["uid"]})
    count: int = listed.json()["count"]
    return count


async def test_value_that_the_query_did_not_give_is_refused_before_there_is_a_run(api: Api) -> None:
    report = await api.create_report(*build_blocks())
    await ask_choices_query(api, report)
    statuses, messages = await start(api, report, "Mars")
    assert statuses == REFUSED
    for message in messages:
        assert "parameter 'region' is 'Mars': it must be one of 'EMEA', 'APAC'" in message
        assert "the query 'regions'" in message
    assert await count_runs(api, report) == 0
    assert (await start(api, report, "APAC"))[0] == ACCEPTED


async def test_value_is_refused_while_the_query_has_no_result(api: Api) -> None:
    report = await api.create_report(*build_blocks())
    statuses, messages = await start(api, report, "EMEA")
    assert statuses == REFUSED
    for message in messages:
        assert "parameter 'region'" in message
        assert "the query 'regions' has no result: run it first" in message
    assert await count_runs(api, report) == 0


async def test_value_is_refused_while_the_query_only_fails(api: Api) -> None:
    report = await api.create_report(*build_blocks("SELECT nope"))
    await ask_choices_query(api, report)
    assert (await start(api, report, "EMEA"))[0] == REFUSED


async def test_value_is_refused_when_there_is_no_such_query(api: Api) -> None:
    report = await api.create_report(*build_blocks(choices={"query": "reigons"}))
    statuses, messages = await start(api, report, "EMEA")
    assert statuses == REFUSED
    assert "no query 'reigons'" in messages[0]


async def test_default_and_no_value_need_no_choices(api: Api) -> None:
    with_default = await api.create_report(*build_blocks(default="all"))
    assert (await start(api, with_default, "all"))[0] == ACCEPTED
    without = await api.create_report(*build_blocks())
    assert (await api.run_by_api(without["id"]))["status"] == "success"


async def test_each_item_of_a_list_must_be_a_choice(api: Api) -> None:
    report = await api.create_report(*build_blocks(multiple=True, sql="SELECT {{ region | length }} AS v"))
    await ask_choices_query(api, report)
    assert (await start(api, report, ["EMEA", "APAC"]))[0] == ACCEPTED
    assert (await start(api, report, ["EMEA", "Mars"]))[0] == REFUSED
    assert (await start(api, report, []))[0] == ACCEPTED


async def test_number_in_a_url_is_the_choice_that_is_written_like_it(api: Api) -> None:
    blocks = build_blocks(
        "SELECT range AS n FROM range(3)", sql="SELECT typeof({{ region }}) AS v", type="any"
    )
    report = await api.create_report(*blocks)
    await ask_choices_query(api, report)
    path, token = await make_trigger_call(api, report)
    run = (await api.client.get(path, params={**token, "region": "2"})).json()
    outputs = (await api.wait_for(f"/api/reports/{report['id']}/run/{run['run_id']}")).json()
    rows = (await api.client.get(outputs["queries"][-1]["query_result"])).json()["data"]
    assert rows == [{"v": "INTEGER"}]
    assert (await api.client.get(path, params={**token, "region": "3"})).status_code == 400


async def test_all_values_of_the_query_are_choices_and_forms_know_that_they_have_not_all(api: Api) -> None:
    report = await api.create_report(*build_blocks("SELECT 'r' || range AS region FROM range(3000)"))
    await ask_choices_query(api, report)
    assert (await start(api, report, "r2999"))[0] == ACCEPTED
    assert (await start(api, report, "r3000"))[0] == REFUSED
    parameter = await find_block(api, report, "region")
    offered = (await api.client.get(f"/api/v1/block/{parameter['id']}/choices")).json()
    assert len(offered["result"]) == 1000
    assert offered["is_complete"] is False


async def test_trial_of_other_sql_does_not_change_the_choices(api: Api) -> None:
    report = await api.create_report(*build_blocks())
    await ask_choices_query(api, report)
    await ask_choices_query(api, report, content_json={"sql": "SELECT 'Mars' AS region"})
    assert (await start(api, report, "Mars"))[0] == REFUSED
    assert (await start(api, report, "EMEA"))[0] == ACCEPTED


async def test_repeat_of_a_key_is_answered_whatever_the_choices_are_now(api: Api) -> None:
    report = await api.create_report(*build_blocks())
    await ask_choices_query(api, report)
    path, token = await make_trigger_call(api, report)
    call: dict[str, Any] = {"params": token, "json": {"region": "EMEA"}, "headers": {"Idempotency-Key": "k1"}}
    first = (await api.client.post(path, **call)).json()
    await api.wait_for(f"/api/reports/{report['id']}/run/{first['run_id']}")  # its query gives choices too
    await change_choices(api, report)
    await ask_choices_query(api, report)
    again = await api.client.post(path, **call)
    assert again.status_code == 200, again.text
    assert again.json() == first
    assert (await api.client.post(f"/api/v1/noteflow_run/{first['run_id']}/re_run")).status_code == 422


async def test_query_of_choices_that_uses_a_parameter_is_a_warning(api: Api) -> None:
    report = await api.create_report(*build_blocks("SELECT {{ region }} AS region"))
    [warning] = report["warnings"]
    assert warning.startswith("block 'region': the query of its choices uses 'region'")


async def test_result_of_sql_that_was_edited_gives_no_choices_until_the_query_has_run_again(api: Api) -> None:
    report = await api.create_report(*build_blocks())
    await ask_choices_query(api, report)
    await change_choices(api, report)
    statuses, messages = await start(api, report, "EMEA")
    assert statuses == REFUSED
    for message in messages:
        assert "the query 'regions' has not run since it was changed: run it first" in message
    parameter = await find_block(api, report, "region")
    offered = (await api.client.get(f"/api/v1/block/{parameter['id']}/choices")).json()
    assert (offered["result"], offered["is_complete"]) == ([], False)
    await ask_choices_query(api, report)
    assert (await start(api, report, "EMEA"))[0] == REFUSED
    assert (await start(api, report, "Mars"))[0] == ACCEPTED


async def test_damaged_result_with_choices_fails_no_call_of_other_reports(api: Api) -> None:
    report = await api.create_report(*build_blocks())
    await ask_choices_query(api, report)
    query = await find_block(api, report, "regions")
    with api.parts.database.reading() as session:
        name = session.scalars(
            select(BlockResult.result_file).where(BlockResult.query_id == query["query_id"])
        ).one()
    (api.parts.settings.results_dir / str(name)).write_bytes(b"damaged")
    damaged, token = await make_trigger_call(api, report)
    other, other_token = await make_trigger_call(api, await api.create_report())
    async with open_client(api.client._transport.app, raises=False) as client:  # type: ignore[attr-defined]
        calls = [
            client.post(path, params=params, json=given)
            for _ in range(3)
            for path, params, given in ((other, other_token, {}), (damaged, token, {"region": "EMEA"}))
        ]
        answers = await asyncio.gather(*calls)
    assert [answer.status_code for answer in answers] == [200, 500] * 3
    assert await count_runs(api, report) == 0


class SilentStore(ResultStore):
    """A store whose storage answers only when it may."""

    def __init__(self, api: Api) -> None:
        super().__init__(api.parts.settings.results_dir)
        self.may_answer = threading.Event()

    def open(self, name: str) -> StoredResult:
        assert self.may_answer.wait(120)
        return super().open(name)


async def test_no_call_waits_for_the_choices_of_another(api: Api) -> None:
    report = await api.create_report(*build_blocks())
    await ask_choices_query(api, report)
    store = SilentStore(api)
    batcher = CallBatcher(api.parts.database, store, UNLIMITED)

    async def call(given: dict[str, Any]) -> CallOutcome:
        path, token = await make_trigger_call(api, report)
        trigger = TriggerCall(path.split("/")[-2], token["token"])
        return await batcher.call(trigger, lambda found: RunSubmission(found.report_id, given, "webhook"))

    chosen = asyncio.ensure_future(call({"region": "EMEA"}))
    async with asyncio.timeout(120):
        assert (await call({})).run is not None
        assert not chosen.done()
        store.may_answer.set()
        assert (await chosen).run is not None
    batcher.close()
