from __future__ import annotations

import json

import pytest
from airflow.providers.common.compat.sdk import Asset

from airflow_provider_pushmetrics.assets.pushmetrics import build_run_asset
from airflow_provider_pushmetrics.triggers.pushmetrics import PushMetricsEventTrigger


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
    }


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
