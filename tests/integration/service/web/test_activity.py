"""What pages show beside the API: the progress of blocks, and the last and next runs of reports."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_pushmetrics.service.models import Block, BlockResult, Report, Run
from airflow_provider_pushmetrics.service.runs.execution.progress import list_progress
from airflow_provider_pushmetrics.service.storage.clock import get_now
from tests.fakes.service_reports import ENDLESS, sql
from tests.fakes.waiting import until_async
from tests.integration.service.api.test_lists import record_statements
from tests.integration.service.conftest import Api, read_accepted, read_result

DAILY = {"recurrence": "daily", "time_zone": "UTC", "first_start": "2099-01-01T06:30:00Z"}


async def read_blocks(api: Api, run_id: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = read_accepted(await api.client.get(f"/app/activity/run/{run_id}"))["result"]
    return rows


async def read_reports(api: Api, *reports: int) -> list[dict[str, Any]]:
    answer = await api.client.get("/app/activity/reports", params={"report": list(reports)})
    rows: list[dict[str, Any]] = read_accepted(answer)["result"]
    return rows


async def test_block_that_ended_has_its_state_and_its_times(api: Api) -> None:
    report = await api.create_report(
        {"type": "parameter", "name": "top", "content": {"default": 1}},
        {"type": "text", "name": "words", "content": {"text": "{{ top }}"}},
        {"type": "sql", "name": "typo", "content": {"database_id": 1, "sql": "SELECT no_such_column"}},
        {"type": "text", "name": "after", "content": {"text": "{{ typo.data }}"}},
    )
    outputs = await api.run_by_api(report["id"])
    rows = await read_blocks(api, outputs["run_id"])
    assert [(row["name"], row["status"]) for row in rows] == [
        ("top", "success"), ("words", "success"), ("typo", "failed"), ("after", "not_run"),
    ]  # fmt: skip
    assert [row["started_on"] is None for row in rows] == [False, False, False, True]
    assert "did not succeed" in rows[3]["error"]
    assert (await api.client.get("/app/activity/run/999999")).status_code == 404


async def test_truncated_result_is_known_as_such_before_its_run_has_ended(api: Api) -> None:
    query = {"database_id": 1, "sql": "SELECT * FROM range(9)", "limit": 3}
    report = await api.create_report({"type": "sql", "name": "rows", "content": query})
    outputs = await api.run_by_api(report["id"])
    (row,) = await read_blocks(api, outputs["run_id"])
    assert (row["row_count"], row["max_rows"], row["is_truncated"]) == (3, 3, True)


async def find_running(api: Api, run_id: int) -> list[dict[str, Any]] | None:
    rows = await read_blocks(api, run_id)
    return rows if rows[1]["status"] == "running" else None


def add_run(api: Api, report_id: int, *recorded: str) -> list[tuple[str, str, bool]]:
    """Add a run that is being executed, with these blocks recorded; give its progress, and remove it."""
    now = get_now()
    with api.parts.database.writing() as session:
        run = Run(
            workspace_id=1, report_id=report_id, status="running", origin="api", given_parameters={},
            parameters={}, started_on=now, worker_id="another", flow_run_id=None,
        )  # fmt: skip
        session.add(run)
        for block in session.get_one(Report, report_id).blocks:
            if block.name in recorded:
                run.results.append(make_result(block))
        session.flush()
        rows = list_progress(session, run)
        session.delete(run)
    return [(row.name, row.status, row.started_on is not None) for row in rows]


def make_result(block: Block) -> BlockResult:
    now = get_now()
    return BlockResult(
        block_id=block.id, block_uid=block.uid, position=block.position, name=block.name, type=block.type,
        status="success", started_on=now, finished_on=now,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("recorded", "running"),
    [
        ((), ["a", "b", "c", "d"]),
        (("b",), ["a", "c", "d", "e"]),
        (("a", "b", "c", "d"), ["e"]),
        (("a", "b", "c", "d", "e"), ["last"]),
    ],
)
async def test_blocks_of_the_first_wave_that_is_not_complete_are_running(
    api: Api, recorded: tuple[str, ...], running: list[str]
) -> None:
    report = await api.create_report(
        *({"type": "text", "name": name, "content": {"text": name}} for name in "abcde"),
        {"type": "text", "name": "last", "content": {"text": "{{ a }} {{ e }}"}},
    )
    rows = add_run(api, report["id"], *recorded)
    assert [name for name, status, _ in rows] == [*"abcde", "last"]
    assert [name for name, status, _ in rows if status == "running"] == running
    assert all(has_start for _, status, has_start in rows if status == "running")
    assert not any(has_start for _, status, has_start in rows if status == "pending")


async def test_running_run_is_shown_after_its_parameter_was_given_another_type(api: Api) -> None:
    made = api.make_report(
        top=("parameter", {"type": "text", "default": "many"}), endless=sql(f"{ENDLESS} /* {{{{ top }}}} */")
    )
    started = await api.client.post(f"/api/v1/report/{made.id}/run/noteflow", json={})
    run_id = read_accepted(started)["result"]["run_id"]
    rows = await until_async(lambda: find_running(api, run_id), "the query to begin")
    changed = {"content": {"type": "integer", "default": 3}}
    read_accepted(await api.client.put(f"/api/v1/block/{made.blocks['top']}", json=changed))
    assert await read_blocks(api, run_id) == rows
    read_accepted(await api.client.post(f"/api/v1/noteflow_run/{run_id}/cancel"))


async def test_report_has_its_last_ten_runs_and_its_next_scheduled_one(api: Api) -> None:
    report = await api.create_report({"type": "text", "name": "words", "content": {"text": "x"}})
    other = await api.create_report()
    assert await read_reports(api, other["id"]) == [
        {"report_id": other["id"], "runs": [], "next_run_on": None}
    ]
    runs = [(await api.run_by_api(report["id"]))["run_id"] for _ in range(11)]
    schedule = {"name": "daily", "report_id": report["id"], "active": True, **DAILY}
    made = read_result(await api.client.post("/api/v1/schedule/", json=schedule))
    found, _ = await read_reports(api, report["id"], other["id"])
    assert [run["id"] for run in found["runs"]] == runs[:0:-1]
    assert {run["status"] for run in found["runs"]} == {"success"}
    assert all(0 <= run["duration_ms"] < 600_000 for run in found["runs"])
    assert found["next_run_on"] == made["next_run_on"]
    read_accepted(await api.client.post(f"/api/v1/schedule/{made['id']}/pause"))
    assert (await read_reports(api, report["id"]))[0]["next_run_on"] is None


async def test_activity_of_many_reports_takes_as_many_statements_as_that_of_one(api: Api) -> None:
    reports = [(await api.create_report())["id"] for _ in range(20)]
    for report in reports[:3]:
        await api.run_by_api(report)
    counts = []
    for wanted in (reports[:1], reports):
        with record_statements(api.parts.database) as statements:
            assert len(await read_reports(api, *wanted)) == len(wanted)
        counts.append(len(statements))
    assert counts[0] == counts[1]
    if api.parts.database.engine.dialect.name == "sqlite":
        (statement, values), *_ = (one for one in statements if "FROM run" in one[0])
        with api.parts.database.engine.connect() as connection:
            plan = [
                row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
            ]
        searches = [line for line in plan if "run" in line.split() and "SEARCH" in line]
        assert len(searches) == len(reports)
        assert all("ix_run_report_id_list" in line for line in searches)
        assert not any(line.startswith("SCAN run") for line in plan)
    too_many = await api.client.get("/app/activity/reports", params={"report": list(range(1, 102))})
    assert too_many.status_code == 400
