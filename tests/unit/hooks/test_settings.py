from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from airflow_provider_pushmetrics.client.feed import Receiver
from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.hooks.settings import (
    DEFAULT_BASE_URL,
    PushMetricsSettings,
    TransportSettings,
)

SECRET = "s3cret-value-0123456789"


@dataclass
class FakeConnection:
    conn_id: str = "reports"
    host: str | None = None
    schema: str | None = None
    port: int | None = None
    password: str | None = None


def read(*, extra: Any = None, **fields: Any) -> PushMetricsSettings:
    return PushMetricsSettings.from_connection(FakeConnection(**fields), {} if extra is None else extra)


def test_an_empty_connection_is_pushmetrics_without_tokens() -> None:
    assert read() == PushMetricsSettings("reports", DEFAULT_BASE_URL)
    assert DEFAULT_BASE_URL == "https://pushmetrics.io"


@pytest.mark.parametrize(
    ("fields", "base_url"),
    [
        ({"host": "https://pushmetrics.example"}, "https://pushmetrics.example"),
        ({"host": " https://pushmetrics.example/ "}, "https://pushmetrics.example"),
        ({"host": "https://pushmetrics.example/base/"}, "https://pushmetrics.example/base"),
        ({"host": "pushmetrics.example"}, "https://pushmetrics.example"),
        ({"host": "pushmetrics.example", "schema": "http"}, "http://pushmetrics.example"),
        ({"host": "http://127.0.0.1", "port": 8090}, "http://127.0.0.1:8090"),
        ({"host": "127.0.0.1:8090", "schema": "http"}, "http://127.0.0.1:8090"),
        ({"host": "https://pushmetrics.example/base", "port": 8443}, "https://pushmetrics.example:8443/base"),
        ({"host": "", "schema": ""}, DEFAULT_BASE_URL),
        ({"host": "::1", "port": 8090, "schema": "http"}, "http://[::1]:8090"),
        ({"host": "http://::1", "port": 8090}, "http://[::1]:8090"),
        ({"host": "http://[::1]:8090"}, "http://[::1]:8090"),
        ({"host": "http://[::1]", "port": 8090}, "http://[::1]:8090"),
        ({"host": "2001:db8::7"}, "https://[2001:db8::7]"),
    ],
)
def test_the_host_says_where_pushmetrics_is(fields: dict[str, Any], base_url: str) -> None:
    assert read(**fields).base_url == base_url


@pytest.mark.parametrize(
    "fields",
    [
        {"host": "ftp://pushmetrics.example"},
        {"host": f"https://user:{SECRET}@pushmetrics.example"},
        {"host": "https://"},
        {"host": "https://pushmetrics.example:8443", "port": 8443},
        {"host": "https://[::1"},
        {"host": f"https://pushmetrics.example/?token={SECRET}"},
        {"host": "https://pushmetrics.example/#top"},
    ],
)
def test_a_host_that_is_no_base_url_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(PushMetricsConfigurationError, match="the host of connection 'reports'") as caught:
        read(**fields)
    assert SECRET not in str(caught.value)


def test_the_password_is_the_api_token() -> None:
    assert read(password=f" {SECRET}\n").api_token == SECRET


@pytest.mark.parametrize("password", [None, "", "  "])
def test_an_empty_password_is_no_token(password: str | None) -> None:
    assert read(password=password).api_token is None


@pytest.mark.parametrize("token", [f"{SECRET} x", f"{SECRET}\nX-Evil: 1", f"{SECRET}é", f"{SECRET}\x00"])
def test_a_token_that_no_header_can_hold_is_refused_without_showing_it(token: str) -> None:
    with pytest.raises(PushMetricsConfigurationError, match="visible ASCII characters") as caught:
        read(password=token)
    assert SECRET not in str(caught.value)
    extra = {"receiver_url": "https://airflow.example", "receiver_token": token}
    with pytest.raises(
        PushMetricsConfigurationError, match="'receiver_token' of connection 'reports'"
    ) as caught:
        read(extra=extra)
    assert SECRET not in str(caught.value)


def test_secrets_are_in_no_repr() -> None:
    settings = read(
        password=SECRET,
        extra={
            "trigger_tokens": {"1": SECRET},
            "receiver_url": "https://airflow.example",
            "receiver_token": SECRET,
            "proxies": {"https": f"http://user:{SECRET}@proxy"},
        },
    )
    assert SECRET not in repr(settings)


# Extras, each by its name


@pytest.mark.parametrize("write", [dict, json.dumps])
def test_trigger_tokens_are_an_object_or_the_text_of_one(write: Any) -> None:
    settings = read(extra={"trigger_tokens": write({"1": " abc ", "aBc12": "def"})})
    assert settings.get_trigger_token("1") == "abc"
    assert settings.get_trigger_token("aBc12") == "def"


@pytest.mark.parametrize("report_id", ["2", "3"])
def test_a_report_without_a_trigger_token_is_named_with_the_way_out(report_id: str) -> None:
    settings = read(extra={"trigger_tokens": {"1": SECRET, "3": ""}})
    with pytest.raises(
        PushMetricsConfigurationError, match=f"no trigger token for report '{report_id}'.*trigger_tokens"
    ):
        settings.get_trigger_token(report_id)


def test_the_receiver_is_a_url_and_a_token() -> None:
    settings = read(extra={"receiver_url": "https://airflow.example/pushmetrics/", "receiver_token": "abc"})
    assert settings.get_receiver() == Receiver("https://airflow.example/pushmetrics", "abc")


def test_without_a_receiver_the_error_names_the_extras() -> None:
    with pytest.raises(PushMetricsConfigurationError, match=r"'receiver_url' and 'receiver_token'"):
        read().get_receiver()


@pytest.mark.parametrize("extra", [{"receiver_url": "https://airflow.example"}, {"receiver_token": SECRET}])
def test_half_a_receiver_is_refused(extra: dict[str, str]) -> None:
    with pytest.raises(PushMetricsConfigurationError, match="both are required for a receiver") as caught:
        read(extra=extra)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "value",
    [
        ["https://a.example", "https://b.example:8443"],
        "https://a.example, https://b.example:8443",
        "https://a.example,https://b.example:8443,",
    ],
)
def test_trusted_origins_are_a_list_or_its_text(value: Any) -> None:
    settings = read(extra={"trusted_origins": value})
    assert settings.trusted_origins == ("https://a.example", "https://b.example:8443")


@pytest.mark.parametrize(
    ("extra", "transport"),
    [
        ({}, TransportSettings()),
        ({"verify": False}, TransportSettings(verify=False)),
        ({"verify": "false"}, TransportSettings(verify=False)),
        ({"verify": " True "}, TransportSettings(verify=True)),
        ({"verify": ""}, TransportSettings(verify=True)),
        ({"verify": None}, TransportSettings(verify=True)),
        ({"verify": "/etc/ca.pem"}, TransportSettings(verify="/etc/ca.pem")),
        ({"cert": "/etc/client.pem"}, TransportSettings(cert="/etc/client.pem")),
        ({"timeout": 2.5}, TransportSettings(timeout_seconds=2.5)),
        ({"timeout": "10"}, TransportSettings(timeout_seconds=10.0)),
        ({"timeout": ""}, TransportSettings()),
        ({"trust_env": False}, TransportSettings(trust_env=False)),
        ({"trust_env": "False"}, TransportSettings(trust_env=False)),
        (
            {"proxies": {"https": "http://proxy:3128"}},
            TransportSettings(proxies={"https": "http://proxy:3128"}),
        ),
        (
            {"proxies": '{"https": "http://proxy:3128"}'},
            TransportSettings(proxies={"https": "http://proxy:3128"}),
        ),
    ],
)
def test_the_extras_of_an_http_connection_are_read_by_the_same_names(
    extra: dict[str, Any], transport: TransportSettings
) -> None:
    assert read(extra=extra).transport == transport


@pytest.mark.parametrize("name", ["X-Api-Key", "headers", "Authorization", "extra__pushmetrics__token"])
def test_other_extras_are_left_alone(name: str) -> None:
    assert read(extra={name: SECRET}) == read()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("trigger_tokens", SECRET),
        ("trigger_tokens", [SECRET]),
        ("trigger_tokens", {"1": [SECRET]}),
        ("trigger_tokens", {"1": None}),
        ("trigger_tokens", {"1": 12345}),
        ("trigger_tokens", f'["{SECRET}"]'),
        ("trigger_tokens", "[" * 100_000),
        ("receiver_url", f"ftp://{SECRET}.example"),
        ("receiver_url", f"https://user:{SECRET}@airflow.example"),
        ("receiver_url", f"https://airflow.example/?token={SECRET}"),
        ("receiver_url", [SECRET]),
        ("receiver_token", {"a": SECRET}),
        ("trusted_origins", SECRET),
        ("trusted_origins", {"a": SECRET}),
        ("trusted_origins", [f"https://user:{SECRET}@results.example"]),
        ("trusted_origins", [1]),
        ("proxies", SECRET),
        ("proxies", {"https": {"url": SECRET}}),
        ("verify", 1),
        ("verify", [SECRET]),
        ("cert", [SECRET, SECRET]),
        ("timeout", SECRET),
        ("timeout", 0),
        ("timeout", -1),
        ("timeout", float("nan")),
        ("timeout", float("inf")),
        ("timeout", 10**400),
        ("timeout", [SECRET]),
        ("trust_env", SECRET),
        ("trust_env", 0),
    ],
)
def test_a_bad_value_is_refused_by_the_name_of_its_extra_and_not_shown(name: str, value: Any) -> None:
    with pytest.raises(
        PushMetricsConfigurationError, match=f"the extra '{name}' of connection 'reports' must be"
    ) as e:
        read(extra={name: value})
    assert SECRET not in str(e.value)
    assert e.value.__cause__ is None


@pytest.mark.parametrize("extra", [[SECRET], SECRET, 7, True])
def test_an_extra_that_is_no_object_is_refused(extra: Any) -> None:
    with pytest.raises(PushMetricsConfigurationError, match="must be a JSON object") as caught:
        read(extra=extra)
    assert SECRET not in str(caught.value)


def test_every_secret_is_listed_for_masking() -> None:
    settings = read(
        password="p-token",
        extra={
            "trigger_tokens": {"1": "t-token", "2": ""},
            "receiver_url": "https://airflow.example",
            "receiver_token": "r-token",
        },
    )
    assert settings.list_secrets() == ("p-token", "t-token", "r-token")
    assert read().list_secrets() == ()


def test_the_password_of_a_proxy_is_a_secret_as_it_is_written_and_as_it_is() -> None:
    proxies = {
        "http": "http://user:p%40ss@proxy:3128",
        "https": "user:plain@proxy:3128",
        "ftp": "http://[::1",
        "all": "http://user@proxy",
    }
    assert read(extra={"proxies": proxies}).list_secrets() == ("p%40ss", "p@ss", "plain")
