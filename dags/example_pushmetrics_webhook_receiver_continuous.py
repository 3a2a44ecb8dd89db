"""
Handle each report run that PushMetrics tells of, one after the other, on any Airflow: 2.11 too.

The Dag is ``@continuous``: a run begins when the one before is over, and its first task waits for the next
event. The receiver keeps how far ``consumer`` has come, so each event gets one run, also if several arrive at
once or while nothing is waiting. The connection is ``pushmetrics_default``.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from airflow.providers.common.compat.sdk import DAG, ObjectStoragePath, task

from airflow_provider_pushmetrics.events import ReportRun, parse_event
from airflow_provider_pushmetrics.hooks.pushmetrics import PushMetricsHook
from airflow_provider_pushmetrics.sensors.pushmetrics import PushMetricsRunSensor

OUTPUT = os.environ.get("PUSHMETRICS_EXAMPLE_OUTPUT", os.path.expanduser("~/pushmetrics_results"))


@task
def fetch_results(found: dict[str, Any]) -> dict[str, str]:
    """Save the result of each query of the run that the event tells of."""
    event = parse_event(found["body"])
    if not isinstance(event, ReportRun):
        return {}
    hook = PushMetricsHook()
    folder = ObjectStoragePath(OUTPUT) / "webhook_receiver_continuous" / str(found["id"])
    paths = {}
    for query in event.queries:
        name = quote(str(query.query_name), safe=" ")  # a name may hold slashes, and a webhook may be forged
        path = folder / f"{name}.json"
        hook.save_query_result(query.query_result, path)
        paths[str(query.query_name)] = str(path)
    return paths


with DAG(
    dag_id="example_pushmetrics_webhook_receiver_continuous",
    schedule="@continuous",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=True,  # once it is unpaused, there is always a run that waits
    default_args={"retries": 3, "retry_delay": timedelta(seconds=10)},
    tags=["example", "pushmetrics"],
    doc_md=__doc__,
):
    # [START howto_sensor_pushmetrics_consumer]
    wait_for_run = PushMetricsRunSensor(
        task_id="wait_for_run",
        event="report.run",
        report_id=1,
        consumer="example_pushmetrics_webhook_receiver_continuous",
        timeout=24 * 3600,  # a day without an event ends the run as skipped, and the next one waits
        soft_fail=True,
        deferrable=True,
    )
    # [END howto_sensor_pushmetrics_consumer]
    fetch_results(wait_for_run.output)
