"""What a page shows of one block: its rows, a file of them, and its chart."""

from __future__ import annotations

import io
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.fakes.service_reports import sql
from tests.integration.service.conftest import Api


async def run_blocks(api: Api, **blocks: tuple[str, dict[str, Any]]) -> tuple[dict[str, str], int]:
    """Run a report of these blocks; give their uids, and the run."""
    made = api.make_report(**blocks)
    outputs = await api.run(made.id)
    return made.blocks, outputs["run_id"]


async def test_rows_come_by_pages_and_whole_as_a_file(api: Api) -> None:
    uids, run_id = await run_blocks(api, numbers=sql("SELECT range AS n FROM range(1234)"))
    base = f"/app/results/run/{run_id}/{uids['numbers']}"
    page = (await api.client.get(f"{base}/rows", params={"offset": 1200, "limit": 50})).json()
    assert page["columns"] == [{"name": "n", "type": "int64"}]
    assert (page["row_count"], page["offset"]) == (1234, 1200)
    assert page["rows"] == [[str(n)] for n in range(1200, 1234)]
    csv = await api.client.get(f"{base}/download", params={"format": "csv"})
    assert csv.headers["content-disposition"] == f"attachment; filename*=UTF-8''numbers-{run_id}.csv"
    assert len(csv.text.splitlines()) == 1235
    parquet = await api.client.get(f"{base}/download", params={"format": "parquet"})
    assert pq.read_table(io.BytesIO(parquet.content)).num_rows == 1234
    assert (await api.client.get(f"{base}/download", params={"format": "exe"})).status_code == 422


async def test_block_that_ran_alone_has_rows_too(api: Api) -> None:
    made = api.make_report(q=sql("SELECT 1 AS one"))
    uid = made.blocks["q"]
    run_id = await api.run_block(uid)
    await api.wait_for(f"/api/reports/{made.id}/queries/{made.queries['q']}/run/{run_id}")
    rows = await api.client.get(f"/app/results/block_run/{run_id}/{uid}/rows")
    assert rows.json()["rows"] == [["1"]]


@pytest.mark.parametrize("what", ["rows", "download?format=csv", "chart.svg", "chart.json"])
async def test_what_is_not_there_is_404(api: Api, what: str) -> None:
    uids, run_id = await run_blocks(api, broken=sql("SELECT no_such_column"))
    for kind, number, uid in [
        ("run", run_id, uids["broken"]),
        ("run", run_id, "nobody"),
        ("run", 999_999, uids["broken"]),
        ("block_run", 999_999, uids["broken"]),
        ("run", 99_999_999_999, uids["broken"]),
        ("block_run", 99_999_999_999, uids["broken"]),
        ("block_run", "x", uids["broken"]),
    ]:
        assert (await api.client.get(f"/app/results/{kind}/{number}/{uid}/{what}")).status_code == 404
    assert (await api.client.get(f"/app/results/other/1/x/{what}")).status_code == 422


async def test_block_moves_to_another_place_and_only_a_move_is_told(api: Api) -> None:
    made = api.make_report(a=sql("SELECT 1"), b=sql("SELECT 2"), c=sql("SELECT 3"))

    async def read_report() -> dict[str, Any]:
        report: dict[str, Any] = (await api.client.get(f"/api/v1/report/{made.id}")).json()["result"]
        return report

    async def move(name: str, position: int) -> int:
        answer = await api.client.put(f"/api/v1/block/{made.blocks[name]}", json={"position": position})
        return answer.status_code

    async def read_order() -> list[str]:
        return [block["name"] for block in (await read_report())["blocks"]]

    before = (await read_report())["updated_on"]
    assert await move("a", 0) == 200
    assert (await read_report())["updated_on"] == before
    assert await move("c", 0) == 200
    assert await read_order() == ["c", "a", "b"]
    assert await move("c", 400) == 200
    assert await read_order() == ["a", "b", "c"]
    assert await move("c", -1) == 422
