"""Making and changing reports and blocks by the API, and the events that tell of it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from sqlalchemy import select

from airflow_provider_pushmetrics.service.models import OutboxEvent
from tests.fakes.service_reports import sql
from tests.fakes.waiting import until
from tests.integration.service.conftest import Api, read_result

DOCUMENTED: dict[str, list[str]] = {
    "report.created": [
        "event", "report_id", "report_name", "report_description", "workspace_id", "workspace_name",
        "timestamp",
    ],
    "report.updated": [
        "event", "report_id", "report_name", "report_description", "workspace_id", "workspace_name",
        "timestamp",
    ],
    "report.deleted": ["event", "report_id", "report_name", "workspace_id", "workspace_name", "timestamp"],
    "report.run": [
        "event", "report_id", "report_name", "workspace_id", "workspace_name", "report_notebook_outputs",
        "queries", "timestamp",
    ],
    "query.created": [
        "event", "query_id", "query_name", "report_id", "report_name", "workspace_id", "workspace_name",
        "timestamp",
    ],
    "query.updated": [
        "event", "query_id", "query_name", "report_id", "report_name", "workspace_id", "workspace_name",
        "timestamp",
    ],
    "query.deleted": [
        "event", "query_id", "report_id", "report_name", "workspace_id", "workspace_name", "timestamp",
    ],
    "query.run": [
        "event", "query_id", "query_name", "report_id", "report_name", "workspace_id", "workspace_name",
        "query_result", "timestamp",
    ],
}  # fmt: skip
"""The keys of the eight events, word for word and in the order of the documentation."""


def block(name: str, sql: str) -> dict[str, Any]:
    """Make a SQL block on the demo's flights."""
    return {"type": "sql", "name": name, "content": {"sql": sql, "database_id": 1}}


async def add(api: Api, report_id: int, **fields: Any) -> dict[str, Any]:
    """Add a block that must be accepted."""
    return read_result(await api.client.post("/api/v1/block/", json={"report_id": report_id, **fields}))


def read_events(api: Api, report_id: int) -> list[dict[str, Any]]:
    """Read what was put in the outbox about a report, the oldest first."""
    with api.parts.database.reading() as session:
        bodies = session.scalars(select(OutboxEvent.body).order_by(OutboxEvent.id))
        events = [json.loads(body) for body in bodies]
    return [event for event in events if event["report_id"] == report_id]


async def test_all_eight_events_have_the_documented_keys_in_the_documented_order(api: Api) -> None:
    report = await api.create_report(block("one", "SELECT 1 AS n"), description="What it is")
    path = f"/api/v1/report/{report['uid']}"
    added = await add(api, report["id"], **block("two", "SELECT 2 AS n"))
    await api.client.put(f"/api/v1/block/{added['uid']}", json={"name": "second"})
    alone = await api.run_block(added["uid"])
    await api.wait_for(f"/api/reports/{report['id']}/queries/{added['query_id']}/run/{alone}")
    await api.run_by_api(report["id"])
    await api.client.delete(f"/api/v1/block/{added['uid']}")
    await api.client.put(path, json={"name": "Renamed"})
    await api.client.delete(path)
    events = read_events(api, report["id"])
    assert [event["event"] for event in events] == [
        "report.created", "query.created", "query.updated", "query.run", "report.run", "query.deleted",
        "report.updated", "report.deleted",
    ]  # fmt: skip
    assert {event["event"]: list(event) for event in events} == DOCUMENTED
    assert events[0]["report_description"] == "What it is"
    assert events[2]["query_name"] == "second"
    assert events[-1]["report_name"] == "Renamed"
    assert all(event["workspace_name"] == "Main Workspace" for event in events)
    assert all(event["timestamp"].endswith("+00:00") and len(event["timestamp"]) == 25 for event in events)


async def test_what_changes_nothing_is_not_told(api: Api) -> None:
    report = await api.create_report(block("one", "SELECT 1 AS n"))
    uid = report["blocks"][0]["uid"]
    await api.client.put(f"/api/v1/report/{report['id']}", json={"name": "Made", "folder_id": 3})
    await api.client.put(
        f"/api/v1/block/{uid}", json={"content_json": json.dumps(block("", "SELECT 1 AS n")["content"])}
    )
    assert [event["event"] for event in read_events(api, report["id"])] == ["report.created"]


async def test_change_of_a_block_that_is_no_query_is_one_of_its_report(api: Api) -> None:
    report = await api.create_report()
    added = await add(api, report["id"], type="markdown", name="note", content={"text": "Hello"})
    assert (added["type"], json.loads(added["content_json"])) == ("text", {"text": "Hello"})
    await api.client.put(f"/api/v1/block/{added['uid']}", json={"content": {"text": "Bye"}})
    await api.client.delete(f"/api/v1/block/{added['uid']}")
    names = [event["event"] for event in read_events(api, report["id"])]
    assert names == ["report.created", *["report.updated"] * 3]


async def test_refused_change_is_neither_stored_nor_told(api: Api) -> None:
    report = await api.create_report(
        block("a", "SELECT 1 AS n"), block("b", "SELECT {{ a.data | length }} AS n")
    )
    uid = report["blocks"][0]["uid"]
    answer = await api.client.put(
        f"/api/v1/block/{uid}", json=block("a", "SELECT {{ b.data | length }} AS n")
    )
    assert answer.status_code == 422
    assert answer.json()["message"].startswith("blocks have circular references: ")
    assert {"a", "b"} <= set(answer.json()["message"].replace(".", " ").split())
    stored = (await api.client.get(f"/api/v1/block/{uid}")).json()["result"]
    assert json.loads(stored["content_json"])["sql"] == "SELECT 1 AS n"
    assert [event["event"] for event in read_events(api, report["id"])] == ["report.created"]


async def test_circle_is_refused_when_a_report_is_made_and_names_the_blocks(api: Api) -> None:
    before = (await api.client.get("/api/v1/report/")).json()["count"]
    blocks = [block(one, f"SELECT {{{{ {two}.data | length }}}} AS n") for one, two in ("xy", "yz", "zx")]
    answer = await api.client.post("/api/v1/report/", json={"name": "Circle", "blocks": blocks})
    assert answer.status_code == 422
    message = answer.json()["message"]
    assert all(f" {name}" in message for name in "xyz")
    assert (await api.client.get("/api/v1/report/")).json()["count"] == before


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ({"type": "sql", "name": "x", "content": {"sql": "SELECT 1"}}, "database_id"),
        ({"type": "sql", "name": "x", "content": {"sql": "SELECT 1", "database_id": 999}}, "no database"),
        ({"type": "sql", "name": "x", "content": {"sql": 1, "database_id": 1}}, "sql"),
        ({"type": "sql", "name": "x", "content": {"sql": "S", "database_id": 1, "limit": 0}}, "limit"),
        ({"type": "plotly", "name": "x", "content": {}}, "not supported"),
        ({"type": "text", "name": "x", "content_json": "[1]"}, "not a JSON object"),
        ({"type": "text", "name": "x", "content_json": "{"}, "not valid JSON"),
        ({"type": "text", "name": "x", "content_json": '{"text": "\\ud800"}'}, "does not support"),
        ({"type": "text", "name": "", "content": {"text": ""}}, "name"),
        ({"type": "text", "name": "a\x00b", "content": {"text": ""}}, "NUL"),
        ({"type": "parameter", "name": "x", "content": {"type": "color"}}, "type"),
        ({"type": "parameter", "name": "x", "content": {"type": "integer", "default": "x"}}, "default"),
        ({"type": "chart", "name": "x", "content": {"query": "q"}}, "Vega-Lite"),
        ({"type": "email", "name": "x", "content": {"subject": "s", "value": "v", "to_": "nobody"}}, "mail"),
        ({"type": "slack", "name": "x", "content": {"value_markdown": "v", "channels": []}}, "channels"),
    ],
)
async def test_block_that_its_type_cannot_use_is_refused_with_the_reason(
    api: Api, wanted: dict[str, Any], reason: str
) -> None:
    answer = await api.client.post("/api/v1/block/", json=wanted)
    assert answer.status_code == 422, answer.text
    assert reason in answer.json()["message"]


async def test_two_blocks_of_a_report_cannot_have_one_name(api: Api) -> None:
    report = await api.create_report(block("one", "SELECT 1 AS n"))
    again = await api.client.post(
        "/api/v1/block/", json={"report_id": report["uid"], **block("one", "SELECT 2 AS n")}
    )
    assert (again.status_code, "already has a block" in again.json()["message"]) == (422, True)


async def test_block_without_a_report_is_kept_and_runs(api: Api) -> None:
    answer = await api.client.post("/api/v1/block/", json=block("scratch", "SELECT 41 + 1 AS n"))
    row = answer.json()["result"]
    run = await api.run_block(row["uid"])
    url = f"/api/reports/{row['report_id']}/queries/{row['query_id']}/run/{run}"
    assert (await api.wait_for(url)).json()["data"] == [{"n": 42}]
    listed = (
        await api.client.get("/api/v1/block/", params={"q": "(filters:!((col:type,opr:eq,value:sql)))"})
    ).json()
    assert row["uid"] in [one["uid"] for one in listed["result"]]


async def test_content_json_replaces_the_content_for_one_run_only(api: Api) -> None:
    report = await api.create_report(block("q", "SELECT 1 AS n"))
    made = report["blocks"][0]
    wanted = json.dumps({"sql": "SELECT {{ v }} AS n"})
    run = await api.run_block(made["uid"], content_json=wanted, parameters={"v": 7})
    url = f"/api/reports/{report['id']}/queries/{made['query_id']}/run/"
    assert (await api.wait_for(f"{url}{run}")).json()["data"] == [{"n": 7}]
    run = await api.run_block(made["uid"])
    assert (await api.wait_for(f"{url}{run}")).json()["data"] == [{"n": 1}]
    refused = await api.client.post(
        f"/api/v1/block/{made['uid']}/run", json={"content_json": '{"database_id": 999}'}
    )
    assert refused.status_code == 422


async def test_block_that_several_delete_at_once_is_deleted_once(api: Api) -> None:
    report = await api.create_report({"type": "text", "name": "note", "content": {"text": "x"}})
    blocks = (await api.client.get(f"/api/v1/report/{report['id']}")).json()["result"]["blocks"]
    path = f"/api/v1/block/{blocks[0]['id']}"
    answers = await asyncio.gather(*(api.client.delete(path) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200, *[404] * 7]


async def test_results_of_a_block_are_listed_newest_first(api: Api) -> None:
    report = await api.create_report(block("q", "SELECT 1 AS n"))
    made, path = report["blocks"][0], f"/api/v1/block/{report['blocks'][0]['uid']}/results/"
    assert (await api.client.get(path + "last_result")).json() == {"result": None, "last_results": []}
    run = (await api.run_by_api(report["id"]))["run_id"]
    alone = await api.run_block(made["uid"])
    await api.wait_for(f"/api/reports/{report['id']}/queries/{made['query_id']}/run/{alone}")
    rows = (await api.client.get(path)).json()["result"]
    assert [(row["run_id"], row["report_run_id"], row["row_count"]) for row in rows] == [
        (alone, None, 1),
        (None, run, 1),
    ]
    assert (await api.client.get(rows[0]["query_result"])).json()["data"] == [{"n": 1}]
    assert (await api.client.get(f"{path}{rows[1]['id']}")).json()["result"] == rows[1]
    last = (await api.client.get(path + "last_result")).json()
    assert (last["result"], last["last_results"]) == (rows[0], rows[1:])
    assert (await api.client.get(path + "999999")).status_code == 404


async def test_deleted_report_is_gone_with_its_blocks_runs_and_results(api: Api) -> None:
    report = await api.create_report(block("q", "SELECT 1 AS n"))
    run = (await api.run_by_api(report["id"]))["run_id"]
    assert (await api.client.delete(f"/api/v1/report/{report['uid']}")).json() == {"message": "OK"}
    for path in (
        f"/api/v1/report/{report['id']}",
        f"/api/v1/block/{report['blocks'][0]['uid']}",
        f"/api/v1/noteflow_run/{run}",
        f"/api/reports/{report['id']}/run/{run}",
    ):
        assert (await api.client.get(path)).status_code == 404


CONFIG = """\
name: By document
description: |
  Two
  lines
blocks:
- name: since
  type: parameter
  content: {type: date, default: 2013-01-01}
- name: flights
  type: sql
  content:
    database: flights
    sql: SELECT count(*) AS n FROM flights WHERE day >= CAST({{ since }} AS DATE)
"""
TEXT = {"Content-Type": "text/plain; charset=utf-8"}


async def test_report_is_made_by_yaml_runs_and_is_written_as_the_yaml_that_makes_it(api: Api) -> None:
    report = read_result(await api.client.post("/api/v1/report/config", content=CONFIG, headers=TEXT))
    outputs = await api.run_by_api(report["id"])
    assert await api.fetch_rows(outputs, "flights") == [{"n": 336776}]
    written = await api.client.get(f"/api/v1/report/{report['uid']}/config")
    assert written.headers["content-type"] == "text/plain; charset=utf-8"
    assert "database: flights" in written.text
    path = f"/api/v1/report/{report['uid']}/config"
    same = (await api.client.put(path, params={"dry_run": "true"}, content=written.text, headers=TEXT)).json()
    assert (same["result"]["would_change"], same["result"]["yaml_diff"]) == (False, "")
    duplicate = (await api.client.post("/api/v1/report/config", content=CONFIG, headers=TEXT)).json()
    assert duplicate["result"]["warning_duplicate_uids"] == [report["uid"]]


async def test_put_of_yaml_prunes_and_dry_run_changes_nothing(api: Api) -> None:
    report = (await api.client.post("/api/v1/report/config", content=CONFIG, headers=TEXT)).json()["result"]
    path = f"/api/v1/report/{report['uid']}/config"
    other = "name: Renamed\nblocks:\n- {name: note, type: text, content: {text: Hi}}\n"
    tried = (await api.client.put(path, params={"dry_run": "true"}, content=other, headers=TEXT)).json()[
        "result"
    ]
    assert tried["would_change"] is True
    assert tried["summary"] == {
        "blocks_created": ["note"],
        "blocks_updated": [],
        "blocks_deleted": ["since", "flights"],
    }
    assert "+name: Renamed" in tried["yaml_diff"]
    assert (await api.client.get(f"/api/v1/report/{report['uid']}")).json()["result"]["name"] == "By document"
    assert [event["event"] for event in read_events(api, report["id"])] == ["report.created"]
    kept = (await api.client.put(path, params={"prune": "false"}, content=other, headers=TEXT)).json()[
        "result"
    ]
    assert [one["name"] for one in kept["blocks"]] == ["note", "since", "flights"]
    pruned = (await api.client.put(path, content=other, headers=TEXT)).json()["result"]
    assert [one["name"] for one in pruned["blocks"]] == ["note"]
    assert pruned["blocks"][0]["uid"] == kept["blocks"][0]["uid"]
    names = [event["event"] for event in read_events(api, report["id"])]
    assert names == ["report.created", "report.updated", "report.updated"]


@pytest.mark.parametrize(
    "document",
    [
        "",
        "[]",
        "name: x\nblocks: 3",
        "name: [",
        "blocks: []",
        "name: x\nblocks: [{name: a, type: nope, content: {}}]",
        "name: !!python/object/apply:os.system [ls]",
        "[" * 3000,
        b"\xff\xfe",
    ],
)
async def test_document_that_is_no_report_is_refused(api: Api, document: str | bytes) -> None:
    answer = await api.client.post("/api/v1/report/config", content=document, headers=TEXT)
    assert answer.status_code == 422, answer.text
    assert isinstance(answer.json()["message"], str)


async def test_all_results_are_deleted_with_the_report(api: Api) -> None:
    made = api.make_report(q=sql("SELECT 1 AS n"))
    outputs = await api.run(made.id)
    folder = api.parts.settings.results_dir / f"run-{outputs['run_id']}"
    assert list(folder.glob("*.parquet"))
    (folder / "of-a-dead-worker.parquet").write_bytes(b"")
    assert (await api.client.delete(f"/api/v1/report/{made.id}")).is_success
    await until(lambda: not folder.exists())
