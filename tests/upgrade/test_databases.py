"""Databases of older versions, used by this one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, create_engine, inspect, text

from tests.upgrade.conftest import load_place
from tests.upgrade.releases import Release
from tests.upgrade.servers import Place, Servers, make_place, open_client, run_inbox, run_servers


def list_runs(servers: Servers) -> list[tuple[int, str]]:
    answer = servers.client.get("/api/v1/noteflow_run/?report_uid=1&q=(page_size:100)").raise_for_status()
    return sorted((run["id"], run["status"]) for run in answer.json()["result"])


def test_service_still_has_the_runs_and_their_results(servers: Servers, release: Release) -> None:
    token = release.read("facts")["user_token"]
    with open_client(str(servers.client.base_url), token) as client:
        outputs = client.get("/api/reports/1/run/1").raise_for_status().json()
        assert outputs["status"] == "success"
        (query,) = outputs["queries"]
        rows = client.get(query["query_result"]).raise_for_status().json()["data"]
    assert rows == [{"month": 2, "checked": "{}"}]
    servers.wait_for_run(3)
    assert list_runs(servers) == [(1, "success"), (2, "failed"), (3, "success")]


def test_service_executes_the_pending_run_and_new_ones(servers: Servers) -> None:
    assert servers.wait_for_run(3)["status"] == "success"
    new = servers.trigger(month=5)
    assert new > 3
    (query,) = servers.wait_for_run(new)["queries"]
    rows = servers.client.get(query["query_result"]).raise_for_status().json()["data"]
    assert rows == [{"month": 5, "checked": "{}"}]


def test_receiver_still_has_its_events_and_knows_a_webhook_that_comes_again(
    place: Place, release: Release
) -> None:
    known = release.read("facts")["events"]
    with closing_engine(place.inbox_url) as engine, engine.connect() as connection:
        row = connection.execute(text("SELECT delivery_key, body FROM pushmetrics_inbox_events WHERE id = 1"))
        key, body = row.one()
    with run_inbox(place) as url, run_servers(place, url, executes=False) as servers:
        assert servers.list_events() == known
        again, other = (deliver(servers, bytes(body) + end, key) for end in (b"", b" "))
        assert (again["id"], other["id"]) == (1, 3)
        assert [event["id"] for event in servers.list_events()] == [1, 2, 3]


def deliver(servers: Servers, body: bytes, key: str) -> Any:
    assert key.startswith("sha256:"), "the sender had a token, so the body is what is recognized"
    headers = {"Content-Type": "application/json"}
    return httpx.post(servers.delivery_url, content=body, headers=headers).raise_for_status().json()


@contextmanager
def closing_engine(url: str) -> Iterator[Engine]:
    engine = create_engine(url)
    try:
        yield engine
    finally:
        engine.dispose()


def describe_schema(url: str) -> dict[str, Any]:
    """Describe the tables, with all that migrations could forget."""
    with closing_engine(url) as engine:
        found = inspect(engine)
        return {
            table: {
                "columns": {
                    column["name"]: (str(column["type"]), column["nullable"], column["default"])
                    for column in found.get_columns(table)
                },
                "key": found.get_pk_constraint(table)["constrained_columns"],
                "indexes": write_sorted(found.get_indexes(table)),
                "unique": write_sorted(found.get_unique_constraints(table)),
                "foreign keys": write_sorted(found.get_foreign_keys(table)),
                "triggers": list_triggers(engine, table),
            }
            for table in found.get_table_names()
        }


def write_sorted(rows: Iterable[Any]) -> list[str]:
    return sorted(json.dumps(row, default=str, sort_keys=True) for row in rows)


def list_triggers(engine: Engine, table: str) -> list[str]:
    """List the database's triggers of a table."""
    query = {
        "sqlite": "SELECT sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :table",
        "postgresql": "SELECT pg_get_triggerdef(oid) FROM pg_trigger"
        " WHERE NOT tgisinternal AND tgrelid = CAST(:table AS regclass)",
    }[engine.dialect.name]
    with engine.connect() as connection:
        return sorted(connection.scalars(text(query), {"table": table}))


def test_a_migrated_database_has_the_schema_of_a_new_one(
    release: Release, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    server_url = None if release.kind == "sqlite" else request.getfixturevalue("postgres_server_url")
    with ExitStack() as stack:
        new = stack.enter_context(make_place(release.kind, tmp_path / "new", server_url))
        old = stack.enter_context(make_place(release.kind, tmp_path / "old", server_url))
        load_place(release, old)
        for place in (new, old):
            with run_inbox(place) as url, run_servers(place, url, executes=False):
                pass  # each start migrates
        assert describe_schema(old.service_url) == describe_schema(new.service_url)
        assert describe_schema(old.inbox_url) == describe_schema(new.inbox_url)
