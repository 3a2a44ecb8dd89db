"""Tasks that fail: at once, or after a retry. The Dag run itself succeeds."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, task

from airflow_provider_pushmetrics.compat import has_airflow
from airflow_provider_pushmetrics.operators.pushmetrics import PushMetricsTriggerReportOperator

FAILING: dict[str, Any] = {"report_id": 1, "parameters": {"month": "no month"}}
TASKS: dict[str, dict[str, Any]] = {"unknown_report": {"report_id": 99}, "failed_report": FAILING}

if has_airflow("3.3"):
    from airflow_provider_pushmetrics.tasks.retry_policy import PushMetricsRetryPolicy

    policy = PushMetricsRetryPolicy(on_failed_run="fail")
    TASKS["failed_report_with_policy"] = {**FAILING, "retry_policy": policy}
    TASKS["deferred_with_policy"] = TASKS["failed_report_with_policy"] | {
        "deferrable": True,
        "defer_after": 0,
    }


@task(trigger_rule="all_done")
def end() -> None:
    """End the Dag run well."""


with DAG("failures", schedule=None, catchup=False):
    for name, settings in TASKS.items():
        failing = PushMetricsTriggerReportOperator(
            task_id=name, retries=1, retry_delay=timedelta(seconds=1), **settings
        )
        failing >> end.override(task_id=f"after_{name}")()
