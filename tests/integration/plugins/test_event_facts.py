"""The report's name, the link and the status that the page of events shows of a run."""

from __future__ import annotations

import json
import socket
import warnings
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from airflow.models.connection import Connection

from airflow_provider_pushmetrics.receiver.endpoints.parsing import parse_webhook
from airflow_provider_pushmetrics.receiver.runtime import RuntimeOpener
from tests.fakes.airflow_tables import AirflowTables
from tests.fakes.pushmetrics import FakePushMetrics
from tests.fakes.service_process import find_free_port

with warnings.catch_warnings():
    # Airflow's app brings Starlette's test client, which says that httpx will be httpx2 one day.
    warnings.simplefilter("ignore")

    from airflow_provider_pushmetrics.plugins.event_facts import EventRunFacts, EventSubject, read_subject

Connect = Callable[..., None]


@pytest.fixture(name="connect")
def make_connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    def connect(host: str, password: str | None = FakePushMetrics("").api_token) -> None:
        connection = {"conn_type": "pushmetrics", "host": host, "password": password}
        monkeypatch.setenv("AIRFLOW_CONN_PUSHMETRICS_DEFAULT", json.dumps(connection))

    return connect


def deliver(opener: RuntimeOpener, url: str, **fields: Any) -> int:
    body = {"event": "report.run", "report_id": 1, "report_name": "Delays", "report_notebook_outputs": url}
    (recorded,) = opener.open().inbox.record(
        [parse_webhook("demo", None, json.dumps(body | fields).encode())]
    )
    return recorded.id


async def test_runs_have_a_status_and_a_link(
    opener: RuntimeOpener, visitor: httpx.AsyncClient, pushmetrics: FakePushMetrics, connect: Connect
) -> None:
    connect(pushmetrics.url)
    pushmetrics.outcomes = ["success", "failed", "success", "success", "failed"]
    urls = [f"{pushmetrics.url}/api/reports/1/run/{pushmetrics.start_run().id}" for _ in range(5)]
    numbers = [deliver(opener, url) for url in urls]
    assert [row["report_name"] for row in (await visitor.get("/events")).json()["events"]] == ["Delays"] * 5
    for asked in (numbers, numbers[:2]):  # by the list of runs, and singly
        answer = await visitor.get("/runs", params={"event_id": asked})
        shown = answer.json()["runs"]
        assert [shown[str(number)]["url"] for number in asked] == urls[: len(asked)]
        statuses = [shown[str(number)]["status"] for number in asked]
        assert statuses == [run.status for run in pushmetrics.runs[: len(asked)]]
        assert pushmetrics.api_token not in answer.text


async def test_lists_of_runs_are_asked_for_once_in_some_seconds(
    opener: RuntimeOpener, visitor: httpx.AsyncClient, pushmetrics: FakePushMetrics, connect: Connect
) -> None:
    connect(pushmetrics.url)
    numbers = [
        deliver(opener, f"{pushmetrics.url}/api/reports/1/run/{pushmetrics.start_run().id}") for _ in range(4)
    ]
    for _ in range(3):
        await visitor.get("/runs", params={"event_id": numbers})
    assert len(pushmetrics.seen) == 1


async def test_run_of_another_server_has_neither_link_nor_status(
    opener: RuntimeOpener, visitor: httpx.AsyncClient, pushmetrics: FakePushMetrics, connect: Connect
) -> None:
    """A sender that has only a token may write any URL."""
    connect(pushmetrics.url)
    pushmetrics.start_run()
    numbers = [
        deliver(opener, url)
        for url in ("https://elsewhere.example.com/api/reports/1/run/1", "javascript:alert(1)", "")
    ]
    assert (await visitor.get("/runs", params={"event_id": numbers})).json() == {"runs": {}}
    assert pushmetrics.seen == []


async def test_query_run_has_a_link_and_no_status_of_a_report_run(
    opener: RuntimeOpener, visitor: httpx.AsyncClient, pushmetrics: FakePushMetrics, connect: Connect
) -> None:
    connect(pushmetrics.url)
    run = pushmetrics.start_run()
    url = f"{pushmetrics.url}/api/reports/1/queries/3/run/{run.id}"
    number = deliver(opener, "", event="query.run", query_id=3, query_result=url)
    shown = (await visitor.get("/runs", params={"event_id": number})).json()["runs"]
    assert shown == {str(number): {"url": url, "status": None}}


@pytest.mark.parametrize("password", [None, "wrong"])
async def test_without_a_valid_token_there_is_only_the_link(
    opener: RuntimeOpener,
    visitor: httpx.AsyncClient,
    pushmetrics: FakePushMetrics,
    connect: Connect,
    password: str | None,
) -> None:
    connect(pushmetrics.url, password)
    url = f"{pushmetrics.url}/api/reports/1/run/{pushmetrics.start_run().id}"
    number = deliver(opener, url)
    shown = (await visitor.get("/runs", params={"event_id": number})).json()["runs"]
    assert shown == {str(number): {"url": url, "status": None}}


async def test_events_are_shown_while_pushmetrics_is_away(
    opener: RuntimeOpener, visitor: httpx.AsyncClient, connect: Connect
) -> None:
    host = f"http://127.0.0.1:{find_free_port()}"
    connect(host)
    number = deliver(opener, f"{host}/api/reports/1/run/1")
    assert (await visitor.get("/runs", params={"event_id": number})).status_code == 200
    assert len((await visitor.get("/events")).json()["events"]) == 1


@pytest.mark.parametrize("tables_url", ["sqlite"], indirect=True)
async def test_silent_pushmetrics_does_not_hide_the_runs_of_another(
    tables: AirflowTables, pushmetrics: FakePushMetrics, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent_url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        connect(silent_url)
        other = Connection(
            conn_id="other", conn_type="pushmetrics", host=pushmetrics.url, password=pushmetrics.api_token
        )
        with tables.sessions.begin() as session:
            session.add(other)
        run = pushmetrics.start_run()
        urls = [f"{silent_url}/api/reports/1/run/1", f"{pushmetrics.url}/api/reports/1/run/{run.id}"]
        subjects = {number: EventSubject("Delays", url, 1) for number, url in enumerate(urls)}
        shown = await EventRunFacts(timeout_seconds=5.0).fetch(subjects)
    assert shown == {0: {"url": urls[0], "status": None}, 1: {"url": urls[1], "status": "success"}}


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"[" * 100_000, b'{"report_name": 3}'])
def test_body_of_any_shape_says_nothing(body: bytes) -> None:
    assert read_subject(body) == EventSubject()
