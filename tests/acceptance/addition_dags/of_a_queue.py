"""A Dag that an asset starts whose watcher runs in the triggerers of a queue only."""

from __future__ import annotations

from airflow.sdk import DAG, task

from airflow_provider_pushmetrics.assets.pushmetrics import build_run_asset
from airflow_provider_pushmetrics.compat import has_airflow


@task
def react() -> None:
    """Do nothing."""


if has_airflow("3.4"):
    far = build_run_asset("far_report_ran", report_id=1, consumer="far", queue="far")

    with DAG("of_a_queue", schedule=[far], catchup=False):
        react()
