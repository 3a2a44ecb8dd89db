from __future__ import annotations

import pytest

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.receiver.settings import (
    ReceiverSettings,
    SourceSettings,
)

DEMO = SourceSettings("demo", token="sender-token")


def test_source_without_any_credential_is_refused() -> None:
    with pytest.raises(
        PushMetricsConfigurationError, match=r"source 'demo' has no credential.*signing secret"
    ):
        SourceSettings("demo")


@pytest.mark.parametrize("name", ["", "a/b", "a\nb", "x" * 101])
def test_source_name_must_fit_into_a_url(name: str) -> None:
    with pytest.raises(PushMetricsConfigurationError, match="source name"):
        SourceSettings(name, token="t")


def test_receiver_without_a_reader_token_is_refused() -> None:
    with pytest.raises(PushMetricsConfigurationError, match="no reader token"):
        ReceiverSettings("sqlite:///x.db", (DEMO,), "")


def test_receiver_without_a_source_is_refused() -> None:
    with pytest.raises(PushMetricsConfigurationError, match="no source"):
        ReceiverSettings("sqlite:///x.db", (), "reader-token")


def test_source_named_twice_is_refused() -> None:
    with pytest.raises(PushMetricsConfigurationError, match="named twice"):
        ReceiverSettings("sqlite:///x.db", (DEMO, DEMO), "reader-token")


def test_repr_shows_no_secret() -> None:
    source = SourceSettings("demo", token="sender-token", signing_secrets=("whsec_secret",))
    settings = ReceiverSettings("postgresql://u:db-password@host/db", (source,), "reader-token")
    shown = repr(settings)
    assert "demo" in shown
    for secret in ("sender-token", "whsec_secret", "db-password", "reader-token"):
        assert secret not in shown
