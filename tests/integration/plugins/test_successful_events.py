"""Assets that the API server updates by successful runs only, for which the API is asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from airflow import DAG

from airflow_provider_pushmetrics.assets.pushmetrics import build_run_asset
from airflow_provider_pushmetrics.plugins.asset_updates import fetch_assets
from airflow_provider_pushmetrics.receiver.endpoints.parsing import parse_webhook
from airflow_provider_pushmetrics.receiver.runtime import ReceiverRuntime
from tests.fakes.airflow_tables import AirflowTables
from tests.fakes.pushmetrics import FakePushMetrics
from tests.integration.plugins.test_asset_updates import run_updater, wait_for

CONNECTION = "pushmetrics_of_api_server"
Connect = Callable[..., None]


@pytest.fixture(name="connect")
def make_connect(monkeypatch: pytest.MonkeyPatch, pushmetrics: FakePushMetrics) -> Connect:
    """Set the connection, where Airflow's API server finds it."""

    def set_connection(password: str | None = pushmetrics.api_token) -> None:
        value = {"conn_type": "pushmetrics", "host": pushmetrics.url, "password": password}
        monkeypatch.setenv(f"AIRFLOW_CONN_{CONNECTION.upper()}", json.dumps(value))

    return set_connection


@pytest.fixture(autouse=True)
def store_asset(tables: AirflowTables) -> None:
    asset = build_run_asset(
        "sales", updated_by="api_server", only_successful=True, pushmetrics_conn_id=CONNECTION
    )
    tables.process_dags(DAG("reacts", schedule=[asset]))


async def run_reports(pushmetrics: FakePushMetrics, runtime: ReceiverRuntime, *outcomes: str) -> None:
    pushmetrics.outcomes = list(outcomes)
    for _ in outcomes:
        body: Any = pushmetrics.build_event(pushmetrics.start_run())
        await runtime.writer.record(parse_webhook("demo", None, json.dumps(body).encode()))


def read_ids(tables: AirflowTables) -> list[int]:
    return [row.extra["payload"]["id"] for row in tables.list_events()]


def fetch_position(runtime: ReceiverRuntime) -> int:
    (asset,) = fetch_assets()
    return runtime.inbox.fetch_consumer(asset.position_name).position


async def test_only_successful_runs_update_the_asset(
    tables: AirflowTables, runtime: ReceiverRuntime, pushmetrics: FakePushMetrics, connect: Connect
) -> None:
    connect()
    async with run_updater(runtime):
        await run_reports(pushmetrics, runtime, "failed", "success", "cancelled", "success", "failed")
        await wait_for(lambda: fetch_position(runtime) == 5)
    assert read_ids(tables) == [2, 4]


async def test_events_wait_while_pushmetrics_is_away(
    tables: AirflowTables, runtime: ReceiverRuntime, pushmetrics: FakePushMetrics, connect: Connect
) -> None:
    connect()
    pushmetrics.api_outages = 7
    async with run_updater(runtime):
        await run_reports(pushmetrics, runtime, "success")
        await wait_for(lambda: fetch_position(runtime) == 1)
    assert read_ids(tables) == [1]


@pytest.mark.parametrize("cause", ["no-connection", "no-api-token", "wrong-api-token"])
async def test_events_wait_while_nobody_can_say_how_runs_ended_and_the_log_says_why(
    tables: AirflowTables,
    runtime: ReceiverRuntime,
    pushmetrics: FakePushMetrics,
    connect: Connect,
    caplog: pytest.LogCaptureFixture,
    cause: str,
) -> None:
    if cause != "no-connection":
        connect(None if cause == "no-api-token" else "wrong")
    said = {
        "no-connection": f"connection '{CONNECTION}' does not exist",
        "no-api-token": "has no API token",
        "wrong-api-token": "401",
    }[cause]
    async with run_updater(runtime):
        await run_reports(pushmetrics, runtime, "success")
        await wait_for(lambda: said in caplog.text)
        assert (read_ids(tables), fetch_position(runtime)) == ([], 0)
        connect()
        await wait_for(lambda: fetch_position(runtime) == 1)
    assert read_ids(tables) == [1]
