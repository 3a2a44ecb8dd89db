"""A Dag of a user, with each building block that waits. It is kept with each version, and never changed."""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG

from airflow_provider_pushmetrics.assets.pushmetrics import build_run_asset
from airflow_provider_pushmetrics.operators.pushmetrics import PushMetricsTriggerReportOperator
from airflow_provider_pushmetrics.sensors.pushmetrics import PushMetricsRunSensor
from airflow_provider_pushmetrics.transfers.pushmetrics import PushMetricsToObjectStorageOperator

report_ran = build_run_asset("report_ran", event="report.run", report_id=1)

with DAG(
    "user_dag", schedule=[report_ran], start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False
) as dag:
    run_report = PushMetricsTriggerReportOperator(
        task_id="run_report",
        report_id=1,
        parameters={"month": 2},
        deferrable=True,
        defer_after=0,
        end_from_trigger=False,
        retries=2,
    )
    wait_for_run = PushMetricsRunSensor(
        task_id="wait_for_run", report_id=1, run_id=3, deferrable=True, timeout=3600, retries=2
    )
    begin_in_triggerer = PushMetricsRunSensor(
        task_id="begin_in_triggerer", report_id=1, run_id=3, start_from_trigger=True, timeout=3600
    )
    save = PushMetricsToObjectStorageOperator(
        task_id="save",
        report_run=run_report.output,  # type: ignore[arg-type]
        path="file:///tmp/results",
        retries=2,
    )
