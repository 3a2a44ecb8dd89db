from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
import requests
from airflow.providers.common.compat.sdk import redact
from airflow.providers.http.hooks.http import HttpHook

from airflow_provider_pushmetrics.exceptions import (
    PushMetricsConfigurationError,
    PushMetricsParameterError,
)
from airflow_provider_pushmetrics.get_provider_info import get_provider_info
from airflow_provider_pushmetrics.hooks.async_client import PushMetricsAsyncClient
from airflow_provider_pushmetrics.hooks.pushmetrics import PushMetricsHook
from airflow_provider_pushmetrics.hooks.results import FORMATS
from tests.fakes.airflow_versions import needs_airflow
from tests.fakes.certificates import make_tls

Connect = Callable[..., None]


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Set a connection, as Airflow finds it outside a task: in the environment."""

    def set_connection(conn_id: str = "pushmetrics_default", **fields: Any) -> None:
        connection = {"conn_type": "pushmetrics", "host": "https://pushmetrics.example", **fields}
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(connection))

    return set_connection


class FakeSupervisor:
    """Stands in for Airflow's supervisor: it refuses synchronous calls, as it does in an event loop."""

    def __init__(self) -> None:
        self.masked: set[str] = set()

    def send(self, message: Any) -> None:
        raise RuntimeError("sync SDK methods cannot be called here")

    async def asend(self, message: Any) -> None:
        if isinstance(message.value, str):
            self.masked.add(message.value)


def test_the_hook_declares_what_the_metadata_declares() -> None:
    (declared,) = get_provider_info()["connection-types"]
    hook = PushMetricsHook
    assert declared["connection-type"] == hook.conn_type == "pushmetrics"
    assert declared["hook-name"] == hook.hook_name
    assert declared["hook-class-name"] == f"{hook.__module__}.{hook.__name__}"
    assert (hook.conn_name_attr, hook.default_conn_name) == ("pushmetrics_conn_id", "pushmetrics_default")
    assert issubclass(hook, HttpHook)


def test_the_hook_is_built_without_looking_the_connection_up() -> None:
    assert PushMetricsHook("nowhere").pushmetrics_conn_id == "nowhere"


def test_the_hook_reads_the_connection_that_it_is_given(connect: Connect) -> None:
    connect("other", host="https://other.example", password="p-token")
    hook = PushMetricsHook("other")
    assert hook.settings.base_url == "https://other.example"
    assert (hook.credentials.base_url, hook.credentials.api_token) == ("https://other.example", "p-token")


def test_a_connection_may_be_a_uri(monkeypatch: pytest.MonkeyPatch) -> None:
    uri = (
        "pushmetrics://:p%2Btoken@http%3A%2F%2F127.0.0.1:8090/?receiver_url=http%3A%2F%2Fr&receiver_token=abc"
    )
    monkeypatch.setenv("AIRFLOW_CONN_PUSHMETRICS_DEFAULT", uri)
    settings = PushMetricsHook().settings
    assert (settings.base_url, settings.api_token) == ("http://127.0.0.1:8090", "p+token")
    assert settings.get_receiver().url == "http://r"


# Secrets


SECRETS = ("masked/p+token==", "masked t+token/1", "masked-r+token%2f")


def connect_secrets(connect: Connect, salt: str) -> list[str]:
    """Set a connection with secrets that no other test has masked."""
    password, trigger, reader = (secret.replace("masked", f"masked-{salt}") for secret in SECRETS)
    extra = {"trigger_tokens": {"1": trigger}, "receiver_url": "https://r.example", "receiver_token": reader}
    connect(password=password, extra=extra)
    return [password, trigger, reader]


def list_forms(secrets: list[str]) -> list[str]:
    return [form for secret in secrets for form in (secret, quote(secret, safe=""), quote_plus(secret))]


@pytest.mark.parametrize("is_async", [False, True])
async def test_each_secret_is_masked_raw_and_quoted(connect: Connect, is_async: bool) -> None:
    secrets = connect_secrets(connect, f"masked-{is_async}")
    if is_async:
        async with PushMetricsAsyncClient.open("pushmetrics_default"):
            pass
    else:
        await asyncio.to_thread(lambda: PushMetricsHook().settings)
    for form in list_forms(secrets):
        assert redact(f"at https://h/{form}/x") == "at https://h/***/x"


@needs_airflow("3.3")
async def test_the_supervisor_is_told_every_secret_without_a_synchronous_call(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = connect_secrets(connect, "supervisor")
    from airflow.sdk.execution_time import task_runner

    supervisor = FakeSupervisor()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", supervisor, raising=False)
    async with PushMetricsAsyncClient.open("pushmetrics_default") as client:
        assert client.settings.api_token == secrets[0]
    assert set(list_forms(secrets)) <= supervisor.masked


def test_a_connection_that_is_refused_shows_no_secret(connect: Connect) -> None:
    connect(password="p-token-0123456789", extra={"trigger_tokens": "t-token-0123456789"})
    with pytest.raises(PushMetricsConfigurationError) as caught:
        _ = PushMetricsHook().settings
    assert "0123456789" not in str(caught.value)


# Sessions


def test_extras_never_become_headers(connect: Connect) -> None:
    connect(
        extra={
            "X-Api-Key": "abc",
            "trigger_tokens": {"1": "t-token"},
            "receiver_url": "https://r",
            "receiver_token": "x",
        }
    )
    session = PushMetricsHook().get_conn()
    assert set(session.headers) == set(requests.Session().headers)


def test_the_session_has_what_the_connection_says(connect: Connect, tmp_path: Path) -> None:
    proxies = {"https": "http://proxy:3128"}
    make_tls(tmp_path, "127.0.0.1")
    pem = str(tmp_path / "server.pem")
    connect(extra={"proxies": proxies, "verify": pem, "cert": pem, "trust_env": False})
    session = PushMetricsHook().get_conn({"X-Own": "value"})
    assert session.proxies == proxies
    assert (session.verify, session.cert, session.trust_env) == (pem, pem, False)
    assert session.headers["X-Own"] == "value"


def test_the_session_keeps_connections_alive_as_the_http_provider_does(connect: Connect) -> None:
    connect()
    hook = PushMetricsHook()
    assert hook.get_conn().get_adapter("https://pushmetrics.example/") is hook.keep_alive_adapter


async def test_the_async_session_has_what_the_connection_says(connect: Connect) -> None:
    connect(
        extra={"proxies": {"https": "http://proxy:3128"}, "verify": False, "timeout": 7, "trust_env": False}
    )
    async with PushMetricsAsyncClient.open("pushmetrics_default") as client:
        transport = client._transport
        assert isinstance(transport.tls, ssl.SSLContext)
        assert (transport.tls.verify_mode, transport.proxies) == (
            ssl.CERT_NONE,
            {"https": "http://proxy:3128"},
        )
        assert (transport.trust_env, transport.timeout_seconds) == (False, 7.0)
        assert not transport.session.trust_env


# What is refused before anything is sent


@pytest.mark.parametrize(
    ("name", "file_format"), [("result", None), ("result.xls", None), ("result.csv", "excel")]
)
def test_a_format_that_there_is_not_is_refused_with_those_there_are(
    connect: Connect, tmp_path: Any, name: str, file_format: str | None
) -> None:
    connect(password="p-token")
    url = "https://pushmetrics.example/api/reports/1/queries/1/reportRun/1"
    with pytest.raises(PushMetricsParameterError, match="json, ndjson, csv, arrow, parquet"):
        PushMetricsHook().save_query_result(url, tmp_path / name, file_format=file_format)
    assert set(FORMATS) == {"json", "ndjson", "csv", "arrow", "parquet", "xlsx"}


async def test_looking_the_connection_up_does_not_block_the_event_loop(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(extra={"verify": ssl.get_default_verify_paths().openssl_cafile})
    context, loop_thread = ssl.create_default_context(), asyncio.get_running_loop()

    def create(cafile: str | None = None) -> ssl.SSLContext:
        with pytest.raises(RuntimeError, match="no running event loop"):
            asyncio.get_running_loop()
        return context

    monkeypatch.setattr(ssl, "create_default_context", create)
    async with PushMetricsAsyncClient.open("pushmetrics_default") as client:
        assert client._transport.tls is context
    assert asyncio.get_running_loop() is loop_thread


def test_what_the_http_hook_would_send_without_a_token_is_refused_with_the_way_out() -> None:
    with pytest.raises(PushMetricsParameterError, match=r"does not support run\(\): use its methods"):
        PushMetricsHook().run("api/v1/user/current")
