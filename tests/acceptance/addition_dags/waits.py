"""A deferred task whose run ends when the test says so."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider_pushmetrics.operators.pushmetrics import PushMetricsTriggerReportOperator

with DAG("waits", schedule=None, catchup=False):
    PushMetricsTriggerReportOperator(
        task_id="wait",
        report_id=1,
        pushmetrics_conn_id="pushmetrics_endless",
        deferrable=True,
        defer_after=0,
        poll_interval=1,
    )
