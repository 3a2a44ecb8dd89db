"""
Start when a report has run, without a receiver: the triggerer polls PushMetrics' list of runs.

The connection ``pushmetrics_api_only`` needs a host and an API token, and no public port. The Dag is the same
as with webhooks: with a receiver in the connection it starts at once, instead of within the interval. Needs
Airflow 3.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG, ObjectStoragePath, task

from airflow_provider_pushmetrics.assets.pushmetrics import build_run_asset
from airflow_provider_pushmetrics.events import ReportRun, parse_event
from airflow_provider_pushmetrics.hooks.pushmetrics import PushMetricsHook

CONN_ID = "pushmetrics_api_only"
OUTPUT = os.environ.get("PUSHMETRICS_EXAMPLE_OUTPUT", os.path.expanduser("~/pushmetrics_results"))

# [START howto_asset_pushmetrics_without_receiver]
delays_ran = build_run_asset(
    "delays_ran_by_api",
    report_id=1,
    pushmetrics_conn_id=CONN_ID,  # a host and an API token
    only_successful=True,
    poll_interval=10,
)
# [END howto_asset_pushmetrics_without_receiver]


@task
def list_runs(triggering_asset_events: Any = None) -> list[dict[str, Any]]:
    """Read the runs that started this Dag run: several, if they ended close together."""
    arrived = [event for events in triggering_asset_events.values() for event in events]
    return [event.extra["payload"]["body"] for event in arrived if "from_trigger" in event.extra]


@task
def save_results(body: dict[str, Any]) -> list[str]:
    """Save the result of each query of one run."""
    event = parse_event(body)
    if not isinstance(event, ReportRun):
        return []
    hook = PushMetricsHook(pushmetrics_conn_id=CONN_ID)
    folder = ObjectStoragePath(OUTPUT) / "without_receiver" / str(event.run_id)
    paths = [folder / f"{query.query_id}.json" for query in event.queries]
    for query, path in zip(event.queries, paths, strict=True):
        hook.save_query_result(query.query_result, path)
    return [str(path) for path in paths]


with DAG(
    dag_id="example_pushmetrics_without_receiver",
    schedule=[delays_ran],
    catchup=False,
    is_paused_upon_creation=True,  # create the connection first
    default_args={"retries": 2, "retry_delay": timedelta(seconds=10)},
    tags=["example", "pushmetrics"],
    doc_md=__doc__,
):
    save_results.expand(body=list_runs())
