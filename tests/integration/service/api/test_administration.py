"""Tokens, accounts, databases, and what can be done with runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import make_url

from airflow_provider_pushmetrics.service.models import DataSource
from tests.fakes.service_reports import ENDLESS, sql, text
from tests.fakes.waiting import until_async
from tests.integration.service.conftest import Api, read_result


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


@pytest.mark.parametrize("day", ["2999-12-31", "29991231"])
async def test_token_is_valid_until_the_end_of_its_last_day(api: Api, day: str) -> None:
    body = {"name": "ci", "expires_on": day}
    made = (await api.client.post("/api/v1/access_token/", json=body)).json()
    assert made["result"]["expires_on"] == "3000-01-01T00:00:00+00:00"


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


async def test_admin_renames_the_workspace_of_the_token_and_no_other(api: Api) -> None:
    own = (await api.client.get("/api/v1/workspace/current")).json()
    renamed = await api.client.put(f"/api/v1/workspace/{own['uid']}", json={"name": "Marketing"})
    assert read_result(renamed) == {**own, "name": "Marketing"}
    assert (await api.client.get("/api/v1/workspace/current")).json()["name"] == "Marketing"
    for name in ("", "x" * 256, None):
        assert (await api.client.put("/api/v1/workspace/1", json={"name": name})).status_code == 422
    assert (await api.client.put("/api/v1/workspace/2", json={"name": "Mine"})).status_code == 404
    await api.client.put(f"/api/v1/workspace/{own['id']}", json={"name": own["name"]})


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


async def test_the_services_own_database_cannot_be_asked(api: Api, tmp_path: Path) -> None:
    row = await api.add_database(f"duckdb:///{tmp_path}")
    store = make_url(api.parts.settings.store_url).render_as_string(hide_password=False)
    with api.parts.database.writing() as session:
        source = session.get_one(DataSource, row["id"])
        source.kind, source.location_encrypted = "postgresql", api.parts.cipher.encrypt(store)
    assert "own" in (await ask(api, row["id"], "SELECT * FROM api_token"))["error"]


async def test_the_services_own_database_cannot_be_saved(api: Api, tmp_path: Path) -> None:
    kept = await api.add_database(f"duckdb:///{tmp_path}")
    wanted = {"database_name": "own", "sqlalchemy_uri": api.parts.settings.store_url}
    for answer in (
        await api.client.post("/api/v1/database/", json=wanted),
        await api.client.put(f"/api/v1/database/{kept['id']}", json=wanted),
    ):
        assert answer.status_code == 422
        assert "cannot be asked" in answer.text or "cannot be queried" in answer.text
    shown = (await api.client.get(f"/api/v1/database/{kept['id']}")).json()["result"]
    assert shown["sqlalchemy_uri"] == kept["sqlalchemy_uri"]


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

    async def has_begun() -> bool:
        return bool((await api.client.get(path)).json()["result"]["status"] != "pending")

    await until_async(has_begun)
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
