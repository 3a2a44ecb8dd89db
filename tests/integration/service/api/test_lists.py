"""Lists at any size: a few statements, which read no more rows than are shown."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event, insert, select

from airflow_provider_pushmetrics.service.models import (
    Delivery,
    OutboxEvent,
    OutgoingMessage,
    Report,
    ReportSchedule,
    RowCount,
    Run,
    RunLogEntry,
    User,
)
from airflow_provider_pushmetrics.service.models.base import get_table
from airflow_provider_pushmetrics.service.models.row_counts import COUNTED, ID_RANGE
from airflow_provider_pushmetrics.service.storage.clock import get_now
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.service.worker.row_counts import RowCounter
from tests.fakes.row_ids import skip_ids
from tests.fakes.service_subscriber import add_subscription
from tests.integration.service.conftest import Api, read_accepted

NEWEST = "(order_column:created_on,order_direction:desc)"
LISTS = ("noteflow_run", "noteflow_run_log", "webhook_delivery", "message", "schedule", "report")


@contextmanager
def record_statements(database: Database) -> Iterator[list[tuple[str, Any]]]:
    """Give the statements that are executed in the block, with their parameters."""
    statements: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if threading.current_thread().name.startswith("AnyIO"):  # that of a request, and of no worker
            statements.append((statement, parameters))

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(database.engine, "before_cursor_execute", note)


def add_rows(api: Api, start: int, count: int) -> None:
    """Add rows to all lists, each with a report of its owner, an event or a run of its own."""
    now = get_now()
    ended = {"status": "failed", "next_attempt_on": now, "finished_on": now}
    with api.parts.database.writing() as session:
        for number in range(start, start + count):
            report = Report(workspace_id=1, name=f"r{number}", owner=User(email=f"u{number}@example.com"))
            outbox = OutboxEvent(workspace_id=1, event="report.run", body="{}")
            session.add_all([report, outbox])
            session.flush()
            mine = {"workspace_id": 1, "report_id": report.id}
            run = Run(
                **mine, status="failed", origin="api", given_parameters={}, parameters={}, finished_on=now
            )
            schedule = ReportSchedule(
                **mine, name="s", active=False, first_start=now, time_zone="UTC", recurrence="daily"
            )
            session.add_all([run, schedule])
            session.flush()
            message = {"kind": "mail", "recipient": "a@example.com", "text": "t", "workspace_id": 1}
            session.execute(insert(get_table(OutgoingMessage)).values(**message, **ended))
            line = {"workspace_id": 1, "run_id": run.id, "level": "INFO", "message": "m"}
            session.execute(insert(get_table(RunLogEntry)).values(**line))
            delivery = {"workspace_id": 1, "event_id": outbox.id, "event": outbox.event, "subscription_id": 1}
            session.execute(insert(get_table(Delivery)).values(**delivery, **ended))


async def fetch(api: Api, name: str, **query: str) -> tuple[dict[str, Any], list[tuple[str, Any]]]:
    with record_statements(api.parts.database) as statements:
        listed = read_accepted(await api.client.get(f"/api/v1/{name}/", params=query))
    assert statements
    return listed, statements


async def test_number_of_statements_does_not_grow_with_the_rows(api: Api) -> None:
    add_subscription(api.parts.database, api.parts.cipher, "https://a.example", "none")
    add_rows(api, 0, 2)
    few = {name: await fetch(api, name) for name in LISTS}
    add_rows(api, 2, 10)
    for name in LISTS:
        listed, statements = await fetch(api, name)
        assert listed["count"] == few[name][0]["count"] + 10 == len(listed["result"])
        assert len(statements) <= len(few[name][1]), name


@pytest.mark.parametrize(
    ("name", "query"),
    [(name, query) for name in LISTS[:4] for query in ({}, {"q": NEWEST})]
    + [
        ("noteflow_run", {"report_uid": "u"}),
        ("noteflow_run", {"q": "(filters:!((col:report,opr:rel_r_nf,value:u)))"}),
        ("noteflow_run", {"q": "(filters:!((col:status,opr:eq,value:failed)))"}),
        ("webhook_delivery", {"q": "(filters:!((col:status,opr:eq,value:failed)))"}),
        ("webhook_delivery", {"q": "(filters:!((col:event,opr:eq,value:webhook.test)))"}),
        ("webhook_delivery", {"q": "(filters:!((col:webhook_subscription,opr:eq,value:1)))"}),
    ],
)
async def test_first_page_is_found_by_an_index_and_counted_by_it_alone(
    api: Api, name: str, query: dict[str, str]
) -> None:
    database = api.parts.database
    if database.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL plans by the number of rows: python -m benchmarks.lists measures it")
    _, statements = await fetch(api, name, **query)
    table = {"noteflow_run": "run", "noteflow_run_log": "run_log", "webhook_delivery": "delivery"}.get(
        name, name
    )
    (count, count_values), (page, page_values) = (one for one in statements if f"FROM {table}" in one[0])
    with database.engine.connect() as connection:
        plans = [
            [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)]
            for statement, values in ((count, count_values), (page, page_values))
        ]
    assert "count(*)" in count
    assert f"SEARCH {table} USING COVERING INDEX" in " ".join(plans[0])
    assert f"SEARCH {table} USING INDEX" in " ".join(plans[1])
    assert "USE TEMP B-TREE FOR ORDER BY" not in plans[1]


async def test_count_is_exact_when_rows_were_counted_before(api: Api) -> None:
    database = api.parts.database
    add_subscription(database, api.parts.cipher, "https://a.example", "none")
    add_rows(api, 100, 3)
    before = {name: (await fetch(api, name))[0]["count"] for name in LISTS[:4]}
    with database.writing() as session:
        for kind in COUNTED:
            skip_ids(session, kind.__tablename__, ID_RANGE)
    add_rows(api, 103, 2)
    RowCounter(database).run_once()
    with database.reading() as session:
        assert set(session.scalars(select(RowCount.kind))) == {kind.__tablename__ for kind in COUNTED}
    for name in LISTS[:4]:
        (listed, _), (page, _) = await fetch(api, name), await fetch(api, name, q="(page:1,page_size:2)")
        assert listed["count"] == page["count"] == before[name] + 2
    for name in LISTS[:3]:
        newest, _ = await fetch(api, name, q=f"(filters:!((col:id,opr:gt,value:{ID_RANGE})))")
        assert newest["count"] == len(newest["result"]) == 2
