from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_pushmetrics.client.calls import fetch_run, trigger_report
from airflow_provider_pushmetrics.client.credentials import Credentials
from airflow_provider_pushmetrics.client.errors import MAX_MESSAGE_CHARACTERS, build_error, find_message
from airflow_provider_pushmetrics.client.feed import Receiver, fetch_cursor
from airflow_provider_pushmetrics.client.protocol import Call, Request, Response
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsApiError,
    PushMetricsAuthError,
    PushMetricsConflictError,
    PushMetricsNotFoundError,
    PushMetricsProtocolError,
    PushMetricsUnavailableError,
)
from tests.fakes.scripted import build_answer, run_call

TOKEN = "trigger-token-0123456789"
BEARER = "bearer-token-0123456789"
REQUEST = Request("GET", f"https://pushmetrics.io/x?token={TOKEN}", {"Authorization": f"Bearer {BEARER}"})


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_2xx_is_no_error(status: int) -> None:
    assert build_error(REQUEST, build_answer(status)) is None


@pytest.mark.parametrize(
    ("status", "error_class"),
    [
        (400, PushMetricsApiError),
        (401, PushMetricsAuthError),
        (402, PushMetricsAuthError),
        (403, PushMetricsAuthError),
        (404, PushMetricsNotFoundError),
        (405, PushMetricsApiError),
        (408, PushMetricsUnavailableError),
        (409, PushMetricsConflictError),
        (410, PushMetricsApiError),
        (413, PushMetricsApiError),
        (422, PushMetricsApiError),
        (425, PushMetricsUnavailableError),
        (429, PushMetricsUnavailableError),
        (500, PushMetricsUnavailableError),
        (501, PushMetricsUnavailableError),
        (503, PushMetricsUnavailableError),
        (599, PushMetricsUnavailableError),
        (301, PushMetricsProtocolError),
        (308, PushMetricsProtocolError),
        (304, PushMetricsProtocolError),
    ],
)
def test_each_status_has_its_error(status: int, error_class: type[PushMetricsApiError]) -> None:
    error = build_error(REQUEST, build_answer(status, {"message": "the server's words"}))
    assert type(error) is error_class
    assert error.status_code == status


def test_an_error_says_what_was_asked_what_came_and_the_servers_words() -> None:
    error = build_error(REQUEST, build_answer(404, {"message": "Not found"}))
    assert str(error) == "GET https://pushmetrics.io/x?token=*** was answered 404: Not found"


def test_a_refused_credential_names_the_way_out() -> None:
    assert "Check the tokens of the Airflow connection" in str(build_error(REQUEST, build_answer(401)))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            trigger_report("https://h", "7", "t0ken", conn_id="my_conn"),
            "Check the token of report '7' in the extra 'trigger_tokens' of connection 'my_conn'.",
        ),
        (
            fetch_run(Credentials("https://h", "p-token", conn_id="my_conn"), 1),
            "Check the API token, which is the password of connection 'my_conn'.",
        ),
        (
            fetch_run(Credentials("https://h", "pmpat_token", conn_id="my_conn"), 1),
            "Check the API token, which is the password of connection 'my_conn'.",
        ),
        (
            fetch_cursor(Receiver("https://h", "r-token", "my_conn")),
            "Check the extra 'receiver_token' of connection 'my_conn'.",
        ),
    ],
)
def test_a_refused_token_is_named_with_its_connection(call: Call[Any], words: str) -> None:
    with pytest.raises(PushMetricsAuthError) as caught:
        run_call(call, build_answer(401, {"message": "Not authorized"}))
    assert str(caught.value).endswith(f"was answered 401: Not authorized. {words}")


def test_an_unavailable_server_says_when_to_come_back() -> None:
    error = build_error(REQUEST, build_answer(503, retry_after="17"))
    assert isinstance(error, PushMetricsUnavailableError)
    assert error.retry_after_seconds == 17.0


def test_a_redirect_names_its_target_without_its_token() -> None:
    target = "https://elsewhere.example/?token=t0ken-value"
    error = build_error(REQUEST, build_answer(301, location=target))
    assert "https://elsewhere.example/?token=***" in str(error)
    assert "redirects are not followed" in str(error)


def test_a_redirect_to_nowhere_is_a_redirect_all_the_same() -> None:
    assert "(nowhere)" in str(build_error(REQUEST, build_answer(302)))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"message": "words"}, "words"),
        ({"error": "words"}, "words"),
        ({"msg": "words"}, "words"),
        ({"message": "first", "error": "second"}, "first"),
        ({"message": {"report_id": ["Missing data"]}}, '{"message": {"report_id": ["Missing data"]}}'),
        ({"message": ""}, '{"message": ""}'),
        ([], "[]"),
        (b"Bad Gateway", "Bad Gateway"),
        (b"  \n ", None),
        (b"", None),
        (b"\xff\xfe", "��"),
        (b"[" * 300, "[" * 300),
    ],
)
def test_the_servers_message_is_found(body: object, message: str | None) -> None:
    assert find_message(REQUEST, build_answer(400, body)) == message


def test_the_servers_message_can_be_logged_and_stored_whatever_it_holds() -> None:
    body = json.dumps({"message": "a\0b\ud800c"}).encode("ascii")
    assert find_message(REQUEST, build_answer(500, body)) == "a\ufffdb\ufffdc"


def test_an_error_without_words_says_so() -> None:
    assert str(build_error(REQUEST, build_answer(404, b""))).endswith("no message")


@pytest.mark.parametrize("body", [json.dumps({"message": "x" * 9999}).encode(), b"x" * 9999])
def test_a_long_message_is_cut(body: bytes) -> None:
    message = find_message(REQUEST, build_answer(400, body))
    assert message == "x" * MAX_MESSAGE_CHARACTERS


@pytest.mark.parametrize(
    "words", [f"{TOKEN} is not the token", f"unknown user {BEARER}", "https://h/?token=t0k3n", "pmpat_abcdef"]
)
@pytest.mark.parametrize("wrap", [lambda words: {"message": words}, lambda words: words.encode()])
def test_a_token_that_the_server_echoes_is_not_in_the_error(words: str, wrap: object) -> None:
    assert callable(wrap)
    text = str(build_error(REQUEST, build_answer(403, wrap(words))))
    for secret in (TOKEN, BEARER, "t0k3n", "abcdef"):
        assert secret not in text


def test_a_token_at_the_cut_is_taken_out_whole() -> None:
    filler = "x" * (MAX_MESSAGE_CHARACTERS - 10)
    for body in ({"message": filler + BEARER}, (filler + BEARER).encode()):
        assert BEARER[:8] not in str(build_error(REQUEST, build_answer(400, body)))


@given(st.integers(100, 999), st.binary(max_size=60), st.text(st.characters(), max_size=30))
def test_no_answer_makes_building_its_error_fail(status: int, body: bytes, header: str) -> None:
    headers = {"retry-after": header, "location": header, "content-type": header}
    error = build_error(REQUEST, Response(status, headers, body))
    assert (error is None) == (200 <= status < 300)
