"""Starts when the report has run, by an asset that Airflow's API server updates."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, task

from airflow_provider_pushmetrics.assets.pushmetrics import build_run_asset


@task
def list_runs(triggering_asset_events: Any = None) -> list[int]:
    """List the runs that started this one."""
    arrived = [event for events in triggering_asset_events.values() for event in events]
    return [event.extra["payload"]["id"] for event in arrived]


with DAG(
    "starts_by_api_server",
    schedule=[build_run_asset("ran_by_api_server", report_id=1, updated_by="api_server")],
    catchup=False,
    is_paused_upon_creation=False,
):
    list_runs()
