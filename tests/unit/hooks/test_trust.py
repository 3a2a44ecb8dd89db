from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
from certifi import where

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.hooks.settings import TransportSettings
from airflow_provider_pushmetrics.hooks.trust import CA_VARIABLES, build_context, resolve_verify
from tests.fakes.certificates import make_tls


@pytest.fixture(name="bundle")
def make_bundle(tmp_path: Path) -> str:
    make_tls(tmp_path, "127.0.0.1")
    return str(tmp_path / "server.pem")


def test_without_a_word_the_same_cas_are_trusted_by_both() -> None:
    assert resolve_verify(TransportSettings(), {}) == where()
    assert build_context(TransportSettings(), {}).verify_mode is ssl.CERT_REQUIRED


def test_the_first_variable_that_is_set_counts(bundle: str) -> None:
    for number, name in enumerate(CA_VARIABLES):
        environ = {name: bundle} | {later: "/nonexistent.pem" for later in CA_VARIABLES[number + 1 :]}
        assert resolve_verify(TransportSettings(), environ) == bundle


@pytest.mark.parametrize(
    ("transport", "verify"),
    [(TransportSettings(trust_env=False), where()), (TransportSettings(verify=False), False)],
    ids=["trust_env=False", "verify=False"],
)
def test_the_environment_does_not_count_where_the_connection_says_so(
    transport: TransportSettings, verify: Any
) -> None:
    assert resolve_verify(transport, {"REQUESTS_CA_BUNDLE": "/nonexistent.pem"}) == verify
    build_context(transport, {"REQUESTS_CA_BUNDLE": "/nonexistent.pem"})


def test_a_missing_file_is_an_error_that_says_who_named_it() -> None:
    for check in (resolve_verify, build_context):
        with pytest.raises(PushMetricsConfigurationError, match="extra 'verify' names '/no/such'"):
            check(TransportSettings(verify="/no/such"), {})


def test_a_file_that_was_changed_is_read_anew(bundle: str) -> None:
    transport = TransportSettings(verify=bundle)
    first = build_context(transport, {})
    assert build_context(transport, {}) is first
    Path(bundle).write_text("no certificate")
    with pytest.raises(PushMetricsConfigurationError, match="cannot be used"):
        build_context(transport, {})


def test_a_client_certificate_does_not_bring_back_the_check_that_was_switched_off(bundle: str) -> None:
    context = build_context(TransportSettings(verify=False, cert=bundle), {})
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_NONE, False)
