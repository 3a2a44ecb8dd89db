from __future__ import annotations

import json

import pytest
from airflow.models.connection import Connection
from airflow.providers.common.compat.sdk import AirflowNotFoundException

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.plugins.source_connections import (
    build_connection_source,
    read_connections,
)
from airflow_provider_pushmetrics.receiver.settings import SourceSettings


def test_connection_is_a_source_of_its_id_with_its_password_as_token() -> None:
    assert build_connection_source("sales", "t", {}) == SourceSettings("sales", "t")


def test_extras_of_a_connection_are_the_fields_of_a_source() -> None:
    extra = {"source": "finance", "signing_secrets": "whsec_a", "networks": ["10.0.0.0/8"], "unrelated": 1}
    assert build_connection_source("sales", None, extra) == SourceSettings(
        "finance", None, ("whsec_a",), ("10.0.0.0/8",)
    )


def test_connections_are_read_where_airflow_keeps_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, extra in (("ONE", {}), ("TWO", {"rate_per_minute": 60})):
        connection = {"conn_type": "pushmetrics", "password": name, "extra": extra}
        monkeypatch.setenv(f"AIRFLOW_CONN_{name}", json.dumps(connection))
    assert read_connections(" one, two ") == (
        SourceSettings("one", "ONE"),
        SourceSettings("two", "TWO", rate_per_minute=60),
    )
    assert read_connections("") == ()


def test_connection_without_a_credential_is_refused() -> None:
    with pytest.raises(PushMetricsConfigurationError, match="'sales' has no credential"):
        build_connection_source("sales", "", {})


def test_connection_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def find(connection_id: str) -> None:
        raise AirflowNotFoundException(connection_id)

    monkeypatch.setattr(Connection, "get_connection_from_secrets", find)
    with pytest.raises(PushMetricsConfigurationError, match="'absent' of option source_connections"):
        read_connections("absent")
