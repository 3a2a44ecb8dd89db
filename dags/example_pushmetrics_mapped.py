"""
Run a report once for each airport, each as a mapped task with the airport as its name.

Start it by hand. The connection is ``pushmetrics_default``.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_pushmetrics.operators.pushmetrics import PushMetricsTriggerReportOperator

with DAG(
    dag_id="example_pushmetrics_mapped",
    schedule=None,
    default_args={"retries": 2, "retry_delay": timedelta(seconds=10)},
    tags=["example", "pushmetrics"],
    doc_md=__doc__,
):
    # [START howto_operator_pushmetrics_mapped]
    PushMetricsTriggerReportOperator.partial(
        task_id="run_report",
        report_id=1,
        map_index_template="{{ task.parameters['origin'] }}",
        max_active_tis_per_dagrun=10,
    ).expand(parameters=[{"origin": "JFK"}, {"origin": "LGA"}, {"origin": "EWR"}])
    # [END howto_operator_pushmetrics_mapped]
