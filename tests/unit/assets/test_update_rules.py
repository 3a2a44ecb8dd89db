from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_pushmetrics.assets.update_rules import AssetUpdateRule, read_rule, write_rule


def test_a_wish_is_read_as_it_was_written() -> None:
    rule = AssetUpdateRule(event="query.run", query_id=2, consumer="billing")
    assert read_rule(write_rule(rule)) == rule


@pytest.mark.parametrize(
    "extra",
    [
        None,
        {},
        ["pushmetrics"],
        "pushmetrics",
        {"pushmetrics": None},
        {"pushmetrics": "report.run"},
        {"pushmetrics": {}},
        {"pushmetrics": {"event": 1}},
        {"pushmetrics": {"event": "report.run", "report_id": "1"}},
        {"pushmetrics": {"event": "report.run", "unknown": 1}},
    ],
)
def test_an_asset_of_somebody_else_wishes_nothing(extra: Any) -> None:
    assert read_rule(extra) is None


def test_a_wish_for_successful_runs_without_a_connection_is_none() -> None:
    rule = {"event": "report.run", "only_successful": True}
    assert read_rule({"pushmetrics": rule}) is None
    assert read_rule({"pushmetrics": {**rule, "pushmetrics_conn_id": "other"}}) is not None
