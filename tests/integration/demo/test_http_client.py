from __future__ import annotations

from collections.abc import Iterator

import pytest

from demo.errors import DemoError
from demo.http_client import AirflowClient, DagRun
from tests.fakes.service_process import find_free_port
from tests.integration.demo.conftest import FakeServer

PARTS = ("metadatabase", "scheduler", "triggerer", "dag_processor")
RUN = DagRun("flights", "manual__2013-02-01T00:00:00+00:00")


@pytest.fixture(name="airflow")
def make_airflow(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[AirflowClient]:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    airflow = AirflowClient(server.url, "pmpat_x")
    yield airflow
    airflow.close()


def write_row(state: str) -> dict[str, str]:
    return {"dag_id": "flights", "dag_run_id": RUN.run_id, "state": state, "run_type": "manual"}


def test_json_is_found_with_the_token_and_not_through_a_proxy(
    server: FakeServer, airflow: AirflowClient
) -> None:
    server.will_answer("GET", "/thing", {"a": 1})
    assert airflow.find("/thing", limit=5) == {"a": 1}
    assert server.requests[0][1] == "/thing?limit=5"
    assert server.requests[0][2]["Authorization"] == "Bearer pmpat_x"


@pytest.mark.parametrize("status", [404, 500, 503])
def test_a_server_that_is_not_up_or_cannot_serve_has_nothing(
    server: FakeServer, airflow: AirflowClient, status: int
) -> None:
    server.will_answer("GET", "/thing", {}, status)
    nobody = AirflowClient(f"http://127.0.0.1:{find_free_port()}")
    assert (airflow.find("/thing"), nobody.find("/thing"), nobody.find_health()) == (None, None, None)
    with pytest.raises(DemoError, match=r"POST http.*/thing was not answered: ConnectError"):
        nobody.post("/thing", {})
    nobody.close()


@pytest.mark.parametrize(("status", "body"), [(401, {"message": "No"}), (302, {}), (200, b"<html>")])
def test_another_answer_than_json_is_an_error(
    server: FakeServer, airflow: AirflowClient, status: int, body: object
) -> None:
    server.will_answer("GET", "/thing", body, status)
    with pytest.raises(DemoError, match=rf"GET http.*/thing was answered with {status}: "):
        airflow.find("/thing")


def test_airflow_is_healthy_when_all_components_are(server: FakeServer, airflow: AirflowClient) -> None:
    healthy = {name: {"status": "healthy"} for name in PARTS}
    for triggerer in ({"status": "unhealthy"}, None):
        server.will_answer("GET", "/api/v2/monitor/health", {**healthy, "triggerer": triggerer})
        assert airflow.find_health() is None
    server.will_answer("GET", "/api/v2/monitor/health", healthy)
    assert airflow.find_health() is True


def test_every_request_has_the_token_of_the_login(server: FakeServer, airflow: AirflowClient) -> None:
    server.will_answer("POST", "/auth/token", {"access_token": "jwt"}, 201)
    airflow.log_in("admin", "password")
    assert server.requests[0][3] == {"username": "admin", "password": "password"}
    airflow.find_finished_run(RUN)
    assert server.requests[1][2]["Authorization"] == "Bearer jwt"


@pytest.mark.parametrize("status", [200, 409])
def test_a_dag_is_run_once_by_one_id_while_the_database_is_locked(
    server: FakeServer, airflow: AirflowClient, status: int
) -> None:
    """A 409 means that an attempt which was answered with an error had created the run."""
    server.failures = 2
    server.will_answer("POST", "/api/v2/dags/flights/dagRuns", write_row("queued"), status)
    run = airflow.trigger_dag("flights", {"origin": "JFK"})
    wanted = {"dag_run_id": run.run_id, "logical_date": None, "conf": {"origin": "JFK"}}
    assert [request[3] for request in server.requests] == [wanted] * 3


def test_a_server_error_that_stays_is_an_error(server: FakeServer, airflow: AirflowClient) -> None:
    server.failures = 100
    with pytest.raises(DemoError, match="was answered with 500"):
        airflow.trigger_dag("flights", {})


def test_a_run_is_found_by_its_quoted_id_when_it_has_ended(
    server: FakeServer, airflow: AirflowClient
) -> None:
    assert (airflow.find_runs("flights"), airflow.find_finished_run(RUN)) == ([], None)
    path = "/api/v2/dags/flights/dagRuns/manual__2013-02-01T00%3A00%3A00%2B00%3A00"
    assert path == RUN.path
    server.will_answer("GET", path, write_row("running"))
    assert airflow.find_finished_run(RUN) is None
    server.will_answer("GET", path, write_row("failed"))
    assert airflow.find_finished_run(RUN) == DagRun("flights", RUN.run_id, "failed", "manual")
