"""A block that is being written runs before it is saved, with the blocks that it uses."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from airflow_provider_pushmetrics.service.models import BlockResult, StandaloneQueryRun
from airflow_provider_pushmetrics.testing.isolation import list_cancel_paths
from tests.fakes.service_reports import ENDLESS
from tests.fakes.service_subscriber import Subscriber
from tests.fakes.waiting import until, until_async
from tests.integration.service.conftest import Api, read_accepted, read_result

REGION = {"type": "parameter", "name": "region", "content": {"type": "text", "default": "EMEA"}}
BASE = {"type": "sql", "name": "base", "content": {"database_id": 1, "sql": "SELECT {{ region }} AS region"}}
LOW = "SELECT lower(region) AS low FROM ({{ base }})"
NEW_SQL = {"type": "sql", "name": "top", "content": {"database_id": 1, "sql": LOW}}
SPEC = {"mark": "bar", "encoding": {"x": {"field": "region"}}}
NEW_CHART = {"type": "chart", "name": "bars", "content": {"query": "base", "spec": SPEC}}
MAIL = {"to_": "ann@example.com", "subject": "s", "value": "{{ base.data }}"}
NEW_MAIL = {"type": "email", "name": "mail", "content": MAIL}


def name_runs(report: dict[str, Any]) -> str:
    return f"/app/notebook/{report['uid']}/block_runs"


async def start(api: Api, report: dict[str, Any], block: dict[str, Any], **parameters: Any) -> dict[str, Any]:
    return read_result(await api.client.post(name_runs(report), json={**block, "parameters": parameters}))


async def wait_for(api: Api, report: dict[str, Any], run_id: int) -> dict[str, Any]:
    """Read the result of a run as soon as it has ended."""

    async def find() -> dict[str, Any] | None:
        found: dict[str, Any] | None = read_result(await api.client.get(f"{name_runs(report)}/{run_id}"))
        return found

    return await until_async(find, "the end of the run")


async def run(api: Api, report: dict[str, Any], block: dict[str, Any], **parameters: Any) -> dict[str, Any]:
    started = await start(api, report, block, **parameters)
    result = await wait_for(api, report, started["run_id"])
    assert result["block_uid"] == started["block_uid"]
    return result


async def read_rows(api: Api, result: dict[str, Any]) -> list[list[str | None]]:
    path = f"/app/results/block_run/{result['run_id']}/{result['block_uid']}/rows"
    rows: list[list[str | None]] = read_accepted(await api.client.get(path))["rows"]
    return rows


async def test_query_that_is_not_saved_runs_with_what_it_uses(api: Api) -> None:
    report = await api.create_report(REGION, BASE)
    result = await run(api, report, NEW_SQL, region="APAC")
    assert (result["error"], result["row_count"], result["parameters"]) == (None, 1, {"region": "APAC"})
    assert await read_rows(api, result) == [["apac"]]
    path = f"/app/results/block_run/{result['run_id']}/{result['block_uid']}/download"
    download = await api.client.get(path, params={"format": "csv"})
    assert (download.status_code, download.text.split()) == (200, ["low", "apac"])
    blocks = read_result(await api.client.get(f"/api/v1/report/{report['id']}"))["blocks"]
    assert [block["name"] for block in blocks] == ["region", "base"]
    state = read_result(await api.client.get(f"/app/notebook/{report['uid']}"))
    assert ([one["name"] for one in state["results"]], state["unfinished"]) == (["region"], [])


async def test_text_chart_and_mail_that_are_not_saved_run(api: Api) -> None:
    report = await api.create_report(REGION, BASE)
    text = {
        "type": "text",
        "name": "words",
        "content": {"text": "**{{ base.data[0].region }}** {{ region }}"},
    }
    result = await run(api, report, text)
    assert (result["output"], "<strong>EMEA</strong>" in result["output_html"]) == ("**EMEA** EMEA", True)
    chart = await run(api, report, NEW_CHART)
    assert (chart["status"], chart["output"]) == ("success", None)
    path = f"/app/results/block_run/{chart['run_id']}/{chart['block_uid']}/chart.json"
    assert "EMEA" in (await api.client.get(path)).text
    mail = await run(api, report, NEW_MAIL)
    assert [message["recipient"] for message in mail["messages"]] == ["ann@example.com"]


async def test_fault_of_a_block_that_is_not_saved_is_told(api: Api) -> None:
    circular = {"type": "text", "name": "words", "content": {"text": "{{ later.data }}"}}
    later = {"type": "sql", "name": "later", "content": {"database_id": 1, "sql": "SELECT {{ words }} AS n"}}
    broken = {"type": "sql", "name": "broken", "content": {"database_id": 1, "sql": "SELECT no_such_column"}}
    report = await api.create_report(later, broken)
    uses = {"type": "text", "name": "uses", "content": {"text": "{{ broken.data }}"}}
    for block, status, words in (
        ({**broken, "name": "new"}, "failed", "no_such_column"),
        (uses, "not_run", "broken did not succeed"),
        (circular, "not_run", "circular references"),
    ):
        result = await run(api, report, block)
        assert (result["status"], words in result["error"]) == (status, True), result


async def test_unfinished_run_of_a_block_that_is_not_saved_is_shown_and_cancelled(
    api: Api, subscriber: Subscriber
) -> None:
    report = await api.create_report(REGION)
    await api.subscribe(subscriber.url, "query.run")
    endless = {"type": "sql", "name": "endless", "content": {"database_id": 1, "sql": ENDLESS}}
    started = await start(api, report, endless)
    own = f"{name_runs(report)}/{started['run_id']}"
    assert read_result(await api.client.get(own)) is None
    (shown,) = read_result(await api.client.get(f"/app/notebook/{report['uid']}"))["unfinished"]
    assert (shown["block_uid"], shown["run_id"]) == (started["block_uid"], started["run_id"])
    assert (shown["name"], shown["kind"]) == ("endless", "block_run")
    (path,) = list_cancel_paths(api.parts.database)
    for _ in range(2):
        assert read_accepted(await api.client.post(path))["status"] == "cancelled"
    result = await wait_for(api, report, started["run_id"])
    assert (result["status"], "cancelled" in result["error"]) == ("not_run", True)
    assert (await api.client.post(f"{name_runs(report)}/999999/cancel")).status_code == 404
    deliveries = (await api.client.get("/api/v1/webhook_delivery/")).json()
    assert deliveries["count"] == 0  # it has no query that an event could name


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ({**NEW_SQL, "name": "base"}, "already has a block called 'base'"),
        (REGION, "nothing to run"),
        ({**NEW_SQL, "type": "magic"}, "magic"),
        ({**NEW_SQL, "content": {"sql": "SELECT 1", "database_id": 999}}, "no database with the id 999"),
        ({**NEW_SQL, "parameters": {"region": [1]}}, "region"),
    ],
)
async def test_block_that_could_not_be_saved_does_not_run(
    api: Api, block: dict[str, Any], words: str
) -> None:
    report = await api.create_report({**REGION, "name": "region" if block is not REGION else "r"}, BASE)
    answer = await api.client.post(name_runs(report), json=block)
    assert (answer.status_code, words in answer.text) == (422, True), answer.text
    with api.parts.database.reading() as session:
        mine = select(StandaloneQueryRun.id).where(StandaloneQueryRun.report_id == report["id"])
        assert session.scalars(mine).all() == []


async def test_result_names_the_blocks_that_were_changed_or_renamed_since(api: Api) -> None:
    report = await api.create_report(REGION, BASE, {"type": "text", "name": "other", "content": {"text": ""}})
    ran = await run(api, report, NEW_SQL)
    own = f"{name_runs(report)}/{ran['run_id']}"
    base, other = (f"/api/v1/block/{block['uid']}" for block in report["blocks"][1:])

    async def change(path: str, **values: Any) -> tuple[list[str], list[str]]:
        read_accepted(await api.client.put(path, json=values))
        found = read_result(await api.client.get(own))
        return found["changed"], found["gone"]

    assert (ran["changed"], ran["gone"]) == ([], [])
    assert await change(other, content={"text": "more"}) == ([], [])
    sql = {"database_id": 1, "sql": "SELECT 'X' AS region"}
    assert await change(base, content=sql) == (["base"], [])
    assert await change(base, content=BASE["content"]) == ([], [])
    assert await change(base, name="bottom") == ([], ["base"])


async def test_result_stays_with_the_block_when_it_is_saved(api: Api) -> None:
    report = await api.create_report(REGION, BASE)
    ran = await run(api, report, NEW_SQL)
    saved = read_accepted(
        await api.client.post("/api/v1/block/", json={**NEW_SQL, "report_id": report["id"]})
    )
    block = saved["result"]
    given = f"{name_runs(report)}/{ran['run_id']}/block"
    for _ in range(2):
        answer = await api.client.post(given, json={"block_uid": block["uid"]})
    assert answer.status_code == 409  # it is its own already
    (newest,) = (
        one
        for one in read_result(await api.client.get(f"/app/notebook/{report['uid']}"))["results"]
        if one["block_uid"] == block["uid"]
    )
    assert (newest["run_id"], newest["changed"]) == (ran["run_id"], [])
    assert await read_rows(api, newest) == [["emea"]]
    result = f"/api/reports/{report['id']}/queries/{block['query_id']}/run/{ran['run_id']}"
    assert (await api.client.get(result)).json()["data"] == [{"low": "emea"}]

    change = {"content": {**NEW_SQL["content"], "sql": "SELECT 1 AS n"}}  # type: ignore[dict-item]
    read_accepted(await api.client.put(f"/api/v1/block/{block['uid']}", json=change))
    state = read_result(await api.client.get(f"/app/notebook/{report['uid']}"))
    assert [one["changed"] for one in state["results"] if one["block_uid"] == block["uid"]] == [["top"]]
    folder = api.parts.settings.results_dir / f"query-run-{ran['run_id']}"
    assert folder.exists()
    read_accepted(await api.client.delete(f"/api/v1/block/{block['uid']}"))
    await until(lambda: not folder.exists())


async def test_result_is_given_to_no_other_block(api: Api) -> None:
    report, other = await api.create_report(REGION, BASE), await api.create_report(BASE, name="Other")
    ran = await run(api, report, NEW_SQL)
    given = f"{name_runs(report)}/{ran['run_id']}/block"
    for uid, status in (
        (other["blocks"][0]["uid"], 404),
        (report["blocks"][0]["uid"], 409),
        ("nothing", 404),
    ):
        assert (await api.client.post(given, json={"block_uid": uid})).status_code == status
    own = report["blocks"][1]["uid"]
    answer = await api.client.post(f"{name_runs(other)}/{ran['run_id']}/block", json={"block_uid": own})
    assert answer.status_code == 404


@pytest.mark.slow
async def test_run_and_result_are_deleted_with_the_report(api: Api) -> None:
    report = await api.create_report(REGION, BASE)
    ran = await run(api, report, NEW_SQL)
    folder = api.parts.settings.results_dir / f"query-run-{ran['run_id']}"
    assert list(folder.glob("*.parquet"))
    read_accepted(await api.client.delete(f"/api/v1/report/{report['id']}"))
    await until(lambda: not folder.exists())
    with api.parts.database.reading() as session:
        mine = select(StandaloneQueryRun.id).where(StandaloneQueryRun.id == ran["run_id"])
        results = select(BlockResult.id).where(BlockResult.query_run_id == ran["run_id"])
        assert (session.scalars(mine).all(), session.scalars(results).all()) == ([], [])


async def test_run_of_another_workspace_is_not_found(api: Api) -> None:
    assert (await api.client.post("/app/notebook/999999/block_runs", json=NEW_SQL)).status_code == 404
    report, other = await api.create_report(REGION, BASE), await api.create_report(name="Other")
    ran = await run(api, report, NEW_SQL)
    for run_id in (ran["run_id"], 2**40, "x"):
        assert (await api.client.get(f"{name_runs(other)}/{run_id}")).status_code == 404
