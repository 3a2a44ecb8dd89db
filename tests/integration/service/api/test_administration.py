"""Tokens, accounts, databases, and what can be done with runs."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy.engine import make_url

from airflow_provider_pushmetrics.service.models import DataSource
from tests.fakes.service_reports import ENDLESS, sql, text
from tests.integration.service.conftest import Api


async def add_database(api: Api, url: str) -> dict[str, Any]:
    """Add a database that must be accepted."""
    answer = await api.client.post(
        "/api/v1/database/", json={"database_name": f"d-{uuid4()}", "sqlalchemy_uri": url}
    )
    assert answer.status_code == 201, answer.text
    row: dict[str, Any] = answer.json()["result"]
    return row


async def ask(api: Api, database_id: int, query: str, **content: Any) -> dict[str, Any]:
    """Run a query on a database and give its block of the outputs, with its rows as ``data``."""
    made = api.make_report(q=sql(query))
    changed = {"sql": query, "database_id": database_id, **content}
    answer = await api.client.put(f"/api/v1/block/{made.blocks['q']}", json={"content": changed})
    assert answer.status_code == 200, answer.text
    outputs = await api.run(made.id)
    rows = await api.fetch_rows(outputs, "q")
    return {**outputs["blocks"][0], "data": rows}


# --- tokens -------------------------------------------------------------------------------------------------


async def test_token_is_shown_once_works_and_ends_when_it_is_revoked(api: Api) -> None:
    made = (
        await api.client.post("/api/v1/access_token/", json={"name": "ci", "expires_on": "2999-12-31"})
    ).json()
    assert made["token"].startswith(made["result"]["token_prefix"])
    assert isinstance(made["id"], str)
    assert made["result"]["expires_on"] == "3000-01-01T00:00:00+00:00"
    bearer = {"Authorization": f"Bearer {made['token']}"}
    assert (await api.client.get("/api/v1/report/", headers=bearer)).status_code == 200
    listed = await api.client.get("/api/v1/access_token/")
    assert made["token"] not in listed.text
    assert made["id"] in listed.json()["ids"]
    assert (await api.client.delete(f"/api/v1/access_token/{made['id']}")).json() == {"message": "OK"}
    assert (await api.client.get("/api/v1/report/", headers=bearer)).status_code == 401
    assert made["id"] not in (await api.client.get("/api/v1/access_token/")).json()["ids"]


@pytest.mark.parametrize("expires_on", ["2001-01-01", "tomorrow", "2999-13-01", "9999-12-31"])
async def test_expiry_that_is_no_future_date_is_refused(api: Api, expires_on: str) -> None:
    answer = await api.client.post("/api/v1/access_token/", json={"name": "x", "expires_on": expires_on})
    assert answer.status_code == 422
    assert "expires_on" in answer.json()["message"]


async def test_users_roles_and_workspaces_are_listed(api: Api) -> None:
    user = (await api.client.get("/api/v1/user/")).json()["result"][0]
    assert user["main_role"] == {"id": 1, "name": "Admin"}
    assert (await api.client.get(f"/api/v1/user/{user['uid']}")).json()["result"] == user
    roles = (await api.client.get("/api/v1/role/")).json()["result"]
    assert [role["name"] for role in roles] == ["Admin", "User", "Guest"]
    workspaces = (await api.client.get("/api/v1/workspace/")).json()["result"]
    assert workspaces == [(await api.client.get("/api/v1/workspace/current")).json()]
    assert (await api.client.get("/api/v1/workspace/1/switch")).status_code == 200
    refused = await api.client.get("/api/v1/workspace/2/switch")
    assert (refused.status_code, "bound to workspace 1" in refused.json()["message"]) == (403, True)


# --- databases ----------------------------------------------------------------------------------------------


async def test_password_of_a_database_is_stored_encrypted_and_never_shown(api: Api) -> None:
    body = {"database_name": "d", "sqlalchemy_uri": "postgresql://me:hunter22@127.0.0.1:1/shop"}
    answer = await api.client.post("/api/v1/database/", json=body, params={"skip_test": True})
    row = answer.json()["result"]
    assert row["backend"] == "postgresql"
    assert row["sqlalchemy_uri"] == "postgresql+psycopg://me:***@127.0.0.1:1/shop"
    with api.parts.database.reading() as session:
        assert "hunter" not in session.get_one(DataSource, row["id"]).location_encrypted
    block = await ask(api, row["id"], "SELECT 1 AS n")
    assert block["status"] == "failed"
    assert "hunter22" not in json.dumps(block)
    changed = await api.client.put(f"/api/v1/database/{row['uid']}", json={"database_name": "shop"})
    assert changed.json()["result"]["database_name"] == "shop"
    await api.client.delete(f"/api/v1/database/{row['id']}")
    assert (await api.client.get(f"/api/v1/database/{row['id']}")).status_code == 404


@pytest.mark.parametrize("url", ["", "nonsense", "nosuchdriver://host/db", "duckdb://", "a://b:secret@[c"])
async def test_url_of_no_database_is_refused_without_being_repeated(api: Api, url: str) -> None:
    answer = await api.client.post(
        "/api/v1/database/", json={"database_name": f"d-{uuid4()}", "sqlalchemy_uri": url}
    )
    assert answer.status_code == 422
    assert "secret" not in answer.text


async def test_sqlalchemy_database_is_asked_with_bound_values_and_read_only(api: Api, tmp_path: Path) -> None:
    path = tmp_path / "shop.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER, note TEXT, price REAL, paid TEXT)")
        connection.executemany(
            "INSERT INTO orders VALUES (?, ?, ?, ?)", [(1, "it's: 'x'", 1.5, None), (2, None, 2.5, None)]
        )
    row = await add_database(api, f"sqlite:///{path}")
    query = (
        "SELECT *, '12:30 :x' AS colon FROM orders"
        " WHERE note = {{ \"it's: 'x'\" }} OR id > {{ 1 }} ORDER BY id"
    )
    block = await ask(api, row["id"], query)
    assert block["data"] == [
        {"id": 1, "note": "it's: 'x'", "price": 1.5, "paid": None, "colon": "12:30 :x"},
        {"id": 2, "note": None, "price": 2.5, "paid": None, "colon": "12:30 :x"},
    ]
    for statement in ("DELETE FROM orders", "INSERT INTO orders VALUES (3, '', 0, '') RETURNING id"):
        assert (await ask(api, row["id"], statement))["status"] == "failed"
    assert (await ask(api, row["id"], "SELECT count(*) AS n FROM orders"))["data"] == [{"n": 2}]
    assert "twice" in (await ask(api, row["id"], "SELECT 1 AS twice, 2 AS twice"))["error"]
    assert "no such table: nope" in (await ask(api, row["id"], "SELECT * FROM nope"))["error"]


async def test_the_services_own_database_cannot_be_asked(api: Api, tmp_path: Path) -> None:
    row = await add_database(api, f"duckdb:///{tmp_path}")
    store = make_url(api.parts.settings.store_url).render_as_string(hide_password=False)
    with api.parts.database.writing() as session:
        source = session.get_one(DataSource, row["id"])
        source.kind, source.location_encrypted = "postgresql", api.parts.cipher.encrypt(store)
    assert "own" in (await ask(api, row["id"], "SELECT * FROM api_token"))["error"]


async def test_place_that_cannot_be_asked_is_refused_when_it_is_saved(api: Api, tmp_path: Path) -> None:
    kept = await add_database(api, f"duckdb:///{tmp_path}")
    for url in (api.parts.settings.store_url, "duckdb:////etc/passwd", "sqlite:////etc/passwd"):
        wanted = {"database_name": f"d-{uuid4()}", "sqlalchemy_uri": url}
        for answer in (
            await api.client.post("/api/v1/database/", json=wanted),
            await api.client.put(f"/api/v1/database/{kept['id']}", json=wanted),
        ):
            assert answer.status_code == 422, url
            message = answer.json()["message"]
            assert "cannot be asked" in message or "cannot be queried" in message or "--source-dir" in message
    rows = (await api.client.get("/api/v1/database/")).json()["result"]
    assert [row["sqlalchemy_uri"] for row in rows if row["id"] == kept["id"]] == [kept["sqlalchemy_uri"]]


async def test_folder_of_files_is_a_database_that_reads_nothing_else(api: Api, tmp_path: Path) -> None:
    folder = tmp_path / "it's a folder"
    folder.mkdir()
    (folder / "cities.csv").write_text("id,name\n1,Berlin\n2,Zürich\n")
    (tmp_path / "secret.csv").write_text("x\n1\n")
    row = await add_database(api, f"duckdb:///{folder}")
    found = await ask(api, row["id"], "SELECT name FROM cities WHERE id = {{ 2 }}")
    assert found["data"] == [{"name": "Zürich"}]
    outside = await ask(api, row["id"], f"SELECT * FROM read_csv('{tmp_path}/secret.csv')")
    assert outside["status"] == "failed"


@pytest.mark.postgres
async def test_postgres_is_asked_and_its_types_are_kept(api: Api, postgres_url: str) -> None:
    row = await add_database(api, postgres_url)
    query = (
        "SELECT i::int AS i, {{ 'a' }}::text AS t, 1.50::numeric AS d, DATE '2020-01-02' AS day,"
        " NULL AS nothing, ARRAY[1, 2] AS list FROM generate_series(1, 3) i WHERE i % 2 = {{ 1 }}"
    )
    block = await ask(api, row["id"], query)
    first = {"i": 1, "t": "a", "d": 1.5, "day": "2020-01-02", "nothing": None, "list": [1, 2]}
    assert block["data"] == [first, {**first, "i": 3}]
    stopped = await ask(api, row["id"], "SELECT pg_sleep(30)", timeout_seconds=1)
    assert "longer than 1 s" in stopped["error"]


# --- limits, cancelling and running again -------------------------------------------------------------------


async def test_rows_over_the_limit_are_cut_off_and_the_result_says_so(api: Api) -> None:
    block = await ask(api, 1, "SELECT unnest(range(100000)) AS n", limit=70_000)
    assert (block["row_count"], block["max_rows"], block["is_truncated"]) == (70_000, 70_000, True)
    assert len(block["data"]) == 70_000
    result = (await api.client.get(block["query_result"])).json()
    assert (result["max_rows"], result["timeout_seconds"], result["is_truncated"]) == (70_000, 3600, True)
    assert (block["row_limit"], block["is_truncated"]) == (70_000, True)
    exact = await ask(api, 1, "SELECT unnest(range(10)) AS n", limit=10)
    assert (exact["row_count"], exact["is_truncated"]) == (10, False)


async def test_query_that_takes_too_long_is_stopped_and_says_so(api: Api) -> None:
    block = await ask(api, 1, ENDLESS, timeout_seconds=1)
    assert (block["status"], block["timeout_seconds"]) == ("failed", 1)
    assert block["error"] == "the query took longer than 1 s and was stopped."


async def test_running_query_is_interrupted_by_cancel_and_the_rest_is_not_run(api: Api) -> None:
    made = api.make_report(slow=sql(ENDLESS), after=text("{{ slow.data }}"))
    run = (await api.client.post(f"/api/v1/report/{made.id}/run/noteflow")).json()["result"]
    path = f"/api/v1/noteflow_run/{run['noteflow_run_uid']}"
    deadline = time.monotonic() + 120
    while (await api.client.get(path)).json()["result"]["status"] == "pending":
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    cancelled = (await api.client.post(f"{path}/cancel")).json()["result"]
    assert cancelled["status"] == "cancelled"
    outputs = (await api.client.get(f"/api/reports/{made.id}/run/{run['run_id']}")).json()
    assert outputs["status"] == "cancelled"
    assert [block["status"] for block in outputs["blocks"]] == ["not_run", "not_run"]
    assert (await api.client.post(f"{path}/cancel")).status_code == 200
    again = (await api.client.post(f"{path}/re_run")).json()["result"]
    assert (again["parent_id"], again["re_run_count"]) == (run["run_id"], 1)
    await api.client.post(f"/api/v1/noteflow_run/{again['uid']}/cancel")
    quick = await api.run(api.make_report(q=sql("SELECT 1 AS n")).id)  # a worker is free again
    assert quick["status"] == "success"


async def test_run_that_has_ended_is_not_cancelled_but_can_run_again_with_what_it_was_given(api: Api) -> None:
    made = api.make_report(q=sql("SELECT {{ v }} AS v"))
    outputs = await api.run(made.id, {"v": 5})
    path = f"/api/v1/noteflow_run/{outputs['run_id']}"
    assert (await api.client.post(f"{path}/cancel")).status_code == 409
    again = (await api.client.post(f"{path}/re_run")).json()["result"]
    repeated = (await api.wait_for(f"/api/reports/{made.id}/run/{again['id']}")).json()
    assert await api.fetch_rows(repeated, "q") == [{"v": 5}]


async def test_log_of_a_run_is_found_by_its_id_and_its_flow_run(api: Api) -> None:
    made = api.make_report(q=sql("SELECT 1 AS n"), broken=sql("SELECT nope"))
    outputs = await api.run(made.id)
    run = (await api.client.get(f"/api/v1/noteflow_run/{outputs['run_id']}")).json()["result"]
    filters = [
        f"(col:noteflow_run_id,opr:frid_eq,value:{run['id']})",
        f"(col:flow_run_id,opr:frid_eq,value:'{run['flow_run_id']}')",
    ]
    logs = [
        (await api.client.get("/api/v1/noteflow_run_log/", params={"q": f"(filters:!({one}))"})).json()[
            "result"
        ]
        for one in filters
    ]
    assert logs[0] == logs[1]
    messages = [entry["message"] for entry in logs[0]]
    assert messages[0] == "the run begins"
    assert messages[-1] == "the run ends: failed"
    assert "block 'q': success, 1 rows" in messages
    errors = [entry for entry in logs[0] if entry["effective_level"] == "ERROR"]
    assert [entry["message"].startswith("block 'broken': failed, ") for entry in errors] == [True]
