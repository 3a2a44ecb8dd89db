"""Deferred tasks that end in the triggerer, and one that a worker must end: it has an outlet."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider_pushmetrics.assets.uris import create_asset
from airflow_provider_pushmetrics.operators.pushmetrics import PushMetricsTriggerReportOperator
from airflow_provider_pushmetrics.sensors.pushmetrics import PushMetricsRunSensor

with DAG("deferred_ends", schedule=None, catchup=False):
    PushMetricsRunSensor(task_id="wait", report_id=1, deferrable=True, timeout=300)

with DAG("deferred_operators", schedule=None, catchup=False):
    for name, outlets in (("plain", []), ("with_outlet", [create_asset(report_id=1, query_id=2)])):
        PushMetricsTriggerReportOperator(
            task_id=name,
            report_id=1,
            parameters={"month": 2},
            deferrable=True,
            defer_after=0,
            outlets=outlets,
        )
