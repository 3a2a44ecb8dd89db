"""
Start when PushMetrics says that a report has run: read the webhook's event and fetch each query's result.

There is no schedule and no sensor. The asset's watcher sits in the triggerer and hears of each ``report.run``
that arrives at the receiver, whoever started the run, and fires if the run succeeded. Needs Airflow 3. The
connection is ``pushmetrics_default``.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from airflow.providers.common.compat.sdk import DAG, ObjectStoragePath, task

from airflow_provider_pushmetrics.assets.pushmetrics import build_run_asset
from airflow_provider_pushmetrics.events import ReportRun, parse_event
from airflow_provider_pushmetrics.hooks.pushmetrics import PushMetricsHook

OUTPUT = os.environ.get("PUSHMETRICS_EXAMPLE_OUTPUT", os.path.expanduser("~/pushmetrics_results"))

# [START howto_asset_pushmetrics_run]
departure_delays_ran = build_run_asset(
    "departure_delays_ran", event="report.run", report_id=1, only_successful=True
)
# [END howto_asset_pushmetrics_run]


@task
def read_events(triggering_asset_events: Any = None) -> list[dict[str, Any]]:
    """Read the events that started this Dag run: several, if they arrived close together."""
    arrived = [event for events in triggering_asset_events.values() for event in events]
    of_webhooks = {"from_trigger", "from_receiver"}  # others are made by hand
    return [event.extra["payload"]["body"] for event in arrived if of_webhooks & event.extra.keys()]


@task
def fetch_results(body: dict[str, Any]) -> dict[str, str]:
    """Save the result of each query of one run."""
    event = parse_event(body)
    if not isinstance(event, ReportRun):
        return {}
    hook = PushMetricsHook()
    folder = ObjectStoragePath(OUTPUT) / "webhook_receiver" / str(event.run_id)
    paths = {}
    for query in event.queries:
        name = quote(str(query.query_name), safe=" ")  # a name may hold slashes, and a webhook may be forged
        path = folder / f"{name}.json"
        hook.save_query_result(query.query_result, path)
        paths[str(query.query_name)] = str(path)
    return paths


with DAG(
    dag_id="example_pushmetrics_webhook_receiver",
    schedule=[departure_delays_ran],
    catchup=False,
    default_args={"retries": 2, "retry_delay": timedelta(seconds=10)},
    tags=["example", "pushmetrics"],
    doc_md=__doc__,
):
    fetch_results.expand(body=read_events())
