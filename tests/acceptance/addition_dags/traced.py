"""A report in a trace, and the Dag that its event starts."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, get_current_context, task

from airflow_provider_pushmetrics.assets.pushmetrics import build_run_asset
from airflow_provider_pushmetrics.operators.pushmetrics import PushMetricsTriggerReportOperator
from airflow_provider_pushmetrics.tracing import link_asset_events

FOLDER = Path(os.environ["PUSHMETRICS_EXAMPLE_OUTPUT"]) / "traced"

with DAG("traced", schedule=None, catchup=False):
    PushMetricsTriggerReportOperator(task_id="run_report", report_id=1, parameters={"month": 12})


@task
def react() -> None:
    """Link this task's span to the traces of the events, and write them down."""
    context: Any = get_current_context()
    count = link_asset_events(context)
    events = context["triggering_asset_events"]
    payloads = [event.extra["payload"] for arrived in events.values() for event in arrived]
    FOLDER.mkdir(parents=True, exist_ok=True)
    facts = {"links": count, "traces": [one.get("traceparent") for one in payloads]}
    (FOLDER / f"{min(one['id'] for one in payloads):06}.json").write_text(json.dumps(facts))


with DAG("traced_consumer", schedule=[build_run_asset("traced_report_ran", report_id=1)], catchup=False):
    react()
