from __future__ import annotations

import pytest

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.receiver.settings import (
    DEFAULT_INBOX,
    DEFAULT_SOURCE,
    ReceiverSettings,
    SourceSettings,
    build_settings,
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


def test_receiver_without_an_inbox_is_refused() -> None:
    with pytest.raises(PushMetricsConfigurationError, match="no inbox"):
        ReceiverSettings("", (DEMO,), "reader-token")


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


def test_blank_options_take_their_defaults() -> None:
    settings = build_settings(inbox=" ", source=None, token=" t ", signing_secrets=(), reader_token="r")
    assert settings.inbox == DEFAULT_INBOX
    assert settings.sources == (SourceSettings(DEFAULT_SOURCE, token="t"),)


def test_blank_credentials_are_none() -> None:
    with pytest.raises(PushMetricsConfigurationError, match="no credential"):
        build_settings(inbox="", source="demo", token="  ", signing_secrets=("", " , "), reader_token="r")


def test_several_signing_secrets_may_stand_in_one_option() -> None:
    settings = build_settings(
        inbox="", source="", token="", signing_secrets=("whsec_a, whsec_b", "whsec_c"), reader_token="r"
    )
    assert settings.sources[0].signing_secrets == ("whsec_a", "whsec_b", "whsec_c")


@pytest.mark.parametrize("days", [36_501, 740_000, float("inf"), float("nan"), 0, -1])
def test_days_that_no_calendar_has_are_refused(days: float) -> None:
    with pytest.raises(PushMetricsConfigurationError, match=r"more than 0 and at most 36500 days"):
        ReceiverSettings("sqlite:///x.db", (DEMO,), "reader-token", keep_days=days)


@pytest.mark.parametrize("events", [0, -1, 2**63])
def test_number_of_events_that_no_inbox_has_is_refused(events: int) -> None:
    with pytest.raises(PushMetricsConfigurationError, match=f"{events} at most"):
        ReceiverSettings("sqlite:///x.db", (DEMO,), "reader-token", keep_events=events)


def test_century_of_events_can_be_kept() -> None:
    assert ReceiverSettings("sqlite:///x.db", (DEMO,), "reader-token", keep_days=36_500).keep_days == 36_500
