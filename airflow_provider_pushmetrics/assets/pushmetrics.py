"""Assets: Dags that start when a report or a query has run."""

from __future__ import annotations

from airflow.sdk import Asset, AssetWatcher

from airflow_provider_pushmetrics.hooks.pushmetrics import PushMetricsHook
from airflow_provider_pushmetrics.triggers.pushmetrics import PushMetricsEventTrigger


def build_run_asset(
    name: str,
    *,
    event: str = "report.run",
    report_id: int | None = None,
    query_id: int | None = None,
    consumer: str = "airflow",
    pushmetrics_conn_id: str = PushMetricsHook.default_conn_name,
) -> Asset:
    """
    Build an asset that is updated by each run, for ``schedule=[…]``; needs Airflow 3.

    :param name: The asset's name.
    :param event: ``report.run`` or ``query.run``.
    :param report_id: The report; None for any.
    :param query_id: The query; None for any.
    :param consumer: A name for this Airflow, where several read from one receiver.
    :param pushmetrics_conn_id: The connection; it must name a receiver.
    """
    trigger = PushMetricsEventTrigger(
        event=event,
        report_id=report_id,
        query_id=query_id,
        consumer=consumer,
        pushmetrics_conn_id=pushmetrics_conn_id,
    )
    return Asset(name, watchers=[AssetWatcher(name=f"{name}-watcher", trigger=trigger)])
