"""The main job in a real Airflow: what a person who runs the demo can rely on."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests

from demo.display import Display
from demo.http_client import DagRun
from demo.main_job import TRIGGER_DAG, WEBHOOK_DAG, MainJobOutcome, find_results, run_main_job
from demo.system import DemoSystem
from tests.acceptance.flights import compute_by_carrier


def assert_same_rows(rows: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    by_carrier = {row["carrier"]: row for row in expected}
    assert [row["carrier"] for row in rows if row["carrier"] not in by_carrier] == []
    assert len(rows) == len(expected)
    for row in rows:
        wanted = by_carrier[row["carrier"]]
        assert (row["name"], row["flights"]) == (wanted["name"], wanted["flights"])
        assert row["mean_dep_delay"] == pytest.approx(wanted["mean_dep_delay"], abs=0.0051)


def run_airflow(system: DemoSystem, *arguments: str, **environ: str) -> str:
    """Run an ``airflow`` command about the system, and return what it prints."""
    return subprocess.run(
        [str(Path(sys.executable).with_name("airflow")), *arguments],
        env={**system.build_airflow_environment(), "COLUMNS": "300", **environ},
        capture_output=True,
        check=True,
        text=True,
        timeout=120,
    ).stdout


def read_rows(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))["data"]
    return rows


def run_and_read(system: DemoSystem, origin: str) -> list[dict[str, Any]]:
    """Run the first Dag for February, and read what it has saved."""
    before = find_results(system)
    system.run_dag(TRIGGER_DAG, {"origin": origin, "month": 2})
    (saved,) = find_results(system) - before
    return read_rows(saved)


def fetch_starting_events(system: DemoSystem, run: DagRun) -> list[dict[str, Any]]:
    """Fetch the asset events that started a run."""
    events: list[dict[str, Any]] = system.airflow.find(f"{run.path}/upstreamAssetEvents")["asset_events"]
    return events


def test_the_report_gives_the_rows_of_an_independent_computation(outcome: MainJobOutcome) -> None:
    assert outcome.trigger_run.state == "success"
    assert_same_rows(outcome.rows, compute_by_carrier("JFK", 2))


def test_the_readme_shows_what_the_demo_prints(outcome: MainJobOutcome, display: Display) -> None:
    """But for times and ports; the rest says where the result is, and that everything was stopped."""
    printed = display.console.file
    assert isinstance(printed, io.StringIO)
    readme = (Path(__file__).resolve().parents[2] / "README.md").read_text("utf-8")
    (shown,) = re.findall(r"^<!-- demo -->\n```text\n(.*?)^```", readme, re.M | re.S)
    found, wanted = (list_words(output) for output in (printed.getvalue(), shown))
    assert found == wanted
    assert len(outcome.rows) > 5
    assert all(row["name"].split()[0] in wanted for row in outcome.rows)


def list_words(output: str) -> list[str]:
    """List the words up to the end of the first result, without what differs between two runs."""
    until_result, end, _ = output.partition("The result is in")
    assert end
    return re.sub(r"\d+\.\d s\b|(?<=127\.0\.0\.1:)\d+", "", until_result).split()


def test_the_second_dag_is_started_by_the_webhook_and_by_no_schedule(
    system: DemoSystem, outcome: MainJobOutcome
) -> None:
    assert (outcome.webhook_run.state, outcome.webhook_run.run_type) == ("success", "asset_triggered")
    events = fetch_starting_events(system, outcome.webhook_run)
    assert [event["extra"]["payload"]["body"]["event"] for event in events] == ["report.run"]
    assert {run.run_type for run in system.airflow.find_runs(WEBHOOK_DAG)} == {"asset_triggered"}


def test_the_api_server_starts_a_dag_by_the_same_event(
    system: DemoSystem, outcome: MainJobOutcome, api_server_run: DagRun
) -> None:
    (by_triggerer,) = fetch_starting_events(system, outcome.webhook_run)
    (by_api_server,) = fetch_starting_events(system, api_server_run)
    assert (api_server_run.state, api_server_run.run_type) == ("success", "asset_triggered")
    assert by_api_server["extra"]["payload"] == by_triggerer["extra"]["payload"]
    assert by_api_server["extra"]["from_receiver"] is True


def test_the_second_dag_fetches_the_same_results(system: DemoSystem, outcome: MainJobOutcome) -> None:
    saved = system.folder.results / "webhook_receiver" / outcome.result.parent.name
    assert read_rows(saved / "by_carrier.json") == outcome.rows
    assert sorted(path.stem for path in saved.iterdir()) == ["by_carrier", "by_day", "worst"]


def test_the_report_can_be_run_again_with_other_parameters(
    system: DemoSystem, outcome: MainJobOutcome, display: Display
) -> None:
    again = run_main_job(system, display, {"origin": "EWR", "month": 7})
    assert again.result != outcome.result
    assert again.webhook_run.run_id != outcome.webhook_run.run_id
    assert_same_rows(again.rows, compute_by_carrier("EWR", 7))


def test_a_hostile_parameter_is_a_value_and_no_sql(system: DemoSystem, outcome: MainJobOutcome) -> None:
    assert run_and_read(system, "JFK'; DROP TABLE flights; --") == []
    assert run_and_read(system, "JFK") == outcome.rows, "the flights are gone"


def test_the_sensor_finds_the_run_that_another_task_started(system: DemoSystem) -> None:
    assert system.run_dag("example_pushmetrics_sensor", {}).state == "success"


def test_airflow_lists_the_provider(system: DemoSystem) -> None:
    providers = json.loads(run_airflow(system, "providers", "list", "--output", "json"))
    assert "airflow-provider-pushmetrics" in {row["package_name"] for row in providers}


def test_airflow_knows_the_connection_type(system: DemoSystem) -> None:
    hooks = json.loads(run_airflow(system, "providers", "hooks", "--output", "json"))
    found = [row for row in hooks if row["connection_type"] == "pushmetrics"]
    assert [row["package_name"] for row in found] == ["airflow-provider-pushmetrics"]


def test_airflow_can_test_the_connection(system: DemoSystem) -> None:
    told = run_airflow(
        system, "connections", "test", "pushmetrics_default", AIRFLOW__CORE__TEST_CONNECTION="Enabled"
    )
    assert "Connection success!" in told  # it says more only of a failure


def test_the_receiver_refuses_who_shows_nothing(system: DemoSystem) -> None:
    answer = requests.get(f"{system.airflow_url}/pushmetrics/events", timeout=120)
    assert answer.status_code == 401
