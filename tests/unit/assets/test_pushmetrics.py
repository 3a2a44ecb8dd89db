from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import Asset

from airflow_provider_pushmetrics.assets.pushmetrics import build_run_asset
from airflow_provider_pushmetrics.assets.update_rules import AssetUpdateRule, read_rule
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsAirflowVersionError,
    PushMetricsParameterError,
)
from airflow_provider_pushmetrics.triggers.pushmetrics import PushMetricsEventTrigger
from tests.fakes.airflow_versions import AIRFLOW_VERSION, needs_airflow

in_airflow_with_the_receiver = needs_airflow("3.1")


def test_an_asset_is_watched_for_the_runs_of_a_report() -> None:
    asset = build_run_asset("delays", report_id=1, consumer="billing", pushmetrics_conn_id="other")
    assert isinstance(asset, Asset)
    assert asset.name == "delays"
    assert asset.uri == "pushmetrics://pushmetrics.io/reports/1?name=delays"
    (watcher,) = asset.watchers
    assert watcher.name == "delays-watcher"
    assert isinstance(watcher.trigger, PushMetricsEventTrigger)
    assert watcher.trigger.serialize()[1] == {
        "event": "report.run",
        "report_id": 1,
        "query_id": None,
        "consumer": "billing",
        "pushmetrics_conn_id": "other",
        "queue": None,
        "only_successful": False,
        "poll_interval_seconds": 30.0,
        "asset_name": "delays",
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"event": "report.runn"}, r"event is 'report.runn': it must be one of .*report.run"),
        ({"query_id": 3}, r"names no single query, so it would never match. Use event='query.run'"),
        ({"report_id": "abc"}, r"report_id is 'abc': it must be a whole number"),
    ],
)
@pytest.mark.parametrize("updated_by", ["triggerer", "api_server"])
def test_asset_that_no_event_would_update_is_refused(
    arguments: dict[str, Any], message: str, updated_by: Any
) -> None:
    with pytest.raises(PushMetricsParameterError, match=message):
        build_run_asset("delays", **arguments, updated_by=updated_by)


def test_an_asset_may_be_updated_by_other_events_than_runs() -> None:
    (watcher,) = build_run_asset("edited", event="report.updated", report_id=1).watchers
    assert watcher.trigger.serialize()[1]["event"] == "report.updated"


def test_an_asset_may_be_watched_for_the_runs_of_a_query() -> None:
    asset = build_run_asset("carriers", event="query.run", query_id=2, host="pm.example")
    assert asset.uri == "pushmetrics://pm.example/queries/2?name=carriers"
    (watcher,) = asset.watchers
    assert watcher.trigger.serialize()[1]["event"] == "query.run"
    assert watcher.trigger.serialize()[1]["query_id"] == 2


def test_the_watchers_trigger_can_be_stored_by_airflow() -> None:
    encoders = pytest.importorskip("airflow.serialization.encoders")  # since Airflow 3.2
    (watcher,) = build_run_asset("delays").watchers
    assert json.dumps(encoders.encode_trigger(watcher.trigger))


@in_airflow_with_the_receiver
def test_an_asset_may_be_updated_by_the_api_server() -> None:
    asset = build_run_asset("delays", report_id=1, consumer="billing", updated_by="api_server")
    assert asset.uri == "pushmetrics://pushmetrics.io/reports/1?name=delays"
    assert asset.watchers == []
    assert read_rule(asset.extra) == AssetUpdateRule(event="report.run", report_id=1, consumer="billing")


@in_airflow_with_the_receiver
def test_an_asset_that_the_api_server_updates_takes_numbers_as_text() -> None:
    asset = build_run_asset("delays", report_id="1", updated_by="api_server")  # type: ignore[arg-type]
    wish = read_rule(asset.extra)
    assert wish is not None
    assert wish.report_id == 1


@needs_airflow("3.3")
def test_an_asset_may_start_a_run_for_each_event() -> None:
    asset = build_run_asset("delays", updated_by="api_server", one_run_per_event=True)
    wish = read_rule(asset.extra)
    assert wish is not None
    assert wish.one_run_per_event


@pytest.mark.skipif(AIRFLOW_VERSION != (3, 3), reason="of Airflow 3.3")
def test_a_watcher_cannot_start_a_run_for_each_event_before_airflow_starts_one() -> None:
    with pytest.raises(PushMetricsParameterError, match="one_run_per_event needs updated_by='api_server'"):
        build_run_asset("delays", one_run_per_event=True)


@needs_airflow("3.4")
def test_a_watcher_starts_a_run_for_each_event_where_airflow_does() -> None:
    assert build_run_asset("delays", one_run_per_event=True).watchers


@pytest.mark.skipif(AIRFLOW_VERSION >= (3, 3), reason="of what Airflow 3.3 has")
def test_a_run_for_each_event_is_refused_where_a_continuous_dag_does_it() -> None:
    with pytest.raises(PushMetricsAirflowVersionError, match=r"needs Airflow 3\.3 or later.*'@continuous'"):
        build_run_asset("delays", one_run_per_event=True)


@needs_airflow("3.4")
def test_a_watcher_may_have_a_queue() -> None:
    (watcher,) = build_run_asset("delays", queue="near").watchers
    trigger: Any = watcher.trigger
    assert trigger.queue == "near"


@needs_airflow("3.4")
def test_only_a_watcher_has_a_queue() -> None:
    with pytest.raises(PushMetricsParameterError, match="only a watcher in the triggerer has a queue"):
        build_run_asset("delays", updated_by="api_server", queue="near")


@pytest.mark.skipif(AIRFLOW_VERSION >= (3, 4), reason="of what Airflow 3.4 has")
def test_a_queue_is_refused_where_watchers_have_none() -> None:
    with pytest.raises(PushMetricsAirflowVersionError, match=r"queue=…\) needs Airflow 3\.4 or later"):
        build_run_asset("delays", queue="near")


def test_an_asset_may_be_updated_only_by_runs_that_succeeded() -> None:
    asset = build_run_asset("delays", report_id=1, only_successful=True)
    (watcher,) = asset.watchers
    assert watcher.trigger.serialize()[1]["only_successful"] is True


@needs_airflow("3.1")
def test_the_api_server_is_told_which_connection_says_how_a_run_ended() -> None:
    asset = build_run_asset(
        "delays", updated_by="api_server", only_successful=True, pushmetrics_conn_id="other"
    )
    wish = read_rule(asset.extra)
    assert wish is not None
    assert (wish.only_successful, wish.pushmetrics_conn_id) == (True, "other")


@pytest.mark.parametrize(
    "arguments", [{"updated_by": "scheduler"}, {"consumer": "no name", "updated_by": "api_server"}]
)
def test_an_asset_that_nobody_can_update_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(PushMetricsParameterError, match=next(iter(arguments))):
        build_run_asset("delays", **arguments)
