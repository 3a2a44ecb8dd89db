"""
Run a PushMetrics report with parameters, wait for it, fetch its results and save them to files.

Start it by hand; the form asks for the airport and the month. The connection is ``pushmetrics_default``.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from airflow.providers.common.compat.sdk import DAG, ObjectStoragePath, Param, task

from airflow_provider_pushmetrics.hooks.pushmetrics import PushMetricsHook
from airflow_provider_pushmetrics.operators.pushmetrics import PushMetricsTriggerReportOperator

OUTPUT = os.environ.get("PUSHMETRICS_EXAMPLE_OUTPUT", os.path.expanduser("~/pushmetrics_results"))


@task
def save_results(run: dict[str, Any]) -> dict[str, str]:
    """Save the result of each query of a run; the next task gets only the paths."""
    hook = PushMetricsHook()
    folder = ObjectStoragePath(OUTPUT) / "trigger_report" / str(run["run_id"])
    paths = {}
    for query in run["queries"]:
        path = folder / f"{quote(query['query_name'], safe=' ')}.json"  # a name may hold slashes
        hook.save_query_result(query["query_result"], path)
        paths[query["query_name"]] = str(path)
    return paths


with DAG(
    dag_id="example_pushmetrics_trigger_report",
    schedule=None,
    params={
        "origin": Param("JFK", type=["null", "string"], description="Airport of departure; empty for all"),
        "month": Param(2, type=["null", "integer"], minimum=1, maximum=12, description="Empty for all"),
    },
    render_template_as_native_obj=True,
    tags=["example", "pushmetrics"],
    doc_md=__doc__,
):
    # [START howto_operator_pushmetrics_trigger_report]
    run_report = PushMetricsTriggerReportOperator(
        task_id="run_report",
        report_id=1,
        parameters={"origin": "{{ params.origin }}", "month": "{{ params.month }}"},
        deferrable=True,
        retries=2,  # a later try continues with the run that an earlier one started
        retry_delay=timedelta(seconds=10),
    )
    # [END howto_operator_pushmetrics_trigger_report]
    save_results(run_report.output)
