"""The run of a block by itself can be cancelled, and is deleted with its block."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tests.fakes.service_reports import ENDLESS, sql, text
from tests.fakes.service_subscriber import Subscriber
from tests.fakes.waiting import until, until_async
from tests.integration.service.conftest import Api


async def wait_for_status(api: Api, uid: str, status: str) -> dict[str, Any]:
    async def find() -> dict[str, Any] | None:
        row: dict[str, Any] = (await api.client.get(f"/api/v1/block/{uid}/results/")).json()["result"][0]
        return row if row["status"] == status else None

    return await until_async(find, status)


async def test_running_query_is_interrupted_in_time(api: Api, subscriber: Subscriber) -> None:
    made = api.make_report(endless=sql(ENDLESS))
    await api.subscribe(subscriber.url, "query.run")
    uid, result = made.blocks["endless"], f"/api/reports/{made.id}/queries/{made.queries['endless']}/run"
    run_id = await api.run_block(uid)
    await wait_for_status(api, uid, "running")
    assert (await api.client.get(f"{result}/{run_id}")).status_code == 202
    answer = await api.client.post(f"/api/v1/block/{uid}/run/{run_id}/cancel")
    assert answer.json() == {"run_id": run_id, "status": "cancelled"}
    again = await api.client.post(f"/api/v1/block/{uid}/run/{run_id}/cancel")
    assert again.status_code == 200
    await until(lambda: not is_executed(), "the end of a query that takes hours")
    row = await wait_for_status(api, uid, "not_run")
    assert (row["run_id"], "cancelled" in row["error"]) == (run_id, True)
    ended = await api.client.get(f"{result}/{run_id}")
    assert ended.json()["status"] == "not_run"
    assert subscriber.wait_for_run("query.run", run_id).event["query_name"] == "endless"


def is_executed() -> bool:
    """Return whether the worker, which is in this process, executes the run of a block."""
    return any(thread.name.startswith("query_run-") for thread in threading.enumerate())


async def test_run_that_has_ended_is_not_cancelled(api: Api) -> None:
    made = api.make_report(note=text("hello"))
    run_id = await api.run_block(made.blocks["note"])
    await wait_for_status(api, made.blocks["note"], "success")
    await until(lambda: not is_executed(), "the end of the run, after that of its block")
    answer = await api.client.post(f"/api/v1/block/{made.blocks['note']}/run/{run_id}/cancel")
    assert (answer.status_code, answer.json()["message"]) == (409, "The run has ended: success")


async def test_run_of_another_block_is_not_found(api: Api) -> None:
    made = api.make_report(note=text("hello"), other=text("hello"))
    run_id = await api.run_block(made.blocks["note"])
    for wrong in (run_id + 1000, 2**40, "x"):
        answer = await api.client.post(f"/api/v1/block/{made.blocks['note']}/run/{wrong}/cancel")
        assert answer.status_code == 404
    answer = await api.client.post(f"/api/v1/block/{made.blocks['other']}/run/{run_id}/cancel")
    assert answer.status_code == 404


@pytest.mark.slow
@pytest.mark.parametrize("way", ["block", "config"])
async def test_results_of_a_block_are_deleted_with_it(api: Api, way: str) -> None:
    made = api.make_report(kept=sql("SELECT 1 AS n"), gone=sql("SELECT 2 AS n"))
    folders = []
    for name, uid in made.blocks.items():
        run_id = await api.run_block(uid)
        await api.wait_for(f"/api/reports/{made.id}/queries/{made.queries[name]}/run/{run_id}")
        folders.append(api.parts.settings.results_dir / f"query-run-{run_id}")
    assert all(list(folder.glob("*.parquet")) for folder in folders)
    if way == "block":
        answer = await api.client.delete(f"/api/v1/block/{made.blocks['gone']}")
    else:
        path = f"/api/v1/report/{made.id}/config"
        document = (
            "name: Pruned\nblocks:\n- {name: kept, type: sql, content: {database_id: 1, sql: SELECT 1 AS n},"
            f" uid: {made.blocks['kept']}}}\n"
        )
        assert (await api.client.put(path, content=document, params={"dry_run": "true"})).is_success
        assert folders[1].exists()
        answer = await api.client.put(path, content=document)
    assert answer.is_success, answer.text
    await until(lambda: not folders[1].exists())
    assert folders[0].exists()
