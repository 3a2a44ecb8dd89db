"""The main job: run a report from Airflow, wait for it, fetch its result, and start a Dag by its webhook."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo.display import Display
from demo.errors import DemoError
from demo.http_clients import DagRun
from demo.system import TRIGGER_DAG, WEBHOOK_DAG, DemoSystem

PARAMETERS: Mapping[str, Any] = {"origin": "JFK", "month": 2}
QUERY = "by_carrier"


@dataclass(frozen=True)
class MainJobOutcome:
    """
    The result of the main job.

    :param trigger_run: The run of the Dag that ran the report.
    :param webhook_run: The run of the Dag that the report's webhook started.
    :param result: Where the first query's result was saved.
    :param rows: Its rows.
    """

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
        system.wait_for_dags()


def run_main_job(
    system: DemoSystem, display: Display, parameters: Mapping[str, Any] = PARAMETERS
) -> MainJobOutcome:
    """Run the report by its Dag with these parameters, and wait for the Dag that its webhook starts."""
    files, webhook_runs = find_files(system.folder.results), system.find_webhook_run_ids()
    described = ", ".join(f"{name}={value}" for name, value in parameters.items())
    with display.step(
        f"Run Dag {TRIGGER_DAG} with {described}: trigger the report, wait, fetch, save"
    ) as step:
        trigger_run = system.run_dag(TRIGGER_DAG, parameters)
        step.note = trigger_run.state
    result = find_result(find_files(system.folder.results) - files, QUERY)
    with display.step(f"Wait for Dag {WEBHOOK_DAG}, which the report's webhook starts") as step:
        webhook_run = system.wait_for_webhook_run(webhook_runs)
        step.note = f"{webhook_run.state}, {webhook_run.run_type}"
    outcome = MainJobOutcome(trigger_run, webhook_run, result, read_rows(result))
    display.show_rows(f"Departure delays, {QUERY}, for {described}: {len(outcome.rows)} rows", outcome.rows)
    display.print_line(f"The result is in {result}\n")
    return outcome


def find_files(folder: Path) -> set[Path]:
    """Find every file below a folder."""
    return {path for path in folder.rglob("*") if path.is_file()}


def find_result(files: set[Path], query_name: str) -> Path:
    """
    Find the file with the result of a query.

    :raises DemoError: if there is none among these.
    """
    for path in sorted(files):
        if path.stem == query_name:
            return path
    names = ", ".join(sorted(path.name for path in files)) or "none"
    raise DemoError(f"the Dag saved no result of query {query_name!r}; the files that it saved: {names}.")


def read_rows(path: Path) -> list[dict[str, Any]]:
    """
    Read the rows of a result saved as JSON.

    :raises DemoError: if the file holds something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return list(content["data"] if isinstance(content, dict) else content)
    except (ValueError, KeyError) as error:
        raise DemoError(f"{str(path)!r} has no rows as JSON: {error}.") from error
