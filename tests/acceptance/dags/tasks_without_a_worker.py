"""A sensor that begins and ends in the triggerer, with what is templated rendered there."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider_pushmetrics.sensors.pushmetrics import PushMetricsRunSensor

with DAG(dag_id="tasks_without_a_worker", schedule=None, catchup=False, params={"report_id": 1, "run_id": 1}):
    PushMetricsRunSensor(
        task_id="arrives",
        report_id="{{ params.report_id }}",
        run_id="{{ params.run_id }}",
        timeout=120,
        deferrable=True,
        start_from_trigger=True,
        end_from_trigger=True,
    )
