"""
Results as assets: a run updates an asset, and the Dag that the asset starts reads which run it was.

The facts are in the ``extra`` of the asset event, so the second Dag needs no XCom of the first. The
connection is ``pushmetrics_default``, with an API token.
"""

from __future__ import annotations

import json
import logging
import os
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG, ObjectStoragePath, task

from airflow_provider_pushmetrics.assets.uris import create_asset
from airflow_provider_pushmetrics.operators.pushmetrics import PushMetricsTriggerReportOperator

log = logging.getLogger("airflow.task")
OUTPUT = os.environ.get("PUSHMETRICS_EXAMPLE_OUTPUT", os.path.expanduser("~/pushmetrics_results"))
RETRIES: dict[str, Any] = {"retries": 2, "retry_delay": timedelta(seconds=10)}

# [START howto_asset_pushmetrics_result]
delays = create_asset(report_id=1)

with DAG(
    dag_id="example_pushmetrics_result_assets",
    schedule=None,
    default_args=RETRIES,
    tags=["example", "pushmetrics"],
    doc_md=__doc__,
):
    PushMetricsTriggerReportOperator(
        task_id="run_report", report_id=1, parameters={"month": 2}, outlets=[delays]
    )
# [END howto_asset_pushmetrics_result]


# [START howto_asset_pushmetrics_result_consumer]
@task
def read_facts(**context: Any) -> list[dict[str, Any]]:
    """Read the facts of each run that started this Dag run."""
    of_airflow_2 = context.get("triggering_dataset_events")
    arrived = context["triggering_asset_events"] if of_airflow_2 is None else of_airflow_2
    facts = [event.extra for events in arrived.values() for event in events]
    for run in facts:
        log.info("Run %s with %s: %s", run["run_id"], run["parameters"], run["result_url"])
    return facts


# [END howto_asset_pushmetrics_result_consumer]


@task
def save_facts(facts: list[dict[str, Any]]) -> None:
    """Save the facts of each run."""
    folder = ObjectStoragePath(OUTPUT) / "result_assets"
    folder.mkdir(parents=True, exist_ok=True)
    for run in facts:
        (folder / f"{run['run_id']}.json").write_text(json.dumps(run))


with DAG(
    dag_id="example_pushmetrics_result_assets_consumer",
    schedule=[delays],
    start_date=datetime(2026, 1, 1, tzinfo=UTC),  # Airflow 2 asks for it
    catchup=False,
    default_args=RETRIES,
    tags=["example", "pushmetrics"],
    doc_md=__doc__,
):
    save_facts(read_facts())
