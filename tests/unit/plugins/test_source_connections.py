from __future__ import annotations

import json

import pytest
from airflow import configuration
from airflow.secrets.environment_variables import EnvironmentVariablesBackend
from cryptography.fernet import InvalidToken
from requests.exceptions import JSONDecodeError

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.plugins.connections import find_connection
from airflow_provider_pushmetrics.plugins.source_connections import (
    build_connection_source,
    read_connections,
)
from airflow_provider_pushmetrics.receiver.settings import SourceSettings

SECRET = "whsec_c2VjcmV0LTAxMjM0NTY3ODk="


def test_connection_is_a_source_of_its_id_with_its_password_as_token() -> None:
    assert build_connection_source("sales", "t", {}) == SourceSettings("sales", "t")


def test_extras_of_a_connection_are_the_fields_of_a_source() -> None:
    extra = {"source": "finance", "signing_secrets": SECRET, "networks": ["10.0.0.0/8"], "unrelated": 1}
    assert build_connection_source("sales", None, extra) == SourceSettings(
        "finance", None, (SECRET,), ("10.0.0.0/8",)
    )


def test_connections_are_read_where_airflow_keeps_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, extra in (("ONE", {}), ("TWO", {"rate_per_minute": 60})):
        connection = {"conn_type": "pushmetrics", "password": name, "extra": extra}
        monkeypatch.setenv(f"AIRFLOW_CONN_{name}", json.dumps(connection))
    problems: list[str] = []
    assert read_connections(["one", "two"], problems.append) == (
        SourceSettings("one", "ONE"),
        SourceSettings("two", "TWO", rate_per_minute=60),
    )
    assert read_connections([], problems.append) == ()
    assert problems == []


def test_connection_without_a_credential_is_refused() -> None:
    with pytest.raises(PushMetricsConfigurationError, match="'sales' has no credential"):
        build_connection_source("sales", "", {})


class Backend:
    """A secrets backend beside that of the environment."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.fault = fault

    def get_connection(self, conn_id: str) -> None:
        if self.fault is not None:
            raise self.fault


def use_backend(monkeypatch: pytest.MonkeyPatch, backend: Backend) -> None:
    backends = [EnvironmentVariablesBackend(), backend]
    monkeypatch.setattr(configuration, "ensure_secrets_loaded", lambda: backends)


def test_a_connection_that_is_no_source_is_reported_and_the_others_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use_backend(monkeypatch, Backend())
    secrets = {"empty": {}, "broken": {"signing_secrets": "whsec_secret-1"}}
    for name, extra in secrets.items():
        connection = {"conn_type": "generic", "extra": extra}
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(connection))
    monkeypatch.setenv("AIRFLOW_CONN_GOOD", json.dumps({"conn_type": "generic", "password": "t"}))
    problems: list[str] = []
    found = read_connections(["absent", "empty", "broken", "good"], problems.append)
    assert [source.name for source in found] == ["good"]
    assert "'absent' of option source_connections does not exist" in problems[0]
    assert "'empty' is not a valid source: source 'empty' has no credential" in problems[1]
    assert "'broken' is not a valid source: a signing secret is invalid" in problems[2]
    assert "secret-1" not in "".join(problems)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{secret-1", None),
        ('{"conn_type": "generic", "password": "secret-1", "extra": "[1]"}', None),
        ('{"conn_type": "generic", "password": "secret-1", "extra": "{"}', None),
        ("http://a:secret-1@[", None),
        (None, InvalidToken()),  # it was encrypted with another key
    ],
)
def test_a_connection_that_cannot_be_parsed_is_reported_and_the_others_count(
    monkeypatch: pytest.MonkeyPatch, text: str | None, fault: Exception | None
) -> None:
    """It stopped the reading of all: tokens that were replaced stayed valid, and then nobody was let in."""
    use_backend(monkeypatch, Backend(fault))
    if text is not None:
        monkeypatch.setenv("AIRFLOW_CONN_MALFORMED", text)
    monkeypatch.setenv("AIRFLOW_CONN_GOOD", json.dumps({"conn_type": "generic", "password": "t"}))
    problems: list[str] = []
    found = read_connections(["malformed", "good"], problems.append)
    assert [source.name for source in found] == ["good"]
    assert "'malformed' is not a valid source: it cannot be parsed or decrypted" in problems[0]
    assert "secret-1" not in "".join(problems)


def test_an_answer_that_is_no_json_in_an_outage_is_no_malformed_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use_backend(monkeypatch, Backend(JSONDecodeError("expected a value", "<html>", 0)))
    with pytest.raises(JSONDecodeError):
        read_connections(["absent"], print)


def test_a_backend_that_cannot_be_asked_is_no_missing_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    use_backend(monkeypatch, Backend(OSError("no route")))
    with pytest.raises(OSError, match="no route"):
        find_connection("absent")
    monkeypatch.setenv("AIRFLOW_CONN_GOOD", json.dumps({"conn_type": "generic", "password": "t"}))
    assert find_connection("good") is not None  # the environment is asked first
