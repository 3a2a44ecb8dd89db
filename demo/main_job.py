"""The main job: run a report from Airflow, wait for it, fetch its result, and start a Dag by its webhook."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from demo.display import Display
from demo.http_client import DagRun
from demo.system import DemoSystem

TRIGGER_DAG = "example_pushmetrics_trigger_report"
WEBHOOK_DAG = "example_pushmetrics_webhook_receiver"
PARAMETERS: Mapping[str, Any] = {"origin": "JFK", "month": 2}
QUERY = "by_carrier"


class MainJobOutcome(NamedTuple):
    """The two runs of Dags, and the rows of the first query, with the file in which they were saved."""

    trigger_run: DagRun
    webhook_run: DagRun
    result: Path
    rows: list[dict[str, Any]]


def start_everything(system: DemoSystem, display: Display) -> None:
    """Start the service and Airflow, and connect them."""
    with display.step("Start the PushMetrics service with 336,776 flights of 2013") as step:
        system.start_service()
        step.note = system.service_url
    with display.step("Get the report's trigger token, and subscribe Airflow's receiver to its runs"):
        system.open_report()
    with display.step("Start Airflow with the provider and its plugin") as step:
        system.start_airflow()
        step.note = system.airflow_url
    with display.step("Wait until Airflow has read the Dags"):
        for dag_id in (TRIGGER_DAG, WEBHOOK_DAG):
            system.wait_for(f"Dag {dag_id}", partial(system.airflow.find, f"/api/v2/dags/{dag_id}"))


def run_main_job(
    system: DemoSystem, display: Display, parameters: Mapping[str, Any] = PARAMETERS
) -> MainJobOutcome:
    """Run the report by its Dag with these parameters, and wait for the Dag that its webhook starts."""
    saved, earlier = find_results(system), find_webhook_runs(system)
    described = ", ".join(f"{name}={value}" for name, value in parameters.items())
    title = f"Run Dag {TRIGGER_DAG} with {described}: trigger the report, wait, fetch, save"
    with display.step(title) as step:
        trigger_run = system.run_dag(TRIGGER_DAG, parameters)
        step.note = trigger_run.state
    with display.step(f"Wait for Dag {WEBHOOK_DAG}, which the report's webhook starts") as step:
        started = system.wait_for(WEBHOOK_DAG, lambda: find_webhook_runs(system) - earlier or None)
        webhook_run = system.wait_for_success(DagRun(WEBHOOK_DAG, min(started)))
        step.note = f"{webhook_run.state}, {webhook_run.run_type}"
    (result,) = find_results(system) - saved
    rows = json.loads(result.read_text("utf-8"))["data"]
    display.show_rows(f"Departure delays, {QUERY}, for {described}: {len(rows)} rows", rows)
    display.print_line(f"The result is in {result}\n")
    return MainJobOutcome(trigger_run, webhook_run, result, rows)


def find_webhook_runs(system: DemoSystem) -> set[str]:
    """Find the ids of the runs that asset events have started."""
    runs = system.airflow.find_runs(WEBHOOK_DAG)
    return {run.run_id for run in runs if run.run_type == "asset_triggered"}


def find_results(system: DemoSystem) -> set[Path]:
    """Find the results of the query that the first Dag has saved."""
    return set((system.folder.results / "trigger_report").rglob(f"{QUERY}.json"))
