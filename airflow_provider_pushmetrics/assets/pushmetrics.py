"""Assets that runs of a report or a query update."""

from __future__ import annotations

from typing import Literal

from airflow_provider_pushmetrics.assets.update_rules import AssetUpdateRule, write_rule
from airflow_provider_pushmetrics.assets.uris import DEFAULT_HOST, ReportUri, parse_uri
from airflow_provider_pushmetrics.compat import Asset, AssetWatcher, has_airflow, require_airflow
from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError
from airflow_provider_pushmetrics.hooks.pushmetrics import PushMetricsHook
from airflow_provider_pushmetrics.triggers.event_filters import read_number
from airflow_provider_pushmetrics.triggers.event_stream import DEFAULT_LIST_INTERVAL_SECONDS
from airflow_provider_pushmetrics.triggers.pushmetrics import PushMetricsEventTrigger

INSTEAD_OF_WATCHERS = "Use PushMetricsRunSensor with 'consumer' in a Dag that is scheduled '@continuous'."
INSTEAD_OF_RUN_PER_EVENT = (
    "Use PushMetricsRunSensor with 'consumer' in a Dag that is scheduled '@continuous': it handles each event"
    " in a separate run."
)
INSTEAD_OF_QUEUE = "Leave 'queue' out: any triggerer runs the watcher then."
INSTEAD_OF_API_SERVER = "Leave 'updated_by' out: a watcher in the triggerer updates the asset then."
UPDATERS = ("triggerer", "api_server")


def build_run_asset(
    name: str,
    *,
    event: str = "report.run",
    report_id: int | None = None,
    query_id: int | None = None,
    consumer: str = "airflow",
    pushmetrics_conn_id: str = PushMetricsHook.default_conn_name,
    host: str = DEFAULT_HOST,
    updated_by: Literal["triggerer", "api_server"] = "triggerer",
    one_run_per_event: bool = False,
    queue: str | None = None,
    only_successful: bool = False,
    poll_interval: float = DEFAULT_LIST_INTERVAL_SECONDS,
) -> Asset:
    """
    Build an asset that is updated by each run, for ``schedule=[…]``; needs Airflow 3.

    Its URI is such as ``pushmetrics://pushmetrics.io/reports/1?name=delays``. It contains the asset's name
    because Airflow activates only one asset of a URI.

    The position in the inbox belongs to ``name``, ``consumer``, ``event``, ``report_id`` and ``query_id``. If
    one of them is changed, the asset is updated by all matching events in the inbox again.

    :param name: The asset's name.
    :param event: ``report.run`` or ``query.run``; with a receiver also ``report.`` or ``query.`` with
        ``created``, ``updated`` or ``deleted``.
    :param report_id: The number of the report; None for any.
    :param query_id: The number of the query, with an event of queries; None for any. A ``report.run`` names
        no single query.
    :param consumer: A name for this Airflow, if several read from one receiver.
    :param pushmetrics_conn_id: The connection. A watcher reads its receiver, or polls the API without one.
        ``api_server`` uses it only to fetch the outcome of runs.
    :param host: The host of PushMetrics, with a port if necessary, for the asset's URI and for lineage.
    :param updated_by: ``triggerer``: by a watcher, from any receiver. ``api_server``: by the receiver in
        Airflow's API server, about a second sooner; needs Airflow 3.1, and the events in its own inbox.
    :param one_run_per_event: Start a Dag run for each event. From Airflow 3.4 on ``schedule=[asset]`` does
        that itself. On Airflow 3.3 it needs ``updated_by="api_server"`` and
        ``schedule=PartitionedAssetTimetable(assets=asset)``; a Dag with ``schedule=[asset]`` is not started.
    :param queue: The trigger queue of the watcher: only triggerers with this queue run it; needs
        Airflow 3.4.
    :param only_successful: Update the asset only by runs that are known to have succeeded. **Without it, a
        failed run updates the asset too**: the event does not contain the outcome. Needs an API token
        in the connection, in the triggerer or in the API server.
    :param poll_interval: Seconds between polls of the API's list of runs, at least 5, by default 30. A
        watcher polls it if its connection has an API token and no receiver.
    :return: The asset, with its watcher or its rule.
    :raises PushMetricsAirflowVersionError: on an Airflow that does not support the arguments.
    :raises PushMetricsParameterError: for an argument that is invalid, for arguments that contradict each
        other, and for a filter that no event matches.
    """
    require_airflow("3.0", "build_run_asset", INSTEAD_OF_WATCHERS)
    _check_arguments(updated_by, one_run_per_event=one_run_per_event, queue=queue)
    trigger = PushMetricsEventTrigger(
        event=event,
        report_id=report_id,
        query_id=query_id,
        consumer=consumer,
        pushmetrics_conn_id=pushmetrics_conn_id,
        queue=queue,
        only_successful=only_successful,
        poll_interval_seconds=poll_interval,
        asset_name=name,
    )
    report, query = (None if number is None else str(number) for number in (report_id, query_id))
    uri = str(parse_uri(str(ReportUri(host, report, query, name))))
    if updated_by == "triggerer":
        return Asset(name, uri=uri, watchers=[AssetWatcher(name=f"{name}-watcher", trigger=trigger)])
    require_airflow("3.1", "build_run_asset(updated_by='api_server')", INSTEAD_OF_API_SERVER)
    rule = AssetUpdateRule(
        event=event,
        report_id=read_number("report_id", report_id),
        query_id=read_number("query_id", query_id),
        consumer=consumer,
        one_run_per_event=one_run_per_event,
        only_successful=only_successful,
        pushmetrics_conn_id=pushmetrics_conn_id if only_successful else None,
    )
    return Asset(name, uri=uri, extra=write_rule(rule))


def _check_arguments(updated_by: str, *, one_run_per_event: bool, queue: str | None) -> None:
    if updated_by not in UPDATERS:
        raise PushMetricsParameterError(f"updated_by is {updated_by!r}: it must be one of {UPDATERS}.")
    if queue is not None:
        require_airflow("3.4", "build_run_asset(queue=…)", INSTEAD_OF_QUEUE)
        if updated_by != "triggerer":
            raise PushMetricsParameterError(
                f"queue is {queue!r} and updated_by is {updated_by!r}: only a watcher in the triggerer has a"
                " queue. Leave one of them out."
            )
    if not one_run_per_event:
        return
    require_airflow("3.3", "build_run_asset(one_run_per_event=True)", INSTEAD_OF_RUN_PER_EVENT)
    if not has_airflow("3.4") and updated_by != "api_server":
        raise PushMetricsParameterError(
            f"one_run_per_event needs updated_by='api_server' before Airflow 3.4, and updated_by is"
            f" {updated_by!r}: a watcher cannot give its events partition keys, which start a run for each."
        )
