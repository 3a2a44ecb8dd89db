"""
Wait for a report run that was started elsewhere.

Here the first task starts it without waiting and hands over its id; the sensor then finds the run's event in
the receiver's inbox, also if it arrived before the sensor looked. The connection is ``pushmetrics_default``.
The trigger must return the run's id, as that of the reference service does. pushmetrics.io does not document
that: without an id the sensor fails, because the template of ``run_id`` renders to nothing.
"""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_pushmetrics.operators.pushmetrics import PushMetricsTriggerReportOperator
from airflow_provider_pushmetrics.sensors.pushmetrics import PushMetricsRunSensor


@task
def count_queries(found: dict[str, Any]) -> int:
    """Read the event that the sensor returns."""
    return len(found["body"]["queries"])


with DAG(
    dag_id="example_pushmetrics_sensor",
    schedule=None,
    render_template_as_native_obj=True,
    tags=["example", "pushmetrics"],
    doc_md=__doc__,
):
    start_report = PushMetricsTriggerReportOperator(
        task_id="start_report", report_id=1, wait_for_completion=False
    )
    # [START howto_sensor_pushmetrics_run]
    wait_for_run = PushMetricsRunSensor(
        task_id="wait_for_run",
        event="report.run",
        report_id=1,
        run_id="{{ ti.xcom_pull(task_ids='start_report')['run_id'] }}",
        timeout=600,
        deferrable=True,
        retries=2,
    )
    # [END howto_sensor_pushmetrics_run]
    start_report >> wait_for_run
    count_queries(wait_for_run.output)
