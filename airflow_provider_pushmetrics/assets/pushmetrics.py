"""Assets: Dags that start when a report or a query has run."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import Asset

from airflow_provider_pushmetrics.assets.uris import DEFAULT_HOST, ReportUri, parse_uri
from airflow_provider_pushmetrics.compat import AssetWatcher, require_airflow
from airflow_provider_pushmetrics.hooks.pushmetrics import PushMetricsHook
from airflow_provider_pushmetrics.triggers.pushmetrics import PushMetricsEventTrigger

INSTEAD_OF_WATCHERS = "Use PushMetricsRunSensor with 'consumer' in a Dag that is scheduled '@continuous'."


def build_run_asset(
    name: str,
    *,
    event: str = "report.run",
    report_id: int | None = None,
    query_id: int | None = None,
    consumer: str = "airflow",
    pushmetrics_conn_id: str = PushMetricsHook.default_conn_name,
    host: str = DEFAULT_HOST,
) -> Asset:
    """
    Build an asset that is updated by each run, for ``schedule=[…]``; needs Airflow 3.

    Its URI is such as ``pushmetrics://pushmetrics.io/reports/1?name=delays``, with the asset's name because
    Airflow leaves only one asset of a URI active.

    :param name: The asset's name.
    :param event: ``report.run`` or ``query.run``.
    :param report_id: The report; None for any.
    :param query_id: The query; None for any.
    :param consumer: A name for this Airflow, where several read from one receiver.
    :param pushmetrics_conn_id: The connection; it must name a receiver.
    :param host: Where PushMetrics is, for the asset's URI and so for lineage: a host, with a port if need be.
    :raises PushMetricsAirflowVersionError: on Airflow 2, which has no asset watchers.
    """
    require_airflow("3.0", "build_run_asset", INSTEAD_OF_WATCHERS)
    trigger = PushMetricsEventTrigger(
        event=event,
        report_id=report_id,
        query_id=query_id,
        consumer=consumer,
        pushmetrics_conn_id=pushmetrics_conn_id,
    )
    report, query = (None if number is None else str(number) for number in (report_id, query_id))
    uri = str(parse_uri(str(ReportUri(host, report, query, name))))
    return Asset(name, uri=uri, watchers=[AssetWatcher(name=f"{name}-watcher", trigger=trigger)])
