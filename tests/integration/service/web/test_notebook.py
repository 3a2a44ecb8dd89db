"""What the page of a report shows beside its blocks: references, newest results, and what runs now."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, insert, select, update
from sqlalchemy import text as sql_text

from airflow_provider_pushmetrics.service.app import build_app
from airflow_provider_pushmetrics.service.models import Block, BlockResult, Run, StandaloneQueryRun
from airflow_provider_pushmetrics.service.storage.clock import get_now
from airflow_provider_pushmetrics.service.storage.database import Database
from tests.fakes.service_reports import text
from tests.integration.service.api.test_lists import record_statements
from tests.integration.service.conftest import Api, open_client, read_accepted, read_result, run_parts

REGION = {"type": "parameter", "name": "region", "content": {"type": "text", "default": "EMEA"}}
BASE = {"type": "sql", "name": "base", "content": {"database_id": 1, "sql": "SELECT {{ region }} AS region"}}
TOP = {"type": "sql", "name": "top", "content": {"database_id": 1, "sql": "SELECT * FROM ({{ base }})"}}
WORDS_OF_ANY_TOP = {
    "type": "text", "name": "words", "content": {"text": "{{ top | default('none') }}"},
}  # fmt: skip
WORDS = {"type": "text", "name": "words", "content": {"text": "{{ top.data | length }} rows"}}

MANY = 3000
"""Runs that have ended, so that PostgreSQL does not prefer to read the whole table."""


async def read_notebook(api: Api, report: dict[str, Any]) -> dict[str, Any]:
    return read_result(await api.client.get(f"/app/notebook/{report['uid']}"))


async def read_changed(api: Api, report: dict[str, Any]) -> dict[str, list[str]]:
    """The blocks that were changed since the newest results, by the name of the block with the result."""
    state = await read_notebook(api, report)
    names = {one["uid"]: one["name"] for one in state["references"]["blocks"]}
    return {names[one["block_uid"]]: one["changed"] for one in state["results"]}


def find_uid(report: dict[str, Any], name: str) -> str:
    return str(next(block["uid"] for block in report["blocks"] if block["name"] == name))


async def change(api: Api, report: dict[str, Any], name: str, content: dict[str, Any]) -> None:
    read_accepted(await api.client.put(f"/api/v1/block/{find_uid(report, name)}", json={"content": content}))


async def run_alone(api: Api, report: dict[str, Any], name: str, **body: Any) -> int:
    uid = find_uid(report, name)
    run_id = await api.run_block(uid, **body)
    while (await read_notebook(api, report))["unfinished"]:
        pass
    return run_id


async def test_references_lead_from_each_block_to_those_that_it_uses(api: Api) -> None:
    report = await api.create_report(REGION, BASE, TOP, WORDS)
    references = (await read_notebook(api, report))["references"]
    assert {one["name"]: one["uses"] for one in references["blocks"]} == {
        "region": [], "base": ["region"], "top": ["base"], "words": ["top"],
    }  # fmt: skip
    assert {one["name"]: one["upstream"] for one in references["blocks"]}["words"] == [
        "base", "region", "top",
    ]  # fmt: skip
    assert references["circle"] == []


async def test_circle_and_unknown_names_are_found_in_what_is_not_saved(api: Api) -> None:
    report = await api.create_report(REGION, BASE, TOP, WORDS)
    typed = {"uid": find_uid(report, "base"), "type": "sql", "name": "base"}
    new = {"uid": "new", "type": "text", "name": "new", "content": {"text": "{{ nowhere }} {{ top.data }}"}}
    body = {"blocks": [{**typed, "content": {"sql": "SELECT {{ words }}"}}, new]}
    path = f"/app/notebook/{report['uid']}/references"
    found = read_result(await api.client.post(path, json=body))
    assert set(found["circle"]) == {"base", "top", "words"}
    by_uid = {one["uid"]: one for one in found["blocks"]}
    assert (by_uid["new"]["uses"], by_uid["new"]["unknown"]) == (["top"], ["nowhere"])
    assert (await read_notebook(api, report))["references"]["circle"] == []
    broken = {"blocks": [{**typed, "content": {"sql": "SELECT {{ "}}]}
    assert read_result(await api.client.post(path, json=broken))["circle"] == []
    strange = {"blocks": [{**typed, "type": "magic", "content": {}}]}
    assert (await api.client.post(path, json=strange)).status_code == 422
    mail = {"uid": "mail", "type": "email", "name": "mail", "content": {"attachments": ["base"]}}
    choices = {"uid": "p", "type": "parameter", "name": "p", "content": {"choices": {"sql": 1}}}
    assert (await api.client.post(path, json={"blocks": [mail, choices]})).status_code == 200


async def test_saved_block_is_found_beside_one_that_is_being_written_with_its_name(api: Api) -> None:
    report = await api.create_report(REGION, BASE, TOP, WORDS)
    path = f"/app/notebook/{report['uid']}/references"
    new = {"uid": "new", "type": "text", "name": "top", "content": {"text": "two"}}
    renamed = {"uid": find_uid(report, "words"), "type": "text", "name": "base", "content": {"text": "two"}}
    for typed, missing in ((new, "new"), (renamed, renamed["uid"])):
        found = read_result(await api.client.post(path, json={"blocks": [typed]}))["blocks"]
        by_uid = {one["uid"]: one for one in found}
        assert by_uid[find_uid(report, "top")]["upstream"] == ["base", "region"]
        assert missing not in by_uid


async def test_newest_result_is_that_of_the_newest_run_of_any_kind(api: Api) -> None:
    report = await api.create_report(REGION, BASE, TOP, WORDS)
    assert (await read_notebook(api, report))["results"] == []
    outputs = await api.run_by_api(report["id"], parameters={"region": "APAC"})
    results = {one["block_uid"]: one for one in (await read_notebook(api, report))["results"]}
    assert {(one["kind"], one["run_id"]) for one in results.values()} == {("run", outputs["run_id"])}
    assert results[find_uid(report, "words")]["output"] == "1 rows"
    assert results[find_uid(report, "top")]["parameters"] == {"region": "APAC"}
    assert await read_changed(api, report) == {"region": [], "base": [], "top": [], "words": []}

    alone = await run_alone(api, report, "words")
    results = {one["block_uid"]: one for one in (await read_notebook(api, report))["results"]}
    assert [results[find_uid(report, name)]["kind"] for name in ("words", "top", "base")] == [
        "block_run", "block_run", "run",
    ]  # fmt: skip
    assert results[find_uid(report, "words")]["run_id"] == alone


async def test_changed_block_makes_its_own_result_and_those_that_use_it_old(api: Api) -> None:
    report = await api.create_report(REGION, BASE, TOP, WORDS)
    await api.run_by_api(report["id"])
    await change(api, report, "base", {"database_id": 1, "sql": "SELECT {{ region }} AS other"})
    assert await read_changed(api, report) == {
        "region": [], "base": ["base"], "top": ["base"], "words": ["base"],
    }  # fmt: skip
    await change(api, report, "base", BASE["content"])  # type: ignore[arg-type]
    assert await read_changed(api, report) == {"region": [], "base": [], "top": [], "words": []}
    await change(api, report, "region", {"type": "text", "default": "APAC"})
    assert (await read_changed(api, report))["words"] == ["region"]


async def test_query_of_which_only_the_text_is_used_counts_also_where_the_block_ran_alone(api: Api) -> None:
    report = await api.create_report(REGION, BASE, TOP, WORDS)
    await run_alone(api, report, "top")
    assert (await read_changed(api, report))["top"] == []
    await api.client.post("/api/v1/block/", json={**WORDS, "report_id": report["id"], "name": "unrelated"})
    assert (await read_changed(api, report))["top"] == []
    await change(api, report, "base", {"database_id": 1, "sql": "SELECT 'changed' AS region"})
    assert (await read_changed(api, report))["top"] == ["base"]


@pytest.mark.parametrize("ahead", [timedelta(hours=1), timedelta(hours=-1)])
async def test_clock_of_a_worker_does_not_decide_what_was_changed_since(api: Api, ahead: timedelta) -> None:
    report = await api.create_report(REGION, BASE, TOP, WORDS)
    await run_alone(api, report, "top")
    with api.parts.database.writing() as session:
        for result in session.scalars(select(BlockResult)):
            result.started_on = result.started_on and result.started_on + ahead
            result.finished_on = result.finished_on and result.finished_on + ahead
    assert (await read_changed(api, report))["top"] == []
    await change(api, report, "base", {"database_id": 1, "sql": "SELECT 'changed' AS region"})
    assert (await read_changed(api, report))["top"] == ["base"]


async def test_query_that_is_added_makes_results_old_that_could_have_used_it(api: Api) -> None:
    report = await api.create_report(REGION, WORDS_OF_ANY_TOP)
    await api.run_by_api(report["id"])
    assert (await read_changed(api, report))["words"] == []
    added = {**TOP, "content": {"database_id": 1, "sql": "SELECT 1 AS n"}, "report_id": report["id"]}
    read_accepted(await api.client.post("/api/v1/block/", json=added))
    assert (await read_changed(api, report))["words"] == ["top"]


async def read_gone(api: Api, report: dict[str, Any]) -> dict[str, list[str]]:
    """The blocks that newest results used and that are gone, by the name of the block with the result."""
    state = await read_notebook(api, report)
    return {one["name"]: one["gone"] for one in state["results"] if one["gone"]}


@pytest.mark.parametrize("way", ["renamed", "deleted"])
@pytest.mark.parametrize("runs_alone", [False, True])
async def test_block_that_is_renamed_or_deleted_makes_results_old_that_used_it(
    api: Api, way: str, runs_alone: bool
) -> None:
    optional = {**WORDS_OF_ANY_TOP, "name": "optional", "content": {"text": "{{ top.data | default('-') }}"}}
    report = await api.create_report(REGION, BASE, TOP, WORDS, optional)
    if runs_alone:
        for name in ("words", "optional"):
            await run_alone(api, report, name)
    else:
        await api.run_by_api(report["id"])
    assert await read_gone(api, report) == {}
    path = f"/api/v1/block/{find_uid(report, 'top')}"
    if way == "renamed":
        read_accepted(await api.client.put(path, json={"name": "other"}))
    else:
        read_accepted(await api.client.delete(path))
    assert await read_gone(api, report) == {"words": ["top"], "optional": ["top"]}
    if way == "renamed":
        read_accepted(await api.client.put(path, json={"name": "top"}))
        assert await read_gone(api, report) == {}


@pytest.mark.parametrize("runs_alone", [False, True])
async def test_query_of_which_only_the_text_was_used_is_missed_when_it_is_deleted(
    api: Api, runs_alone: bool
) -> None:
    report = await api.create_report(REGION, BASE, TOP, WORDS)
    if runs_alone:
        await run_alone(api, report, "words")
    else:
        await api.run_by_api(report["id"])
    read_accepted(await api.client.delete(f"/api/v1/block/{find_uid(report, 'base')}"))
    gone = await read_gone(api, report)
    assert (gone["words"], gone["top"]) == (["base"], ["base"])


async def test_name_that_was_never_one_of_a_block_is_not_said_to_be_gone(api: Api) -> None:
    words = {
        "type": "text",
        "name": "words",
        "content": {"text": "{% if region == 'X' %}{{ never }}{% endif %}{{ own }}"},
    }
    report = await api.create_report(REGION, words)
    await run_alone(api, report, "words", parameters={"own": "given"})
    await api.run_by_api(report["id"], parameters={"own": "given"})
    await change(api, report, "region", {"type": "text", "default": "APAC"})
    assert await read_gone(api, report) == {}


async def test_result_of_text_that_is_not_saved_is_not_one_of_the_saved_block(api: Api) -> None:
    report = await api.create_report(REGION, BASE)
    await run_alone(api, report, "base", content_json={"sql": "SELECT 'typed' AS region"})
    assert (await read_changed(api, report))["base"] == ["base"]
    await change(api, report, "base", {"database_id": 1, "sql": "SELECT 'typed' AS region"})
    assert (await read_changed(api, report))["base"] == []


async def test_run_that_ends_after_a_newer_one_does_not_replace_its_result(api: Api) -> None:
    report = await api.create_report(REGION, BASE)
    first, second = await run_alone(api, report, "base"), await run_alone(api, report, "base")
    with api.parts.database.writing() as session:  # as if the first had taken longer
        late = session.scalars(select(BlockResult).where(BlockResult.query_run_id == first)).all()
        last = max(session.scalars(select(BlockResult.id)))
        for place, result in enumerate(late, 1):
            result.id = last + place
    results = (await read_notebook(api, report))["results"]
    assert [one["run_id"] for one in results] == [second, second]


async def test_state_of_many_blocks_takes_as_many_statements_as_that_of_one(api: Api) -> None:
    counts = []
    for number in (1, 60):
        texts = ({"type": "text", "name": f"t{place}", "content": {"text": "x"}} for place in range(number))
        report = await api.create_report(*texts)
        await api.run_by_api(report["id"])
        with record_statements(api.parts.database) as statements:
            assert len((await read_notebook(api, report))["results"]) == number
        counts.append(len(statements))
    assert counts[0] == counts[1]


async def test_notebook_of_another_workspace_is_not_found(api: Api) -> None:
    assert (await api.client.get("/app/notebook/999999")).status_code == 404
    answer = await api.client.post("/app/notebook/999999/references", json={"blocks": []})
    assert answer.status_code == 404


def list_plans(api: Api, statements: list[tuple[str, Any]], table: str) -> list[str]:
    """Give the plans of the statements that look for unfinished rows of a table."""
    found = []
    is_sqlite = api.parts.database.engine.dialect.name == "sqlite"
    with api.parts.database.engine.connect() as connection:
        for statement, values in statements:
            if f"FROM {table}" in statement and "finished_on IS NULL" in statement:
                explain = "EXPLAIN QUERY PLAN" if is_sqlite else "EXPLAIN"
                rows = connection.exec_driver_sql(f"{explain} {statement}", values)
                found.append("\n".join(str(row[-1]) for row in rows))
    return found


async def test_unfinished_runs_are_found_by_their_indexes_among_many_finished_ones(api: Api) -> None:
    """Pages read this whenever any run begins or ends, so that it must not read all finished ones."""
    made = api.make_report(words=text("x"))
    now = get_now()
    same = {"workspace_id": 1, "report_id": made.id, "status": "success", "given_parameters": {}}
    ended = {**same, "parameters": {}, "origin": "api", "started_on": now, "finished_on": now}
    with api.parts.database.writing() as session:
        block_id = session.scalars(select(Block.id).where(Block.report_id == made.id)).one()
        session.execute(insert(Run), [ended] * MANY)
        session.execute(insert(StandaloneQueryRun), [{**ended, "block_id": block_id}] * MANY)
    if api.parts.database.engine.dialect.name != "sqlite":
        with api.parts.database.writing() as session:
            session.execute(sql_text("ANALYZE"))
    with record_statements(api.parts.database) as statements:
        read_result(await api.client.get(f"/app/notebook/{made.id}"))
    for table in ("run", "query_run"):
        (plan,) = list_plans(api, statements, table)
        assert f"ix_{table}_waiting" in plan
        assert f"ix_{table}_claimed" in plan


async def test_chart_is_without_its_rows_which_its_page_reads_once(api: Api) -> None:
    spec = {"mark": "bar", "encoding": {"x": {"field": "word"}}}
    report = await api.create_report(
        {"type": "sql", "name": "q", "content": {"database_id": 1, "sql": "SELECT 'a-row' AS word"}},
        {"type": "chart", "name": "bars", "content": {"query": "q", "spec": spec}},
        {"type": "text", "name": "words", "content": {"text": "said"}},
    )
    run_id = (await api.run_by_api(report["id"]))["run_id"]
    with record_statements(api.parts.database) as statements:
        state = await read_notebook(api, report)
    results = {one["name"]: one for one in state["results"]}
    assert {name: one["output"] for name, one in results.items()} == {
        "q": None, "bars": None, "words": "said",
    }  # fmt: skip
    assert results["bars"]["status"] == "success"
    assert "a-row" not in str(state)
    (values,) = (
        values for statement, values in statements if re.search(r"block_result\.output\b", statement)
    )
    with api.parts.database.reading() as session:
        chart = select(BlockResult.id).where(BlockResult.run_id == run_id, BlockResult.type == "chart")
        assert session.scalars(chart).one() not in (values.values() if isinstance(values, dict) else values)
    path = f"/app/results/run/{run_id}/{find_uid(report, 'bars')}/chart.json"
    assert "a-row" in (await api.client.get(path)).text


@pytest.fixture
async def idle(tmp_path: Path, database_url: str | None) -> AsyncIterator[Api]:
    """Give a service without a worker."""
    with run_parts(tmp_path, database_url=database_url, executes=False) as parts:
        async with open_client(build_app(parts)) as client:
            yield Api(client, parts)


async def test_block_that_a_worker_executes_is_running_also_when_a_newer_run_waits(idle: Api) -> None:
    made = idle.make_report(words=text("x"), last=text("{{ words }}"))
    for _ in range(2):
        await idle.trigger(made.id)
    with idle.parts.database.writing() as session:
        older, newer = session.scalars(select(Run).order_by(Run.id)).all()
        older.status, older.started_on, older.worker_id = "running", get_now(), "another"
        ids = (older.id, newer.id)
    unfinished = read_result(await idle.client.get(f"/app/notebook/{made.id}"))["unfinished"]
    shown = {one["block_uid"]: (one["run_id"], one["status"]) for one in unfinished}  # the last one counts
    assert shown == {made.blocks["words"]: (ids[0], "running"), made.blocks["last"]: (ids[0], "pending")}
    assert {one["run_id"] for one in unfinished} == set(ids)


@pytest.mark.parametrize(("kind", "way"), [(Run, "run"), (StandaloneQueryRun, "block_run")])
async def test_run_that_a_worker_gives_back_meanwhile_is_shown(
    idle: Api, kind: type[Run | StandaloneQueryRun], way: str
) -> None:
    """A page takes a run that it does not find for one that has ended."""
    made, database = idle.make_report(words=text("x")), idle.parts.database
    run_id = await (idle.trigger(made.id) if kind is Run else idle.run_block(made.blocks["words"]))
    with database.writing() as session:
        session.execute(update(kind).values(worker_id="another", status="running", started_on=get_now()))
    other = Database(database.url)

    @event.listens_for(database.engine, "after_cursor_execute")
    def give_back(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if f"FROM {kind.__tablename__}" in statement and "worker_id IS NULL" in statement:
            with other.writing() as session:
                session.execute(update(kind).values(worker_id=None))

    unfinished = read_result(await idle.client.get(f"/app/notebook/{made.id}"))["unfinished"]
    assert [(one["kind"], one["run_id"]) for one in unfinished] == [(way, run_id)]
    other.close()
