"""Sensors that begin in the triggerer: one ends there, and one fails in each of its tries."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, ExceptionRetryPolicy

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
    PushMetricsRunSensor(
        task_id="fails",
        run_id="{{ params.run_id }}",
        event_filter="no_such_module.no_such_function",
        # A wrong setting fails without a retry, unless the task has a policy: this one retries all errors.
        retry_policy=ExceptionRetryPolicy(rules=[]),
        timeout=120,
        retries=1,
        retry_delay=timedelta(seconds=1),
        deferrable=True,
        start_from_trigger=True,
    )
