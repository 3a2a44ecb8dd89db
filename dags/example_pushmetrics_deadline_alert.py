"""
Run a report when a Dag run is late.

Airflow's scheduler checks the deadline, and its triggerer starts the report, without a worker. It needs
Airflow 3.1 or later. The connection is ``pushmetrics_default``.
"""

from __future__ import annotations

import os
from datetime import timedelta

from airflow.providers.common.compat.sdk import DAG
from airflow.sdk.definitions.deadline import (  # in airflow.sdk since 3.2
    AsyncCallback,
    DeadlineAlert,
    DeadlineReference,
)

from airflow_provider_pushmetrics.notifications.pushmetrics import PushMetricsNotifier
from airflow_provider_pushmetrics.operators.pushmetrics import PushMetricsTriggerReportOperator

SECONDS = int(os.environ.get("PUSHMETRICS_EXAMPLE_DEADLINE_SECONDS", "1800"))

# [START howto_deadline_pushmetrics]
late = DeadlineAlert(
    reference=DeadlineReference.DAGRUN_QUEUED_AT,
    interval=timedelta(seconds=SECONDS),
    callback=AsyncCallback(
        PushMetricsNotifier, kwargs={"report_id": 1, "parameters": {"origin": "EWR", "month": 12}}
    ),
)
# [END howto_deadline_pushmetrics]

with DAG(
    dag_id="example_pushmetrics_deadline_alert",
    schedule=None,
    tags=["example", "pushmetrics"],
    doc_md=__doc__,
    deadline=late,
):
    PushMetricsTriggerReportOperator(
        task_id="run_report", report_id=1, parameters={"month": 1}, deferrable=True, retries=2
    )
