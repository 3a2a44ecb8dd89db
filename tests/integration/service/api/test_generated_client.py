"""A client that is generated from the OpenAPI document calls every operation of the service."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from airflow_provider_pushmetrics.service.app import create_app
from airflow_provider_pushmetrics.service.models import OutgoingMessage
from airflow_provider_pushmetrics.service.runtime import ServiceParts
from airflow_provider_pushmetrics.service.settings import ServiceSettings
from airflow_provider_pushmetrics.service.storage.clock import get_now
from tests.fakes.generated_client import PACKAGE, Walk, generate_client, list_operations
from tests.fakes.service_process import API_TOKEN
from tests.fakes.service_reports import ENDLESS, TRIGGER_TOKEN, sql, text
from tests.integration.service.conftest import BASE_URL, Api
from tests.integration.service.notifications.conftest import connect

REPORT = "/api/v1/report"
STOP_BLOCK = "POST /api/v1/block/{reference}/run/{run_id}/cancel"
FLIGHTS = {"database_name": "shop", "sqlalchemy_uri": "duckdb:///flights.duckdb"}
RUNS = "/api/v1/noteflow_run/{reference}"
SUBSCRIPTION = "/api/v1/webhook_subscription/{reference}"
ALONE = "/api/reports/{report}/queries/{query}/run/{run_id}"


async def prepare(api: Api, client: Any, callers: dict[str, Any]) -> Walk:
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
        client,
        clients=callers,
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
            "PUT /api/v1/workspace/{reference}": 1,
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
            "GET /api/v1/database/{reference}/search_tables/": {"pattern": "flights"},
        },
    )


async def add_user(api: Api, email: str) -> int:
    """Take somebody into the workspace."""
    user = {"email": email, "first_name": "Ann", "last_name": "Lee", "roles": [3]}
    made: int = (await api.client.post("/api/v1/user/", json=user)).raise_for_status().json()["id"]
    return made


@pytest.fixture(scope="module", name="parts")
def connect_parts(
    tmp_path_factory: pytest.TempPathFactory, flights_file: Path, shared_database_url: str | None
) -> Iterator[ServiceParts]:
    """Give a service with the demo that can send mails and Slack messages, as some operations need it."""
    data_dir = tmp_path_factory.mktemp("connected")
    (data_dir / "sources").mkdir()
    shutil.copy(flights_file, data_dir / "sources")
    sources = (tmp_path_factory.getbasetemp(),)
    with connect(data_dir, shared_database_url, source_dirs=sources, demo=True) as connected:
        yield connected.parts


@pytest.fixture(scope="session")
def client_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Generate the client, which does not depend on the service's database."""
    folder = tmp_path_factory.mktemp("client")
    generate_client(create_app(ServiceSettings(folder, public_url=BASE_URL)).openapi(), folder)
    return folder


@pytest.mark.slow
async def test_generated_client_reads_every_answer_as_it_was_sent(
    api: Api, app: FastAPI, client_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(client_folder)
    generated = import_module(PACKAGE)
    transport = httpx.ASGITransport(app)
    client = generated.AuthenticatedClient(BASE_URL, API_TOKEN, httpx_args={"transport": transport})
    caller = generated.Client(
        BASE_URL, httpx_args={"transport": transport, "params": {"token": TRIGGER_TOKEN}}
    )
    triggers = (f"{method} {REPORT}/{{reference}}/webhook" for method in ("GET", "POST"))
    walk = await prepare(api, client, dict.fromkeys(triggers, caller))
    for operation in list_operations(app.openapi()):
        answer = await walk.call(operation)
        if answer.headers["content-type"].startswith("application/json"):
            assert answer.parsed.to_dict() == json.loads(answer.content), operation.name
