"""The example of many runs in one task, with as many as the page speaks of, against the reference service."""

from __future__ import annotations

import importlib.util
import json
import logging
from collections.abc import Iterator
from datetime import datetime
from itertools import accumulate
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_pushmetrics.exceptions import PushMetricsError
from tests.fakes.service_process import API_TOKEN, ServiceProcess, run_service

DAG_FILE = Path(__file__).parents[3] / "dags" / "example_pushmetrics_many_runs.py"
COUNT = 200
TASK = {"run_id": "manual", "dag": SimpleNamespace(dag_id="a_dag")}


def load_example() -> Any:
    spec = importlib.util.spec_from_file_location("many_runs", DAG_FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def add_short_report(service: ServiceProcess) -> str:
    """Create a report of a text with two parameters; return the token of its trigger."""
    parameters = [
        {"type": "parameter", "name": name, "content": {"type": "any"}} for name in ("origin", "month")
    ]
    text = {
        "type": "text",
        "name": "text",
        "content": {"text": "{{ origin }} in month {{ month }}{{ 1 // month.divisor if month is mapping }}"},
    }
    body = {"name": "Short", "blocks": [*parameters, text]}
    report = service.client.post("/api/v1/report/", json=body).raise_for_status().json()["result"]
    webhook = service.client.post("/api/v1/webhook/", json={"report_id": report["id"]}).raise_for_status()
    return str(webhook.json()["result"]["token"])


def list_runs(service: ServiceProcess) -> list[dict[str, Any]]:
    runs: list[dict[str, Any]] = []
    while True:
        query = f"(page:{len(runs) // 100},page_size:100)"
        page = service.client.get("/api/v1/noteflow_run/", params={"q": query}).json()["result"]
        runs += page
        if len(page) < 100:
            return runs


def count_at_once(runs: list[dict[str, Any]]) -> int:
    """Count how many runs there were at the same time, at most."""
    moments = [(read_time(run["start_time"]), 1) for run in runs]
    moments += [(read_time(run["end_time"]), -1) for run in runs]
    return max(accumulate(change for _, change in sorted(moments)))


def read_time(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServiceProcess]:
    """A service with a short report, and the connection to it."""
    with run_service(tmp_path / "service") as service:
        service.wait_until_ready()
        connection = {
            "conn_type": "pushmetrics",
            "host": str(service.client.base_url),
            "password": API_TOKEN,
            "extra": {"trigger_tokens": {"1": add_short_report(service)}},
        }
        monkeypatch.setenv("AIRFLOW_CONN_PUSHMETRICS_DEFAULT", json.dumps(connection))
        yield service


@pytest.mark.slow
@pytest.mark.usefixtures("service")
def test_the_log_has_the_reason_of_each_run_that_failed(caplog: pytest.LogCaptureFixture) -> None:
    example = load_example()
    requests = [{"origin": "JFK", "month": 1}, {"origin": "JFK", "month": {"divisor": 0}}]
    runs = example.run_reports.function(requests, **TASK)
    assert [run["status"] for run in runs] == ["success", "failed"]
    logger = logging.getLogger("airflow.task")  # in Airflow 2, its lines do not reach the root logger
    logger.addHandler(caplog.handler)
    try:
        with pytest.raises(PushMetricsError, match="1 of 2 runs"):
            example.refuse_failures.function(runs)
    finally:
        logger.removeHandler(caplog.handler)
    (line,) = {record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR}
    assert f"run {runs[1]['run_id']}: text: the template failed" in line


@pytest.mark.slow
def test_one_task_runs_a_report_200_times_with_ten_runs_at_a_time(service: ServiceProcess) -> None:
    example = load_example()
    requests = [{"origin": ("JFK", "LGA", "EWR")[n % 3], "month": 1 + n % 12} for n in range(COUNT)]
    runs = example.run_reports.function(requests, **TASK)
    assert [run["parameters"] for run in runs] == requests
    assert example.refuse_failures.function(runs) == COUNT
    found = {run["id"]: run for run in list_runs(service)}
    assert sorted(found) == sorted(run["run_id"] for run in runs)
    assert all(found[run["run_id"]]["parameters"] == run["parameters"] for run in runs)
    assert 1 < count_at_once(list(found.values())) <= example.AT_ONCE
    again = example.run_reports.function(requests, **TASK)
    assert [run["run_id"] for run in again] == [run["run_id"] for run in runs]
    assert len(list_runs(service)) == COUNT
