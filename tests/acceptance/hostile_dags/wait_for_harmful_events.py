"""Deferred sensors, one of which gets an event that Airflow cannot store, and a Dag that it starts."""

from __future__ import annotations

import json
from typing import Any

from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_pushmetrics.compat import AssetWatcher
from airflow_provider_pushmetrics.sensors.pushmetrics import PushMetricsRunSensor


@task
def write_body(event: dict[str, Any], name: str) -> None:
    import os
    from pathlib import Path

    folder = Path(os.environ["PUSHMETRICS_TEST_OUTPUT"])
    (folder / f"{name}-{event['body']['name']}.json").write_text(json.dumps(event["body"]))


with DAG("waits_for_harmful", schedule=None, catchup=False):
    for report_id in (1, 2):
        sensor = PushMetricsRunSensor(
            task_id=f"wait_{report_id}", report_id=report_id, after=0, deferrable=True, timeout=600
        )
        write_body.override(task_id=f"write_{report_id}")(sensor.output, "sensor")  # type: ignore[arg-type]

if AssetWatcher is not None:
    from airflow_provider_pushmetrics.assets.pushmetrics import build_run_asset

    asset = build_run_asset(name="harmful", report_id=1)

    with DAG("is_started_by_harmful", schedule=[asset], catchup=False):

        @task
        def read_events(triggering_asset_events: Any = None) -> None:
            for event in triggering_asset_events[asset]:
                write_body.function(event.extra["payload"], "asset")

        read_events()
