"""Texts and charts show rows: they are deleted as the results of queries are, and their runs stay."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, insert, select, update
from sqlalchemy import text as sql_text

from airflow_provider_pushmetrics.service.models import BlockResult, OutgoingMessage, Run
from airflow_provider_pushmetrics.service.results.store import ResultStore
from airflow_provider_pushmetrics.service.retention.cleanup import Cleanup
from airflow_provider_pushmetrics.service.retention.outputs import OUTPUT_BATCH, delete_outputs
from airflow_provider_pushmetrics.service.settings import ServiceSettings
from airflow_provider_pushmetrics.service.storage.database import Database
from tests.fakes.service_reports import sql
from tests.fakes.service_reports import text as text_block
from tests.fakes.waiting import wait_until
from tests.integration.service.conftest import Api
from tests.integration.service.retention.test_cleanup import (
    LONG_AGO,
    clean,
    count_rows,
    own,
    own_parts,
    put_runs,
    wait_for_attempts,
)

__all__ = ["own", "own_parts"]  # fixtures


@pytest.mark.slow
async def test_texts_and_charts_are_deleted_with_the_results_that_they_show(
    own: Api, caplog: pytest.LogCaptureFixture
) -> None:
    spec = {"mark": "bar", "encoding": {"x": {"field": "name", "type": "nominal"}}}
    made = own.make_report(
        q=sql("SELECT 'Ann Secret' AS name"),
        bars=("chart", {"query": "q", "spec": spec}),
        words=text_block("{{ q.table }}"),
        prose=text_block("**{{ q.data[0].name }}**"),
        mail=("email", {"to_": "boss@example.com", "subject": "s", "value": "hello"}),
    )
    run_id = (await own.run(made.id))["run_id"]
    block_run_id = await own.run_block(made.blocks["bars"])
    charts = [
        f"/app/results/{kind}/{number}/{made.blocks['bars']}"
        for kind, number in (("run", run_id), ("block_run", block_run_id))
    ]
    wait_until(lambda: count_rows(own.parts.database, BlockResult)[0] == 7)
    for chart in charts:
        assert "Ann Secret" in (await own.client.get(f"{chart}/chart.json")).text
    wait_for_attempts(own.parts)

    clean(own.parts, 6, result_retention_days=7)
    assert "Ann Secret" in (await own.client.get(f"{charts[0]}/chart.json")).text, "they are not so old yet"
    with caplog.at_level("INFO"):
        clean(own.parts, 8, result_retention_days=7)
        assert "4 outputs of texts and charts beyond the retention limits" in caplog.text
    for chart in charts:
        for ending in ("json", "svg"):
            answer = await own.client.get(f"{chart}/chart.{ending}")
            assert (answer.status_code, answer.json()) == (404, {"message": "The result is no longer kept"})
    outputs = (await own.client.get(f"/api/reports/{made.id}/run/{run_id}")).json()
    assert "Ann Secret" not in str(outputs)
    blocks = {block["name"]: block for block in outputs["blocks"]}
    assert {block["status"] for block in blocks.values()} == {"success"}
    assert (blocks["words"]["output"], blocks["prose"]["output_html"]) == (None, None)
    assert blocks["mail"]["output"] == "to boss@example.com", "it is no result"
    with own.parts.database.reading() as session:
        rows = session.execute(select(BlockResult.__table__)).all()
    assert "Ann Secret" not in str(rows)


async def test_texts_are_kept_while_a_message_of_their_run_has_not_ended(own: Api) -> None:
    mail = {"to_": "ann@example.com", "subject": "s", "value": "{{ q.table }}"}
    made = own.make_report(q=sql("SELECT 1 AS n"), words=text_block("{{ q.table }}"), mail=("email", mail))
    run_id = (await own.run(made.id))["run_id"]
    wait_for_attempts(own.parts)
    later = datetime.now(UTC) + timedelta(days=1)
    with own.parts.database.writing() as session:
        session.execute(update(OutgoingMessage).values(status="pending", next_attempt_on=later))
    for status, is_kept in (("pending", True), ("kept", False)):
        with own.parts.database.writing() as session:
            session.execute(update(OutgoingMessage).values(status=status))
        clean(own.parts, 8, result_retention_days=7)
        outputs = (await own.client.get(f"/api/reports/{made.id}/run/{run_id}")).json()
        words = next(block for block in outputs["blocks"] if block["name"] == "words")
        assert (words["output"] is not None) == is_kept, status


def test_old_outputs_are_deleted_in_small_transactions_and_others_are_not_written(
    database: Database, tmp_path: Path
) -> None:
    runs, each = 2 * OUTPUT_BATCH + 3, 2
    put_runs(database, runs, status="success", created_on=LONG_AGO, finished_on=LONG_AGO)
    put_runs(database, 1, status="success", finished_on=datetime.now(UTC))
    with database.writing() as session:
        for run_id, finished_on in session.execute(select(Run.id, Run.finished_on)).all():
            for place in range(each):
                row = {"block_id": place, "block_uid": f"b{place}", "position": place, "name": f"n{place}"}
                values = {"type": "text", "status": "success", "output": "rows", "finished_on": finished_on}
                session.add(BlockResult(run_id=run_id, **row, **values))
    written: list[int] = []

    @event.listens_for(database.engine, "after_cursor_execute")
    def count(_connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("UPDATE block_result"):
            written.append(cursor.rowcount)

    settings = ServiceSettings(tmp_path, keep_days=0, result_retention_days=7)
    for _ in range(2):
        Cleanup(database, ResultStore(tmp_path / "results"), settings).run_once()
    assert sum(written) == runs * each
    assert max(written) <= OUTPUT_BATCH
    with database.reading() as session:
        kept = session.scalars(select(BlockResult.run_id).where(BlockResult.output.is_not(None))).all()
    assert kept == [runs + 1] * each


def list_statements(database: Database) -> list[tuple[str, Any]]:
    """Delete old outputs, and give the statements of it with their values."""
    statements: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if "FROM" in statement:
            statements.append((statement, values))

    event.listen(database.engine, "before_cursor_execute", note)
    delete_outputs(database, datetime.now(UTC), (), lambda: False)
    event.remove(database.engine, "before_cursor_execute", note)
    return statements


def test_old_runs_without_outputs_cost_nothing(database: Database) -> None:
    """Most old runs have none any more: the outputs that are left are found by an index."""
    (few,) = list_statements(database)
    runs = 5 * OUTPUT_BATCH
    put_runs(database, runs, status="success", created_on=LONG_AGO, finished_on=LONG_AGO)
    row = {"block_id": 1, "block_uid": "b", "position": 0, "name": "n", "status": "success"}
    same = {**row, "is_truncated": False, "finished_on": LONG_AGO}
    with database.writing() as session:
        ids = session.scalars(select(Run.id)).all()
        texts = [{**same, "run_id": run_id, "type": "text"} for run_id in ids]
        mails = [
            {**same, "run_id": run_id, "block_id": 2, "type": "email", "output": "to a"} for run_id in ids
        ]
        for rows in (texts, mails):
            session.execute(insert(BlockResult), rows)
    is_sqlite = database.engine.dialect.name == "sqlite"
    with database.writing() as session:
        session.execute(sql_text("ANALYZE"))
    ((statement, values),) = list_statements(database)
    assert statement == few[0]
    with database.engine.connect() as connection:
        explain = "EXPLAIN QUERY PLAN" if is_sqlite else "EXPLAIN"
        plan = connection.exec_driver_sql(f"{explain} {statement}", values).all()
    assert "ix_block_result_output" in str(plan), plan
    assert "Sort" not in str(plan)
