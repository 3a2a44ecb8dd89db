"""Sensors and an operator that end in each way that there is; the task after each notes what it is handed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_pushmetrics.operators.pushmetrics import PushMetricsTriggerReportOperator
from airflow_provider_pushmetrics.sensors.pushmetrics import PushMetricsRunSensor
from airflow_provider_pushmetrics.transfers.pushmetrics import PushMetricsToObjectStorageOperator

FOLDER = Path(os.environ.get("PUSHMETRICS_EXAMPLE_OUTPUT", "/nonexistent")) / "ways_to_end"
WAYS: dict[str, dict[str, Any]] = {
    "on_a_worker": {"poke_interval": 1},
    # First, since Airflow 2 on SQLite runs one task at a time.
    "resumed": {"deferrable": True, "end_from_trigger": False, "priority_weight": 10},
    "in_the_triggerer": {"deferrable": True, "end_from_trigger": True, "priority_weight": 10},
}


@task
def note(name: str, value: Any) -> None:
    """Write down what the task before has returned."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"{name}.json").write_text(json.dumps([type(value).__name__, value]))


with DAG(dag_id="ways_to_end", schedule=None, catchup=False):
    for way, settings in WAYS.items():
        sensor = PushMetricsRunSensor(task_id=way, report_id=1, timeout=200, **settings)
        note.override(task_id=f"note_{way}")(way, sensor.output)
    PushMetricsToObjectStorageOperator(
        task_id="save",
        report_run=sensor.output,  # type: ignore[arg-type]
        path=f"{FOLDER}/results",
        file_format="csv",
    )

with DAG(dag_id="deferred_operator", schedule=None, catchup=False):
    run = PushMetricsTriggerReportOperator(
        task_id="run",
        report_id=1,
        parameters={"month": 2},
        deferrable=True,
        defer_after=0,
        strict_parameters=True,
    )
    note.override(task_id="note_run")("deferred_operator", run.output)
