from __future__ import annotations

import dataclasses
import logging

import pytest

from airflow_provider_pushmetrics.client.protocol import Request
from airflow_provider_pushmetrics.client.retrying import DEFAULT_POLICY, send
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsApiError,
    PushMetricsAuthError,
    PushMetricsDeliveryUnknownError,
    PushMetricsProtocolError,
    PushMetricsUnavailableError,
)
from tests.fakes.scripted import BROKE_OFF, NEVER_SENT, Answer, ScriptedDriver, build_answer, run_call

READ = Request("GET", "https://pushmetrics.io/api/v1/report/1?token=t0ken-value")
START = dataclasses.replace(READ, method="POST", is_repeatable=False)


def test_the_answer_is_returned() -> None:
    assert run_call(send(READ), build_answer(201, {"id": 1})).status_code == 201


@pytest.mark.parametrize(
    "trouble", [BROKE_OFF, NEVER_SENT, *map(build_answer, (408, 425, 429, 500, 502, 503, 504))]
)
def test_a_request_that_may_be_repeated_is_sent_again(trouble: Answer) -> None:
    driver = ScriptedDriver([trouble, trouble, build_answer()])
    assert driver.run(send(READ)).status_code == 200
    assert driver.requests == [READ] * 3


def test_the_attempts_come_to_an_end() -> None:
    driver = ScriptedDriver([build_answer(503, {"message": "maintenance"})], repeats_last=True)
    with pytest.raises(PushMetricsUnavailableError, match="was answered 503: maintenance") as caught:
        driver.run(send(READ))
    assert caught.value.status_code == 503
    assert len(driver.requests) == DEFAULT_POLICY.attempts
    assert len(driver.pauses) == DEFAULT_POLICY.attempts - 1


@pytest.mark.parametrize("request_", [READ, START])
def test_a_request_that_never_arrived_is_unavailable(request_: Request) -> None:
    driver = ScriptedDriver([NEVER_SENT], repeats_last=True)
    with pytest.raises(PushMetricsUnavailableError, match="got no response: connection refused") as caught:
        driver.run(send(request_))
    assert caught.value.status_code is None


def test_a_server_that_asks_for_too_long_a_wait_is_not_waited_for() -> None:
    driver = ScriptedDriver([build_answer(503, retry_after="86400")])
    with pytest.raises(PushMetricsUnavailableError) as caught:
        driver.run(send(READ))
    assert caught.value.retry_after_seconds == 86400.0
    assert driver.pauses == []


@pytest.mark.parametrize(
    ("status", "error_class"),
    [
        (400, PushMetricsApiError),
        (401, PushMetricsAuthError),
        (422, PushMetricsApiError),
        (301, PushMetricsProtocolError),
        (307, PushMetricsProtocolError),
    ],
)
@pytest.mark.parametrize("request_", [READ, START])
def test_a_refusal_is_final(request_: Request, status: int, error_class: type[Exception]) -> None:
    with pytest.raises(error_class):
        run_call(send(request_), build_answer(status))


@pytest.mark.parametrize("trouble", [BROKE_OFF, *map(build_answer, (408, 425, 500, 502, 503, 504))])
def test_a_request_that_must_not_be_repeated_is_sent_once_if_it_may_have_arrived(trouble: Answer) -> None:
    driver = ScriptedDriver([trouble])
    with pytest.raises(PushMetricsDeliveryUnknownError, match=r"may have arrived.*not repeated") as caught:
        driver.run(send(START))
    assert caught.value.__suppress_context__  # all of the cause is in its words
    assert driver.pauses == []


@pytest.mark.parametrize("trouble", [NEVER_SENT, build_answer(429, retry_after="1")])
def test_a_request_that_cannot_have_arrived_is_sent_again(trouble: Answer) -> None:
    driver = ScriptedDriver([trouble, build_answer()])
    assert driver.run(send(START)).status_code == 200


def test_a_request_that_arrived_after_a_refused_connection_is_not_sent_a_third_time() -> None:
    with pytest.raises(PushMetricsDeliveryUnknownError):
        run_call(send(START), NEVER_SENT, BROKE_OFF)


def test_each_further_attempt_is_logged_without_tokens(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        run_call(send(READ), build_answer(503, {"message": "t0ken-value is busy"}), build_answer())
    assert len(caplog.records) == 1
    assert "retrying in" in caplog.text
    assert "t0ken-value" not in caplog.text
