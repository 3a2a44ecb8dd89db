"""A result that was cut off says so in every format, and so does every block that was made of it."""

from __future__ import annotations

import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.integration.service.conftest import Api

TYPES = {
    "json": "application/json",
    "ndjson": "application/x-ndjson",
    "csv": "text/csv",
    "arrow": "application/vnd.apache.arrow.stream",
    "parquet": "application/vnd.apache.parquet",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
TOLD = {b"pushmetrics.truncated": b"true", b"pushmetrics.row_limit": b"3"}


async def run_cut(api: Api, *blocks: tuple[str, str, dict[str, Any]]) -> dict[str, Any]:
    """Run a report whose query ``q`` gives more rows than its limit, and give its outputs."""
    query = {"sql": "SELECT range AS n FROM range(10)", "database_id": 1, "limit": 3}
    rows = [("sql", "q", query), *blocks]
    report = await api.create_report(
        *({"type": kind, "name": name, "content": content} for kind, name, content in rows)
    )
    return await api.run_by_api(report["id"])


@pytest.mark.parametrize("form", TYPES)
async def test_cut_result_says_so_in_every_format(api: Api, form: str) -> None:
    outputs = await run_cut(api)
    [query] = outputs["queries"]
    assert (query["is_truncated"], query["row_limit"]) == (True, 3)
    answer = await api.client.get(query["query_result"], headers={"Accept": TYPES[form]})
    assert answer.headers["x-pushmetrics-truncated"] == "true"
    assert answer.headers["x-pushmetrics-row-limit"] == "3"
    if form == "arrow":
        assert pa.ipc.open_stream(answer.content).schema.metadata == TOLD
    if form == "parquet":
        # As readers get it from a file that was saved: of the schema, not of the file's footer alone.
        assert pq.read_table(io.BytesIO(answer.content)).schema.metadata == TOLD


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("chart", {"query": "q", "spec": {"mark": "bar"}}),
        ("text", {"text": "{{ q.data | length }} rows"}),
        ("text", {"text": "{{ q.table }}"}),
    ],
)
async def test_block_made_of_cut_rows_says_so(api: Api, kind: str, content: dict[str, Any]) -> None:
    outputs = await run_cut(api, (kind, "made", content), ("text", "other", {"text": "hello"}))
    cut = {block["name"]: (block["is_truncated"], block["row_limit"]) for block in outputs["blocks"]}
    assert cut == {"q": (True, 3), "made": (True, 3), "other": (False, None)}


async def test_query_made_of_cut_rows_fails(api: Api) -> None:
    def build(sql: str) -> dict[str, Any]:
        return {"sql": sql, "database_id": 1}

    outputs = await run_cut(
        api,
        ("sql", "total", build("SELECT {{ q.data | map(attribute='n') | sum }} AS s")),
        ("sql", "branch", build("SELECT {% if q.data %}1{% else %}2{% endif %} AS s")),
        ("sql", "composed", build("SELECT sum(n)::INTEGER AS s FROM ({{ q }})")),
        (
            "sql",
            "of_its_own",
            build("SELECT {{ composed.data[0].s }} AS s FROM ({{ q }}) LIMIT 1"),
        ),
        ("text", "report", {"text": "{{ total.data }}"}),
    )
    blocks = {block["name"]: block for block in outputs["blocks"]}
    for name in ("total", "branch"):
        assert "'q' is truncated at 3 rows" in blocks[name]["error"]
        assert "raise its limit" in blocks[name]["error"]
    assert {name: block["status"] for name, block in blocks.items()} == {
        "q": "success",
        "total": "failed",
        "branch": "failed",
        "composed": "success",
        "of_its_own": "success",
        "report": "not_run",
    }
    assert await api.fetch_rows(outputs, "composed") == [{"s": 45}]
