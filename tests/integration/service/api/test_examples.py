"""
The examples in the API's description are what the API answers.

When answers have changed: ``PUSHMETRICS_WRITE_EXAMPLES=1 pytest -k sqlite`` of this file keeps the new ones.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
from fastapi import FastAPI

from airflow_provider_pushmetrics.service.api import examples
from airflow_provider_pushmetrics.service.api.examples import list_contents, load_examples
from airflow_provider_pushmetrics.service.models import OutgoingMessage
from airflow_provider_pushmetrics.service.storage.clock import get_now
from tests.fakes.service_reports import ENDLESS, TRIGGER_TOKEN, sql, text
from tests.fakes.service_walk import Walk, list_operations
from tests.integration.service.conftest import BASE_URL, Api

FILE = Path(examples.__file__).with_name(examples.FILE)
SHOULD_WRITE = "PUSHMETRICS_WRITE_EXAMPLES" in os.environ

SHOWN_ONCE = {"token", "access_token", "signing_secret"}
FREE = {"parameters", "details", "yaml_diff", "data", "attempts"}
"""What holds whatever somebody gave."""

REPORT = "/api/v1/report"
STOP_BLOCK = "POST /api/v1/block/{reference}/run/{run_id}/cancel"
FLIGHTS = {"database_name": "shop", "sqlalchemy_uri": "duckdb:///flights.duckdb"}
RUNS = "/api/v1/noteflow_run/{reference}"
SUBSCRIPTION = "/api/v1/webhook_subscription/{reference}"
ALONE = "/api/reports/{report}/queries/{query}/run/{run_id}"


async def prepare(api: Api) -> Walk:
    """Make what the description's own examples do not make."""
    with api.parts.database.writing() as session:
        session.add(
            OutgoingMessage(
                workspace_id=1,
                kind="slack",
                recipient="#sales",
                text="Orders",
                status="failed",
                attempt_count=1,
                error="not_in_channel: Slack did not post to '#sales'.",
                next_attempt_on=get_now(),
            )
        )
    other = await add_user(api, "examples-too@example.com")
    user = await add_user(api, "examples@example.com")
    token = (await api.client.post(f"/api/v1/user/{user}/access_token/", json={"name": "a"})).json()["id"]
    workspace = (await api.client.get("/api/v1/workspace/current")).json()["uid"]
    subscription = await api.subscribe("https://airflow.example/pushmetrics", "report.deleted")
    path = f"/api/v1/webhook_subscription/{subscription['id']}"
    sent = (await api.client.post(f"{path}/test")).raise_for_status().json()["result"]
    endless = api.make_report(endless=sql(ENDLESS))
    to_cancel = await api.trigger(endless.id)
    to_stop = (await api.client.post(f"/api/v1/block/{endless.blocks['endless']}/run")).json()["run_id"]
    to_repeat = await api.trigger(api.make_report(note=text("hello")).id)
    made = api.make_report(orders=sql("SELECT 'EMEA' AS region, 42 AS orders"))
    run_id = await api.trigger(made.id)
    await api.wait_for(f"/api/reports/{made.id}/run/{run_id}")
    block = made.blocks["orders"]
    alone = (await api.client.post(f"/api/v1/block/{block}/run")).raise_for_status().json()["run_id"]
    config = (await api.client.get(f"{REPORT}/1/config")).text
    return Walk(
        api.client,
        known={
            "user": user,
            "token": token,
            "block": block,
            "report": made.id,
            "query": made.queries["orders"],
            "run_id": run_id,
            "result_id": "last_result",
            "noteflow_run": run_id,
            "workspace": workspace,
            "webhook_delivery": sent["id"],
            "table": "flights",
            "schema": "main",
            "number": 1,
            "database": 1,
            "DELETE /api/v1/workspace/{reference}": workspace,
            "DELETE /api/v1/user/{reference}/remove_from_workspace/{workspace}": other,
            "DELETE /api/v1/user/{reference}/access_token/{token}": user,
            **{f"{method} {ALONE}": alone for method in ("GET", "POST")},
            f"POST {RUNS}/cancel": to_cancel,
            STOP_BLOCK: {"reference": endless.blocks["endless"], "run_id": to_stop},
            f"POST {RUNS}/re_run": to_repeat,
            f"POST {SUBSCRIPTION}/test": subscription["id"],
            f"POST {SUBSCRIPTION}/resend": subscription["id"],
        },
        bodies={
            **{name: FLIGHTS for name in ("POST /api/v1/database/", "PUT /api/v1/database/{reference}")},
            "POST /api/v1/database/test_connection": {"sqlalchemy_uri": FLIGHTS["sqlalchemy_uri"]},
            f"POST {REPORT}/config": config,
            f"PUT {REPORT}/{{reference}}/config": config,
            **{
                f"POST /api/v1/role/{{reference}}/{action}": {"users_uid": [str(user)]}
                for action in ("assign_users", "revoke_users")
            },
        },
        queries={
            **{
                f"{method} {REPORT}/{{reference}}/webhook": {"token": TRIGGER_TOKEN}
                for method in ("GET", "POST")
            },
            "GET /api/v1/database/{reference}/search_tables/": {"pattern": "flights"},
        },
    )


async def add_user(api: Api, email: str) -> int:
    """Take somebody into the workspace."""
    user = {"email": email, "first_name": "Ann", "last_name": "Lee", "roles": [3]}
    made: int = (await api.client.post("/api/v1/user/", json=user)).raise_for_status().json()["id"]
    return made


def abridge(value: Any, key: str = "") -> Any:
    """Make an example of an answer: without secrets, with the first of what there is much of."""
    if isinstance(value, dict):
        return {name: abridge(one, name) for name, one in value.items()}
    if isinstance(value, list):
        return [abridge(one, key) for one in value[:1]]
    if isinstance(value, str):
        shown = re.sub(r"token=[\w-]+", "token=TOKEN", value).replace(BASE_URL, "https://pushmetrics.example")
        return "shown only here" if key in SHOWN_ONCE else shown
    return value


def describe_shape(value: Any, key: str = "") -> Any:
    """Describe what an example must have in common with an answer: its keys."""
    if key in FREE:
        return ...
    if isinstance(value, dict):
        return {name: describe_shape(one, name) for name, one in value.items()}
    return ...


def test_each_successful_answer_has_an_example_that_fits_its_schema(app: FastAPI) -> None:
    document = app.openapi()
    contents = dict(list_contents(document))
    assert contents.keys() == load_examples().keys()
    for content in contents.values():
        schema = {**content.get("schema", {}), "components": document["components"]}
        jsonschema.validate(content["example"], schema)


async def test_examples_are_what_the_api_answers(api: Api, app: FastAPI) -> None:
    walk = await prepare(api)
    given = {one.name: abridge(await walk.ask(one)) for one in list_operations(app.openapi())}
    if SHOULD_WRITE:
        FILE.write_text(json.dumps(given, indent=1, ensure_ascii=False, sort_keys=True) + "\n")
    kept = load_examples()
    assert given.keys() == kept.keys()
    assert {name: describe_shape(one) for name, one in given.items()} == {
        name: describe_shape(one) for name, one in kept.items()
    }
