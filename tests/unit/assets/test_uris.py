from __future__ import annotations

from typing import Any

import pytest
from airflow.providers.openlineage.utils.utils import translate_airflow_asset
from airflow.sdk import Asset
from airflow.sdk.providers_manager_runtime import ProvidersManagerTaskRuntime

from airflow_provider_pushmetrics.assets.uris import (
    DEFAULT_HOST,
    ReportUri,
    convert_asset_to_openlineage,
    create_asset,
    parse_uri,
    sanitize_uri,
)
from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError
from airflow_provider_pushmetrics.get_provider_info import get_provider_info


@pytest.mark.parametrize(
    ("uri", "named"),
    [
        ("pushmetrics://pushmetrics.io/reports/1", ReportUri("pushmetrics.io", "1")),
        ("pushmetrics://pushmetrics.io/reports", ReportUri("pushmetrics.io")),
        ("pushmetrics://127.0.0.1:8090/queries/2", ReportUri("127.0.0.1:8090", None, "2")),
        ("pushmetrics://[::1]:8090/reports/kP3x", ReportUri("[::1]:8090", "kP3x")),
        ("pushmetrics://pm.example/reports/1/queries/2", ReportUri("pm.example", "1", "2")),
        ("pushmetrics://pm.example/reports/1?name=a+b", ReportUri("pm.example", "1", None, "a b")),
    ],
)
def test_a_uri_is_read_and_written_the_same(uri: str, named: ReportUri) -> None:
    assert parse_uri(uri) == named
    assert str(named) == uri


@pytest.mark.parametrize(
    "uri",
    [
        "pushmetrics://",
        "pushmetrics:///reports/1",
        "pushmetrics://pushmetrics.io",
        "pushmetrics://pushmetrics.io/",
        "pushmetrics://pushmetrics.io/report/1",
        "pushmetrics://pushmetrics.io/reports/1/2",
        "pushmetrics://pushmetrics.io/reports/../secrets",
        "pushmetrics://pushmetrics.io/reports/a b",
        "pushmetrics://push metrics/reports/1",
        "pushmetrics://pushmetrics.io/reports/1?name=a&name=b",
        "pushmetrics://pushmetrics.io/reports/1#x",
    ],
)
def test_another_uri_is_refused_by_airflow_with_the_rule(uri: str) -> None:
    with pytest.raises(PushMetricsParameterError, match="must look like pushmetrics://"):
        parse_uri(uri)
    if "#" not in uri:  # Airflow drops fragments itself
        with pytest.raises(ValueError, match="must look like pushmetrics://"):
            Asset(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "pushmetrics://hidden-token@pushmetrics.io/reports/1",
        "pushmetrics://user:hidden-token@pushmetrics.io/reports/1",
        "pushmetrics://pushmetrics.io/reports/1?token=hidden-token",
    ],
)
def test_a_token_in_a_uri_is_refused_and_not_repeated(uri: str) -> None:
    with pytest.raises(PushMetricsParameterError, match="that is not allowed") as caught:
        parse_uri(uri)
    assert "hidden-token" not in str(caught.value)


def test_airflow_normalizes_a_uri_by_the_providers_handler() -> None:
    asset = Asset("pushmetrics://PushMetrics.IO/reports/1/")
    assert asset.uri == asset.normalized_uri == "pushmetrics://pushmetrics.io/reports/1"


def test_airflow_finds_handler_factory_and_converter_in_the_metadata() -> None:
    manager: Any = ProvidersManagerTaskRuntime()
    assert manager.asset_uri_handlers["pushmetrics"] is sanitize_uri
    assert manager.asset_factories["pushmetrics"] is create_asset
    assert manager.asset_to_openlineage_converters["pushmetrics"] is convert_asset_to_openlineage
    info = get_provider_info()
    assert info["asset-uris"] == info["dataset-uris"]


def test_an_asset_is_created_for_a_report_or_a_query() -> None:
    assert create_asset(report_id=1).uri == f"pushmetrics://{DEFAULT_HOST}/reports/1"
    named = create_asset(query_id=2, host="pm.example:8090", name="carriers", extra={"team": "ops"})
    assert (named.name, named.uri, named.extra) == (
        "carriers",
        "pushmetrics://pm.example:8090/queries/2?name=carriers",
        {"team": "ops"},
    )
    with pytest.raises(PushMetricsParameterError, match="must look like"):
        create_asset(report_id="../1")


def test_two_assets_of_one_report_differ_in_their_uris() -> None:
    assert create_asset(report_id=1, name="a").uri != create_asset(report_id=1, name="b").uri


def test_the_openlineage_provider_translates_an_asset_without_its_name() -> None:
    asset: Any = create_asset(report_id=1, query_id=2, name="carriers")
    dataset = translate_airflow_asset(asset, None)
    assert dataset is not None
    assert (dataset.namespace, dataset.name) == ("pushmetrics://pushmetrics.io", "reports/1/queries/2")
