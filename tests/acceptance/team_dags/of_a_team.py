"""A Dag of a team."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider_pushmetrics.operators.pushmetrics import PushMetricsTriggerReportOperator

with DAG("of_a_team", schedule=None, catchup=False):
    PushMetricsTriggerReportOperator(task_id="run_report", report_id=1, parameters={"month": 11})
