from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.get_provider_info import CONFIG_OPTIONS
from airflow_provider_pushmetrics.plugins.configuration import (
    ReceiverConfiguration,
    is_configured,
    read_options,
)
from airflow_provider_pushmetrics.receiver.settings import SourceSettings

SECRET = "whsec_c2VjcmV0LTAxMjM0NTY3ODk="


def set_options(monkeypatch: pytest.MonkeyPatch, **options: str) -> None:
    for name, value in options.items():
        monkeypatch.setenv(f"AIRFLOW__PUSHMETRICS__{name.upper()}", value)


def set_connection(
    monkeypatch: pytest.MonkeyPatch, connection_id: str, password: str | None, **extra: Any
) -> None:
    connection = {"conn_type": "generic", "password": password, "extra": extra}
    monkeypatch.setenv(f"AIRFLOW_CONN_{connection_id.upper()}", json.dumps(connection))


def configure(monkeypatch: pytest.MonkeyPatch, **options: str) -> ReceiverConfiguration:
    set_options(monkeypatch, **options)
    return ReceiverConfiguration(read_options())


@pytest.mark.parametrize("name", [name for name, option in CONFIG_OPTIONS.items() if option["sensitive"]])
def test_each_sensitive_option_says_how_to_write_percent(name: str) -> None:
    assert "write ``%`` as ``%%``" in CONFIG_OPTIONS[name]["description"]


def test_the_connection_of_the_receiver_is_named_by_an_option_that_is_not_sensitive() -> None:
    assert CONFIG_OPTIONS["receiver_connection"]["sensitive"] is False


def test_options_come_from_airflows_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = configure(
        monkeypatch,
        token="t",
        reader_token="r",
        signing_secrets=f"{SECRET}, {SECRET}",
        source="demo",
        inbox="sqlite:////tmp/inbox.db",
        keep_days="30",
        lenient_content_type="true",
    ).build_settings()
    assert settings.sources == (SourceSettings("demo", "t", (SECRET, SECRET), lenient_content_type=True),)
    assert (settings.inbox, settings.reader_token) == ("sqlite:////tmp/inbox.db", "r")
    assert settings.keep_days == 30.0


def test_inbox_lies_in_airflows_home_unless_named(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = configure(monkeypatch, token="t", reader_token="r").build_settings()
    assert settings.inbox.endswith("/pushmetrics-inbox.db")
    assert settings.sources == (SourceSettings("pushmetrics", "t"),)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep_days": "many"}, r"option keep_days of \[pushmetrics\] is 'many': it must be a valid number"),
        ({"keep_days": "0"}, "keep_days of .* is '0': it must be greater than 0"),
        (
            {"lenient_content_type": "maybe"},
            "lenient_content_type of .* is 'maybe'",
        ),
    ],
)
def test_wrong_option_is_refused_by_its_name(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, str], message: str
) -> None:
    configuration = configure(monkeypatch, token="s3cret", reader_token="s3cret", **options)
    with pytest.raises(PushMetricsConfigurationError, match=message) as refusal:
        configuration.build_settings()
    assert "s3cret" not in str(refusal.value)


def test_keep_days_of_a_connection_is_not_true(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a number, true is one day: nearly all events would be deleted."""
    set_connection(monkeypatch, "receives", "r", token="t", keep_days=True)
    with pytest.raises(PushMetricsConfigurationError, match=r"keep_days of .* is 'True'"):
        configure(monkeypatch, receiver_connection="receives").build_settings()


@pytest.mark.parametrize("secrets", [5, {"a": 1}])
def test_wrong_type_in_a_connection_is_refused_by_the_name_of_the_connection(
    monkeypatch: pytest.MonkeyPatch, secrets: object
) -> None:
    set_connection(monkeypatch, "receives", "r", token="t", signing_secrets=secrets)
    with pytest.raises(
        PushMetricsConfigurationError, match="signing_secrets of the connection 'receives' is"
    ):
        configure(monkeypatch, receiver_connection="receives").build_settings()


@pytest.mark.parametrize("rate", ["", 0, None])
def test_blank_rate_of_a_connection_is_no_limit(monkeypatch: pytest.MonkeyPatch, rate: object) -> None:
    set_connection(monkeypatch, "receives", "r", token="t", rate_per_minute=rate)
    (source,) = configure(monkeypatch, receiver_connection="receives").build_settings().sources
    assert source.rate_per_minute is None


def test_a_connection_configures_the_whole_receiver(monkeypatch: pytest.MonkeyPatch) -> None:
    set_connection(
        monkeypatch,
        "receives",
        "reader%token",
        inbox="sqlite:////tmp/inbox.db",
        source="demo",
        token="a%b",
        signing_secrets=[SECRET],
        networks=["10.0.0.0/8"],
        rate_per_minute=60,
        lenient_content_type=True,
        sources=[{"name": "sales", "token": "s"}],
        keep_days=30,
        unrelated=1,
    )
    configuration = configure(monkeypatch, receiver_connection="receives")
    settings = configuration.build_settings()
    assert settings.sources == (
        SourceSettings("demo", "a%b", (SECRET,), ("10.0.0.0/8",), 60, True),
        SourceSettings("sales", "s"),
    )
    assert (settings.inbox, settings.reader_token) == ("sqlite:////tmp/inbox.db", "reader%token")
    assert settings.keep_days == 30.0
    assert configuration.has_connections


def test_what_the_connection_does_not_say_is_what_the_options_say(monkeypatch: pytest.MonkeyPatch) -> None:
    set_connection(monkeypatch, "receives", "r", token="of the connection")
    settings = configure(
        monkeypatch, receiver_connection="receives", source="demo", token="of the option", reader_token="x"
    ).build_settings()
    assert settings.sources == (SourceSettings("demo", "of the connection"),)
    assert settings.reader_token == "r"


def test_a_connection_that_does_not_exist_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    configuration = configure(monkeypatch, receiver_connection="environment_lacks_it")
    monkeypatch.setattr(
        "airflow.configuration.ensure_secrets_loaded", list
    )  # there is no database here that could be asked
    with pytest.raises(PushMetricsConfigurationError, match="'environment_lacks_it' of option receiver_conn"):
        configuration.build_settings()


def test_a_connection_that_cannot_be_parsed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_RECEIVES", '{"password": "secret-1", "extra": "[1]"}')
    configuration = configure(monkeypatch, receiver_connection="receives")
    with pytest.raises(PushMetricsConfigurationError, match=r"'receives' of option receiver_conn.*parse"):
        configuration.build_settings()


def test_the_receiver_is_wanted_with_a_reader_token_or_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_configured(read_options())
    set_options(monkeypatch, token="t")
    assert not is_configured(read_options())
    set_options(monkeypatch, receiver_connection="receives")
    assert is_configured(read_options())


def test_credentials_are_read_again_from_both_kinds_of_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    set_connection(monkeypatch, "receives", "r1", token="t1")
    set_connection(monkeypatch, "sales", "s1")
    configuration = configure(monkeypatch, receiver_connection="receives", source_connections="sales")
    assert configuration.build_settings().sources == configuration.read_access().sources
    set_connection(monkeypatch, "receives", "r2", token="t2")
    set_connection(monkeypatch, "sales", "s2")
    access = configuration.read_access()
    assert access.sources == (SourceSettings("pushmetrics", "t2"), SourceSettings("sales", "s2"))
    assert access.reader_token == "r2"


def test_a_source_whose_connection_is_emptied_may_deliver_no_more_and_the_others_may(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    set_connection(monkeypatch, "receives", "r", token="t")
    set_connection(monkeypatch, "sales", "s")
    configuration = configure(monkeypatch, receiver_connection="receives", source_connections="sales")
    set_connection(monkeypatch, "sales", "")
    assert configuration.read_access().sources == (SourceSettings("pushmetrics", "t"),)
    assert "'sales' is not a valid source" in caplog.text


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"networks": ["10.0.0.1/8"]}, "10.0.0.1/8 has host bits set"),
        ({"rate_per_minute": "many"}, "rate_per_minute"),
        ({"signing_secrets": ["whsec_short"]}, "signing secret is invalid"),
        ({"signing_secrets": 5}, "signing_secrets of the connection 'receives'"),
        ({"lenient_content_type": "maybe"}, "lenient_content_type of the connection 'receives'"),
    ],
)
def test_changed_connection_with_a_fault_is_no_source_and_the_others_are_unaffected(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fault: dict[str, Any], message: str
) -> None:
    set_connection(monkeypatch, "receives", "r", token="leaked")
    set_connection(monkeypatch, "sales", "s")
    configuration = configure(monkeypatch, receiver_connection="receives", source_connections="sales")
    configuration.build_settings()
    more = [{"name": "two", "token": "2"}]
    set_connection(monkeypatch, "receives", "r2", token="s3cret-new", sources=more, **fault)
    access = configuration.read_access()
    assert access.sources == (SourceSettings("two", "2"), SourceSettings("sales", "s"))
    assert access.reader_token == "r2"
    assert "The receiver ignores a source: the connection 'receives' has an invalid source" in caplog.text
    assert message in caplog.text
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        ([{"name": "two", "token": "2", "networks": ["x"]}, {"name": "three", "token": "3"}], "'two'"),
        ([{"name": "two", "signing_secrets": ["x"]}, {"name": "three", "token": "3"}], "signing secret"),
    ],
)
def test_one_of_the_further_sources_with_a_fault_is_left_out(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, sources: list[Any], message: str
) -> None:
    set_connection(monkeypatch, "receives", "r", token="t", sources=sources)
    access = configure(monkeypatch, receiver_connection="receives").read_access()
    assert access.sources == (SourceSettings("pushmetrics", "t"), SourceSettings("three", "3"))
    assert message in caplog.text


def test_further_sources_that_are_no_list_are_left_out(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    set_connection(monkeypatch, "receives", "r", token="t", sources={"name": "two"})
    access = configure(monkeypatch, receiver_connection="receives").read_access()
    assert access.sources == (SourceSettings("pushmetrics", "t"),)
    assert "the sources are not a JSON list" in caplog.text


def test_changed_connection_that_cannot_be_parsed_leaves_nothing_of_what_it_was(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    set_connection(monkeypatch, "receives", "leaked", token="leaked")
    set_connection(monkeypatch, "sales", "s")
    configuration = configure(
        monkeypatch,
        receiver_connection="receives",
        source_connections="sales",
        reader_token="of the option",
        token="of the option",
    )
    configuration.build_settings()
    monkeypatch.setenv("AIRFLOW_CONN_RECEIVES", '{"password": "secret-1", "extra": "[1]"}')
    access = configuration.read_access()
    assert (access.sources, access.reader_token) == ((SourceSettings("sales", "s"),), "")
    assert "'receives' of option receiver_connection is invalid" in caplog.text


@pytest.mark.parametrize("more", [{"keep_days": "many"}, {"inbox": 5}])
def test_option_that_needs_a_restart_affects_no_credential(
    monkeypatch: pytest.MonkeyPatch, more: dict[str, Any]
) -> None:
    set_connection(monkeypatch, "receives", "r", token="t", **more)
    access = configure(monkeypatch, receiver_connection="receives").read_access()
    assert access.sources == (SourceSettings("pushmetrics", "t"),)


def test_of_two_sources_of_one_name_the_first_counts_at_the_start_and_when_they_are_read_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    set_connection(monkeypatch, "one", "1", source="same")
    set_connection(monkeypatch, "two", "2", source="same")
    configuration = configure(monkeypatch, reader_token="r", source_connections="one,two")
    assert configuration.build_settings().sources == (SourceSettings("same", "1"),)
    assert configuration.read_access().sources == (SourceSettings("same", "1"),)
    assert "a source is named 'same', as one before it" in caplog.text


def test_an_invalid_source_of_the_options_is_left_out_by_the_name_of_their_section(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    set_connection(monkeypatch, "sales", "s")
    options = {
        "token": "t",
        "lenient_content_type": "maybe",
        "reader_token": "r",
        "source_connections": "sales",
    }
    assert configure(monkeypatch, **options).build_settings().sources == (SourceSettings("sales", "s"),)
    assert "[pushmetrics] has an invalid source: option lenient_content_type of" in caplog.text


def test_the_options_do_not_show_in_what_is_logged_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "s3cret" not in repr(configure(monkeypatch, token="s3cret", reader_token="s3cret"))
