"""
Run a report and fail if one of its queries has no rows, or if it is unknown whether it has.

Start it by hand. The connection is ``pushmetrics_default``, with an API token.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG, AirflowFailException, task

from airflow_provider_pushmetrics.operators.pushmetrics import PushMetricsTriggerReportOperator


# [START howto_check_pushmetrics_rows]
@task
def check_rows(run: dict[str, Any]) -> dict[str, int]:
    """Fail without a retry if a query has no rows; a run without queries fails too."""
    counts = {query["query_name"]: query["row_count"] for query in run["queries"]}
    empty = [name for name, count in counts.items() if not count]  # None: PushMetrics does not say
    if empty or not counts:
        raise AirflowFailException(f"run {run['run_id']} has no rows in {empty or 'any query'}: {counts}")
    return counts


# [END howto_check_pushmetrics_rows]

with DAG(
    dag_id="example_pushmetrics_check_results",
    schedule=None,
    default_args={"retries": 2, "retry_delay": timedelta(seconds=10)},
    tags=["example", "pushmetrics"],
    doc_md=__doc__,
):
    run_report = PushMetricsTriggerReportOperator(task_id="run_report", report_id=1, on_truncated="fail")
    check_rows(run_report.output)
