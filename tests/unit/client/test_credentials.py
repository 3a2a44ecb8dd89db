from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_pushmetrics.client.credentials import (
    EXCHANGE_LEASE_SECONDS,
    Credentials,
    parse_origin,
)
from airflow_provider_pushmetrics.client.protocol import Pause, Request
from airflow_provider_pushmetrics.client.retry_policy import ONE_ATTEMPT
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsAuthError,
    PushMetricsConfigurationError,
    PushMetricsProtocolError,
    PushMetricsUnavailableError,
    PushMetricsUntrustedUrlError,
)
from tests.fakes.scripted import FakeClock, ScriptedDriver, build_answer, run_call

BASE = "https://pushmetrics.io"
PAT = "pmpat_" + "a" * 43


def build_credentials(token: str | None = PAT, clock: FakeClock | None = None, **kwargs: Any) -> Credentials:
    return Credentials(BASE, token, clock=clock or FakeClock(), **kwargs)


def build_exchange(jwt: str = "jwt.one.x", **body: Any) -> Any:
    return build_answer(200, {"access_token": jwt, "expires_in": 900, **body})


# Where the token may go


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://pushmetrics.io", ("https", "pushmetrics.io", 443)),
        ("HTTPS://PushMetrics.IO:443/a?b#c", ("https", "pushmetrics.io", 443)),
        ("https://pushmetrics.io./", ("https", "pushmetrics.io", 443)),
        ("http://127.0.0.1:8090", ("http", "127.0.0.1", 8090)),
        ("http://[::1]:8090/x", ("http", "::1", 8090)),
    ],
)
def test_an_origin_is_scheme_host_and_port(url: str, origin: tuple[str, str, int]) -> None:
    assert parse_origin(url) == origin


@pytest.mark.parametrize(
    "url",
    [
        "",
        "pushmetrics.io",
        "//pushmetrics.io",
        "ftp://pushmetrics.io",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "https://",
        "https:///path",
        "https://user@pushmetrics.io",
        "https://user:pass@pushmetrics.io",
        "https://@pushmetrics.io",
        "https://pushmetrics.io:99999",
        "https://pushmetrics.io:port",
        "https://pushmetrics.io:-1",
        "https://[::1",
        "https://[nonsense]",
    ],
)
def test_what_has_no_plain_web_origin_has_none(url: str) -> None:
    assert parse_origin(url) is None


@given(st.text(st.characters(), max_size=60))
def test_no_text_makes_reading_an_origin_fail(text: str) -> None:
    for url in (text, f"https://{text}", f"https://{text}/x", f"https://pushmetrics.io{text}"):
        assert parse_origin(url) is None or parse_origin(url) is not None


@pytest.mark.parametrize(
    "url",
    [
        "https://pushmetrics.io/api/reports/1/run/1",
        "HTTPS://PUSHMETRICS.IO/api",
        "https://pushmetrics.io:443/api",
        "https://pushmetrics.io./api",
        "https://results.example:8443/file",
    ],
)
def test_the_token_may_go_to_the_base_url_and_to_listed_origins(url: str) -> None:
    build_credentials(trusted_origins=("https://results.example:8443/any/path",)).refuse_untrusted(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://pushmetrics.io/api",
        "https://pushmetrics.io:8443/api",
        "https://pushmetrics.io.evil.example/api",
        "https://evil.example/pushmetrics.io",
        "https://evil.example?https://pushmetrics.io",
        "https://evil.example#@pushmetrics.io",
        "https://pushmetrics.io@evil.example/",
        "https://evil.example@pushmetrics.io/",
        "https://pushmetrics.io:443@evil.example/",
        "https://pushmetrics.io\\@evil.example/",
        "https://evil.example\\.pushmetrics.io/",
        "https://app.pushmetrics.io/",
        "https://pushmetrics\u3002io/",
        "https://pushmetr\u0131cs.io/",
        "https://xn--pushmetrcs-2pb.io/",
        "https://pushmetrics%2eio/",
        "https://pushmetrics.io%00.evil.example/",
        "//pushmetrics.io/api",
        "/api/reports/1/run/1",
        "",
        "file://pushmetrics.io/etc/passwd",
        "https://[::1/",
    ],
)
def test_the_token_goes_nowhere_else(url: str) -> None:
    with pytest.raises(PushMetricsUntrustedUrlError, match="the API token is not sent there"):
        build_credentials().refuse_untrusted(url)


def test_a_refused_url_is_named_without_the_tokens_in_it() -> None:
    with pytest.raises(PushMetricsUntrustedUrlError) as caught:
        build_credentials().refuse_untrusted("https://evil.example/?token=t0ken-value")
    assert "evil.example" in str(caught.value)
    assert "t0ken-value" not in str(caught.value)
    assert "trusted_origins" in str(caught.value)


# What is sent


def test_credentials_print_without_their_secrets() -> None:
    credentials = build_credentials()
    run_call(credentials.authorize(), build_exchange())
    assert PAT not in repr(credentials)
    assert "jwt.one.x" not in repr(credentials)


@pytest.mark.parametrize("token", [None, ""])
def test_without_a_token_the_error_names_the_field(token: str | None) -> None:
    with pytest.raises(PushMetricsConfigurationError, match="password field"):
        run_call(build_credentials(token).authorize())


def test_another_token_is_the_bearer_itself() -> None:
    credentials = build_credentials("opaque")
    assert run_call(credentials.authorize()) == {"Authorization": "Bearer opaque"}
    assert not credentials.can_renew


def test_a_personal_token_is_exchanged_as_pushmetrics_own_client_does_it() -> None:
    driver = ScriptedDriver([build_exchange()])
    assert driver.run(build_credentials().authorize()) == {"Authorization": "Bearer jwt.one.x"}
    request = driver.requests[0]
    assert driver.paths == ["POST /api/v1/security/exchange"]
    assert request.headers["Authorization"] == f"Bearer {PAT}"
    assert request.json_body is None
    assert "Content-Type" not in request.headers


def test_the_jwt_is_kept_until_a_minute_before_its_end() -> None:
    clock = FakeClock()
    credentials = build_credentials(clock=clock)
    run_call(credentials.authorize(), build_exchange("jwt.one.x"))
    clock.advance(839)
    assert run_call(credentials.authorize()) == {"Authorization": "Bearer jwt.one.x"}
    clock.advance(1)
    assert run_call(credentials.authorize(), build_exchange("jwt.two.x")) == {
        "Authorization": "Bearer jwt.two.x"
    }


@pytest.mark.parametrize("expires_in", [None, "soon", True, [], {}, float("nan"), float("inf"), "1e999"])
def test_an_unreadable_lifetime_counts_as_fifteen_minutes(expires_in: Any) -> None:
    clock = FakeClock()
    credentials = build_credentials(clock=clock)
    run_call(credentials.authorize(), build_exchange(expires_in=expires_in))
    clock.advance(839)
    run_call(credentials.authorize())
    clock.advance(1)
    run_call(credentials.authorize(), build_exchange())


@pytest.mark.parametrize("expires_in", [60, 0, -5, "30"])
def test_a_jwt_that_hardly_lives_is_made_anew_each_time(expires_in: Any) -> None:
    credentials = build_credentials()
    for _ in range(2):
        run_call(credentials.authorize(), build_exchange(expires_in=expires_in))


def test_a_forgotten_jwt_is_made_anew() -> None:
    credentials = build_credentials()
    run_call(credentials.authorize(), build_exchange())
    credentials.discard_jwt()
    run_call(credentials.authorize(), build_exchange("jwt.two.x"))


def test_a_refused_exchange_is_an_auth_error() -> None:
    with pytest.raises(PushMetricsAuthError, match="token has been revoked"):
        run_call(build_credentials().authorize(), build_answer(401, {"message": "token has been revoked"}))


def test_a_limited_exchange_is_tried_again() -> None:
    driver = ScriptedDriver([build_answer(429, retry_after="6"), build_exchange()])
    driver.run(build_credentials().authorize())
    assert driver.pauses == [6.0]


def test_an_exchange_that_breaks_off_is_unavailable_and_no_configuration_error() -> None:
    driver = ScriptedDriver([build_answer(502)], repeats_last=True)
    with pytest.raises(PushMetricsUnavailableError):
        driver.run(build_credentials().authorize())


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"access_token": None},
        {"access_token": ""},
        {"access_token": 7},
        {"access_token": "a\nb c"},
        b"<html>",
    ],
)
def test_an_exchange_without_a_usable_jwt_is_refused(body: Any) -> None:
    with pytest.raises(PushMetricsProtocolError):
        run_call(build_credentials().authorize(), build_answer(200, body))


def test_the_personal_token_is_in_no_error_of_the_exchange() -> None:
    with pytest.raises(PushMetricsAuthError) as caught:
        run_call(build_credentials().authorize(), build_answer(403, {"message": f"{PAT} may not"}))
    assert PAT[6:] not in str(caught.value)


# Calls at the same time


def test_calls_at_the_same_time_exchange_the_token_once() -> None:
    credentials = build_credentials()
    first, second = credentials.authorize(), credentials.authorize()
    assert isinstance(next(first), Request)
    assert isinstance(next(second), Pause)
    with pytest.raises(StopIteration) as first_end:
        first.send(build_exchange())
    with pytest.raises(StopIteration) as second_end:
        second.send(None)
    assert first_end.value.value == second_end.value.value == {"Authorization": "Bearer jwt.one.x"}


def test_call_exchanges_the_token_itself_if_the_other_one_fails_or_is_given_up() -> None:
    for end in (Generator.close, lambda call: call.throw(KeyboardInterrupt)):
        credentials = build_credentials()
        first, second = credentials.authorize(), credentials.authorize()
        next(first)
        next(second)
        with suppress(KeyboardInterrupt):
            end(first)
        assert isinstance(second.send(None), Request)


def test_one_call_takes_over_an_exchange_that_does_not_end_and_the_others_wait_for_it() -> None:
    clock = FakeClock()
    credentials = build_credentials(clock=clock)
    first, *others = [credentials.authorize() for _ in range(5)]
    next(first)
    assert {type(next(other)) for other in others} == {Pause}
    clock.advance(EXCHANGE_LEASE_SECONDS - 1)
    assert {type(other.send(None)) for other in others} == {Pause}
    clock.advance(1)
    assert [type(other.send(None)) for other in others] == [Request, Pause, Pause, Pause]
    first.close()
    assert {type(other.send(None)) for other in others[1:]} == {Pause}


def test_calls_that_wait_for_an_exchange_that_fails_get_its_error_without_attempts_of_their_own() -> None:
    credentials = build_credentials()
    first, *others = [credentials.authorize(ONE_ATTEMPT) for _ in range(5)]
    assert [type(next(call)) for call in (first, *others)] == [Request, Pause, Pause, Pause, Pause]
    caught = []
    with pytest.raises(PushMetricsUnavailableError) as failed:
        first.send(build_answer(503))
    for other in others:
        with pytest.raises(PushMetricsUnavailableError) as waited:
            other.send(None)
        caught.append(waited.value)
    assert {(str(error), error.status_code) for error in caught} == {(str(failed.value), 503)}
    assert len({id(error) for error in (failed.value, *caught)}) == 5
    later = credentials.authorize(ONE_ATTEMPT)
    assert isinstance(next(later), Request)  # the failure was that of another time


def test_call_that_may_make_more_attempts_than_the_exchange_that_fails_makes_them() -> None:
    credentials = build_credentials()
    holder, hasty = credentials.authorize(ONE_ATTEMPT), credentials.authorize(ONE_ATTEMPT)
    patient = credentials.authorize()
    assert [type(next(call)) for call in (holder, patient, hasty)] == [Request, Pause, Pause]
    with pytest.raises(PushMetricsUnavailableError):
        holder.send(build_answer(503))
    assert isinstance(patient.send(None), Request)
    with pytest.raises(PushMetricsUnavailableError):
        hasty.send(None)
    with pytest.raises(StopIteration) as end:
        patient.send(build_exchange())
    assert end.value.value == {"Authorization": "Bearer jwt.one.x"}
