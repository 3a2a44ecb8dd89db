"""
Publish the results of a report only after a person has approved them.

The approval is a task of Airflow's standard provider. It waits without a worker until a person answers under
"Required Actions". It needs Airflow 3.1 or later: the Dag processor of Airflow 3.0 ends at its import. The
connection is ``pushmetrics_default``.
"""

from __future__ import annotations

import os
from datetime import timedelta

from airflow.providers.common.compat.sdk import DAG
from airflow.providers.standard.operators.hitl import ApprovalOperator

from airflow_provider_pushmetrics.operators.pushmetrics import PushMetricsTriggerReportOperator
from airflow_provider_pushmetrics.transfers.pushmetrics import PushMetricsToObjectStorageOperator

OUTPUT = os.environ.get("PUSHMETRICS_EXAMPLE_OUTPUT", os.path.expanduser("~/pushmetrics_results"))

with DAG(
    dag_id="example_pushmetrics_approval",
    schedule=None,
    tags=["example", "pushmetrics"],
    doc_md=__doc__,
):
    # [START howto_approval_pushmetrics]
    run_report = PushMetricsTriggerReportOperator(
        task_id="run_report", report_id=1, parameters={"month": 1}, deferrable=True, retries=2
    )
    approve = ApprovalOperator(
        task_id="approve",
        subject="Publish run {{ ti.xcom_pull(task_ids='run_report')['run_id'] }} of the report?",
        body=(
            "{% for query in ti.xcom_pull(task_ids='run_report')['queries'] %}"
            "- `{{ query['query_name'] }}`: {{ query['row_count'] }} rows\n"
            "{% endfor %}"
        ),
        response_timeout=timedelta(hours=24),
        defaults="Reject",  # without an answer in time
    )
    publish = PushMetricsToObjectStorageOperator(
        task_id="publish",
        report_run=run_report.output,
        path=f"{OUTPUT}/approved/{{{{ ti.xcom_pull(task_ids='run_report')['run_id'] }}}}",
        retries=2,
    )
    run_report >> approve >> publish
    # [END howto_approval_pushmetrics]
