"""A report whose events have the month as their partition, and the Dags that wait for the events."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, task

from airflow_provider_pushmetrics.assets.uris import create_asset
from airflow_provider_pushmetrics.compat import has_airflow
from airflow_provider_pushmetrics.operators.pushmetrics import PushMetricsTriggerReportOperator

FOLDER = Path(os.environ["PUSHMETRICS_EXAMPLE_OUTPUT"]) / "partitions"


@task
def note(dag_run: Any = None, triggering_asset_events: Any = None) -> None:
    """Write down the partition, and the events that started the run."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    extras = [event.extra for events in triggering_asset_events.values() for event in events]
    facts = {"key": dag_run.partition_key, "extras": extras}
    (FOLDER / f"{dag_run.run_id.replace('/', '_')}.json").write_text(json.dumps(facts))


if has_airflow("3.3"):
    from airflow.sdk import PartitionedAssetTimetable

    delays = create_asset(report_id=1, query_id=1)

    with DAG("partition_producer", schedule=None, catchup=False, params={"month": 1}):
        PushMetricsTriggerReportOperator(
            task_id="run_report",
            report_id=1,
            parameters={"month": "{{ params.month }}"},
            outlets=[delays],
            partition_by="month",
        )

    with DAG("partition_consumer", schedule=PartitionedAssetTimetable(assets=delays), catchup=False):
        note()

    with DAG("plain_consumer", schedule=[delays], catchup=False):
        note()
