from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from demo.errors import DemoError
from demo.http_clients import COMPONENTS, AirflowClient, DagRun, JsonClient
from tests.fakes.service_process import find_free_port
from tests.integration.demo.conftest import FakeServer

RUN = DagRun("flights", "manual__2013-02-01T00:00:00+00:00", "failed", "manual")


@pytest.fixture(name="client")
def make_client(server: FakeServer) -> Iterator[JsonClient]:
    client = JsonClient("the server", server.url, "pmpat_x")
    yield client
    client.close()


@pytest.fixture(name="nobody")
def make_nobody() -> Iterator[JsonClient]:
    client = JsonClient("the server", f"http://127.0.0.1:{find_free_port()}")
    yield client
    client.close()


@pytest.fixture(name="airflow")
def make_airflow(server: FakeServer) -> Iterator[AirflowClient]:
    airflow = AirflowClient(server.url)
    yield airflow
    airflow.close()


def test_json_is_found_with_the_token_and_not_through_a_proxy(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    client = JsonClient("the server", server.url, "pmpat_x")
    server.will_answer("GET", "/thing", {"a": 1})
    assert client.find("/thing", limit=5) == client.fetch("/thing") == {"a": 1}
    assert server.requests[0][1] == "/thing?limit=5"
    assert server.requests[0][2]["Authorization"] == "Bearer pmpat_x"
    client.close()


@pytest.mark.parametrize("status", [404, 500, 503])
def test_a_server_that_is_not_up_or_cannot_serve_has_nothing(
    server: FakeServer, client: JsonClient, nobody: JsonClient, status: int
) -> None:
    server.will_answer("GET", "/thing", {}, status)
    assert (client.find("/thing"), nobody.find("/thing")) == (None, None)


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (403, {"message": "Forbidden"}, r'the server answered 403 to GET /thing: \{"message": "Forbidden"\}'),
        (403, {"message": "no token=s3cret here"}, r"no token=\*\*\* here"),
        (401, {}, r"Does another program listen at http://127\.0\.0\.1:\d+\?"),
        (302, {}, "answered 302"),
        (200, b"<html>", "the server answered 200 to GET /thing: <html>"),
    ],
)
def test_a_refusal_is_an_error_without_a_token(
    server: FakeServer, client: JsonClient, status: int, body: object, message: str
) -> None:
    server.will_answer("GET", "/thing", body, status)
    with pytest.raises(DemoError, match=message) as raised:
        client.fetch("/thing")
    assert "s3cret" not in str(raised.value)


def test_a_server_that_is_down_is_named(nobody: JsonClient) -> None:
    with pytest.raises(DemoError, match="the server has no answer to GET /thing"):
        nobody.fetch("/thing")
    with pytest.raises(DemoError, match="the server does not answer POST /thing"):
        nobody.post("/thing", {})


def write_row(state: str = "success", run_id: str = "r1", run_type: str = "manual") -> dict[str, str]:
    return {"dag_id": "flights", "dag_run_id": run_id, "state": state, "run_type": run_type}


def test_airflow_is_healthy_when_all_components_are(server: FakeServer, airflow: AirflowClient) -> None:
    health: dict[str, Any] = {name: {"status": "healthy"} for name in COMPONENTS}
    for triggerer in ({"status": "unhealthy"}, None):
        server.will_answer("GET", "/api/v2/monitor/health", health | {"triggerer": triggerer})
        assert airflow.find_health() is None
    server.will_answer("GET", "/api/v2/monitor/health", health)
    assert airflow.find_health() is True


def test_every_request_has_the_token_of_the_login(server: FakeServer, airflow: AirflowClient) -> None:
    server.will_answer("POST", "/auth/token", {"access_token": "jwt"}, 201)
    airflow.log_in("admin", "password")
    assert server.requests[0][3] == {"username": "admin", "password": "password"}
    airflow.find_run(RUN)
    assert server.requests[1][2]["Authorization"] == "Bearer jwt"


@pytest.mark.parametrize("status", [200, 409])
def test_a_dag_is_run_once_by_one_id_while_the_database_is_locked(
    server: FakeServer, airflow: AirflowClient, status: int
) -> None:
    """A 409 means that an attempt which was answered with an error had created the run."""
    server.failures = 2
    server.will_answer("POST", "/api/v2/dags/flights/dagRuns", write_row("queued"), status)
    run = airflow.trigger_dag("flights", {"origin": "JFK"})
    assert (run.dag_id, run.state) == ("flights", "queued")
    wanted = {"dag_run_id": run.run_id, "logical_date": None, "conf": {"origin": "JFK"}}
    assert [request[3] for request in server.requests] == [wanted] * 3


def test_a_server_error_that_stays_is_an_error(server: FakeServer, airflow: AirflowClient) -> None:
    server.failures = 100
    with pytest.raises(DemoError, match="Airflow answered 500 to POST"):
        airflow.trigger_dag("flights", {})


def test_a_run_is_found_by_its_quoted_id(server: FakeServer, airflow: AirflowClient) -> None:
    assert (airflow.find_runs("flights"), airflow.find_run(RUN)) == ([], None)
    path = "/api/v2/dags/flights/dagRuns/manual__2013-02-01T00%3A00%3A00%2B00%3A00"
    server.will_answer("GET", RUN.path, write_row("running", RUN.run_id))
    assert airflow.find_run(RUN) == DagRun("flights", RUN.run_id, "running", "manual")
    assert server.requests[-1][1] == path


def test_a_dag_that_cannot_be_read_is_an_error_with_its_traceback(
    server: FakeServer, airflow: AirflowClient
) -> None:
    fault = {"filename": "dags/flights.py", "stack_trace": "SyntaxError: no"}
    server.will_answer("GET", "/api/v2/importErrors", {"import_errors": [fault]})
    with pytest.raises(DemoError, match=r"Airflow cannot read dags/flights\.py") as raised:
        airflow.find_dag("flights")
    assert raised.value.log == "SyntaxError: no"


def test_a_failed_task_is_named_and_shows_the_last_lines_of_its_log(
    server: FakeServer, airflow: AirflowClient
) -> None:
    tasks = [
        {"task_id": "fetch", "state": "upstream_failed", "try_number": 0, "map_index": -1},
        {"task_id": "trigger", "state": "failed", "try_number": 1, "map_index": -1},
    ]
    server.will_answer("GET", f"{RUN.path}/taskInstances", {"task_instances": tasks})
    detail = [{"exc_type": "PushMetricsRunFailed", "exc_value": "run 7 failed"}]
    many = "\n\n".join(f"line {number}" for number in range(100))
    content = [{"event": many}, {"event": "Task failed with exception", "error_detail": detail}]
    server.will_answer("GET", f"{RUN.path}/taskInstances/trigger/logs/1", {"content": content})
    with pytest.raises(DemoError, match="task 'trigger' of Dag 'flights' failed") as raised:
        airflow.require_success(RUN)
    lines = raised.value.log.splitlines()
    assert (len(lines), lines[0], lines[-1]) == (20, "line 82", "PushMetricsRunFailed: run 7 failed")


def test_a_failed_run_without_a_failed_task_is_an_error_too(
    server: FakeServer, airflow: AirflowClient
) -> None:
    server.will_answer("GET", f"{RUN.path}/taskInstances", {"task_instances": []})
    with pytest.raises(DemoError, match="ended with status 'failed', though none of its tasks failed"):
        airflow.require_success(RUN)
