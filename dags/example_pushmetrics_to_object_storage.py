"""
Run a PushMetrics report and save the result of each query as a Parquet file.

Start it by hand. The connection is ``pushmetrics_default``; the folder may be any storage that Airflow knows.
PushMetrics documents results as JSON, the default of ``file_format``; the reference service has Parquet too.
"""

from __future__ import annotations

import os

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_pushmetrics.operators.pushmetrics import PushMetricsTriggerReportOperator
from airflow_provider_pushmetrics.transfers.pushmetrics import PushMetricsToObjectStorageOperator

OUTPUT = os.environ.get("PUSHMETRICS_EXAMPLE_OUTPUT", os.path.expanduser("~/pushmetrics_results"))

with DAG(
    dag_id="example_pushmetrics_to_object_storage",
    schedule=None,
    tags=["example", "pushmetrics"],
    doc_md=__doc__,
):
    run_report = PushMetricsTriggerReportOperator(
        task_id="run_report", report_id=1, deferrable=True, retries=2
    )
    # [START howto_operator_pushmetrics_to_object_storage]
    save_results = PushMetricsToObjectStorageOperator(
        task_id="save_results",
        report_run=run_report.output,
        path=f"{OUTPUT}/to_object_storage/{{{{ ti.xcom_pull(task_ids='run_report')['run_id'] }}}}",
        file_format="parquet",
    )
    # [END howto_operator_pushmetrics_to_object_storage]
