from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_pushmetrics.demo.clients.airflow import COMPONENTS, AirflowApi, DagRun, format_log
from airflow_provider_pushmetrics.exceptions import DemoError
from tests.integration.demo.conftest import FakeServer

RUN = DagRun("flights", "manual__2013-02-01T00:00:00+00:00", "failed", "manual")


@pytest.fixture(name="airflow")
def make_airflow(server: FakeServer) -> Iterator[AirflowApi]:
    airflow = AirflowApi(server.url, "admin", "password")
    yield airflow
    airflow.close()


def write_row(state: str = "success", run_id: str = "r1", run_type: str = "manual") -> dict[str, str]:
    return {"dag_id": "flights", "dag_run_id": run_id, "state": state, "run_type": run_type}


def test_airflow_is_healthy_when_all_components_are(server: FakeServer, airflow: AirflowApi) -> None:
    health: dict[str, Any] = {name: {"status": "healthy"} for name in COMPONENTS}
    server.will_answer("GET", "/api/v2/monitor/health", health | {"triggerer": {"status": "unhealthy"}})
    assert airflow.find_health() is None
    server.will_answer("GET", "/api/v2/monitor/health", health | {"triggerer": None})
    assert airflow.find_health() is None
    server.will_answer("GET", "/api/v2/monitor/health", health)
    assert airflow.find_health() is True


def test_every_request_shows_the_token_of_the_login(server: FakeServer, airflow: AirflowApi) -> None:
    server.will_answer("POST", "/auth/token", {"access_token": "jwt"}, 201)
    airflow.log_in()
    assert server.requests[0][3] == {"username": "admin", "password": "password"}
    airflow.find_dag("flights")
    assert server.requests[1][2]["Authorization"] == "Bearer jwt"


def test_a_dag_is_run_with_values_for_its_params(server: FakeServer, airflow: AirflowApi) -> None:
    server.will_answer("POST", "/api/v2/dags/flights/dagRuns", write_row("queued"))
    run = airflow.trigger_dag("flights", {"origin": "JFK"})
    assert run == DagRun("flights", "r1", "queued", "manual")
    body = server.requests[0][3]
    assert body.pop("dag_run_id").startswith("demo_")
    assert body == {"logical_date": None, "conf": {"origin": "JFK"}}


def test_a_run_is_asked_for_again_by_the_same_id_while_the_database_is_locked(
    server: FakeServer, airflow: AirflowApi
) -> None:
    server.failures = 2
    server.will_answer("POST", "/api/v2/dags/flights/dagRuns", write_row("queued"))
    assert airflow.trigger_dag("flights", {}).run_id == "r1"
    assert len({request[3]["dag_run_id"] for request in server.requests}) == 1
    assert len(server.requests) == 3


def test_a_run_that_an_attempt_with_an_error_created_is_found(
    server: FakeServer, airflow: AirflowApi
) -> None:
    server.will_answer("POST", "/api/v2/dags/flights/dagRuns", {"detail": "exists"}, 409)
    with pytest.raises(DemoError, match=r"404 to GET /api/v2/dags/flights/dagRuns/demo_"):
        airflow.trigger_dag("flights", {})
    created = server.requests[0][3]["dag_run_id"]
    assert server.requests[1][1] == f"/api/v2/dags/flights/dagRuns/{created}"


def test_a_server_error_that_stays_is_an_error(server: FakeServer, airflow: AirflowApi) -> None:
    server.failures = 100
    with pytest.raises(DemoError, match="Airflow answered 500 to POST"):
        airflow.trigger_dag("flights", {})


def test_a_run_is_found_by_its_quoted_id(server: FakeServer, airflow: AirflowApi) -> None:
    path = "/api/v2/dags/flights/dagRuns/manual__2013-02-01T00%3A00%3A00%2B00%3A00"
    server.will_answer("GET", path, write_row("running", RUN.run_id))
    assert airflow.find_run(RUN) == DagRun("flights", RUN.run_id, "running", "manual")


def test_runs_are_none_while_airflow_is_busy(airflow: AirflowApi) -> None:
    assert airflow.find_runs("flights") == []
    assert airflow.find_run(RUN) is None


def test_a_dag_that_cannot_be_read_is_an_error_with_its_traceback(
    server: FakeServer, airflow: AirflowApi
) -> None:
    fault = {"filename": "dags/flights.py", "stack_trace": "SyntaxError: no"}
    server.will_answer("GET", "/api/v2/importErrors", {"import_errors": [fault]})
    with pytest.raises(DemoError, match=r"Airflow cannot read dags/flights\.py") as raised:
        airflow.require_no_import_errors()
    assert raised.value.log == "SyntaxError: no"


def test_a_failed_task_is_named_and_shows_the_end_of_its_log(server: FakeServer, airflow: AirflowApi) -> None:
    tasks = [
        {"task_id": "fetch", "state": "upstream_failed", "try_number": 0, "map_index": -1},
        {"task_id": "trigger", "state": "failed", "try_number": 1, "map_index": -1},
    ]
    server.will_answer("GET", f"{RUN.path}/taskInstances", {"task_instances": tasks})
    detail = [{"exc_type": "PushMetricsRunFailed", "exc_value": "run 7 failed"}]
    content = [{"event": "starting"}, {"event": "Task failed with exception", "error_detail": detail}]
    server.will_answer("GET", f"{RUN.path}/taskInstances/trigger/logs/1", {"content": content})
    with pytest.raises(DemoError, match="task 'trigger' of Dag 'flights' failed") as raised:
        airflow.require_success(RUN)
    assert raised.value.log.splitlines()[-1] == "PushMetricsRunFailed: run 7 failed"


def test_a_failed_run_without_a_failed_task_is_an_error_too(server: FakeServer, airflow: AirflowApi) -> None:
    server.will_answer("GET", f"{RUN.path}/taskInstances", {"task_instances": []})
    with pytest.raises(DemoError, match="ended with status 'failed', though none of its tasks failed"):
        airflow.require_success(RUN)


def test_a_successful_run_asks_nothing_more(server: FakeServer, airflow: AirflowApi) -> None:
    airflow.require_success(DagRun("flights", "r1", "success", "manual"))
    assert server.requests == []


def test_a_log_of_plain_lines_is_cut_to_its_end() -> None:
    assert format_log([f"line {number}" for number in range(100)]).splitlines()[0] == "line 80"


def test_an_event_of_many_lines_counts_its_lines() -> None:
    log = format_log([{"event": "\n\n".join(f"line {number}" for number in range(100))}])
    assert log.splitlines()[0] == "line 80"
