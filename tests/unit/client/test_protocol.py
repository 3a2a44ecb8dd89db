from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_pushmetrics.client.protocol import NetworkError, Request, Response
from airflow_provider_pushmetrics.exceptions import PushMetricsProtocolError

TOKEN = "trigger-token-0123456789"
REQUEST = Request(
    "POST",
    f"https://pushmetrics.io/api/v1/report/1/webhook?token={TOKEN}",
    headers={"Authorization": f"Bearer {TOKEN}"},
    json_body={"note": TOKEN},
)


def test_a_request_prints_without_its_url_its_headers_and_its_body() -> None:
    assert TOKEN not in repr(REQUEST)


def test_a_request_describes_itself_without_its_token() -> None:
    assert REQUEST.describe() == "POST https://pushmetrics.io/api/v1/report/1/webhook?token=***"


def test_a_request_may_be_repeated_unless_it_says_otherwise() -> None:
    assert Request("GET", "https://pushmetrics.io/").is_repeatable


def test_a_request_lists_the_secrets_that_it_carries() -> None:
    assert Request("GET", "https://h/x?a=1", {"Accept": "x"}).list_secrets() == ()
    assert REQUEST.list_secrets() == (TOKEN, TOKEN)
    odd = Request("POST", "https://h/x?token=a%2Bb%2Fc", {"authorization": "Basic dXNlcg=="})
    assert odd.list_secrets() == ("a+b/c", "dXNlcg==")


def test_a_json_object_is_read() -> None:
    assert Response(200, {}, b'{"success": true}').parse_object(REQUEST) == {"success": True}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<!doctype html><title>Sign in</title>",
        b"[]",
        b"null",
        b'"text"',
        b"7",
        b"\xff\xfe",
        b"[" * 200_000,
        b'{"a": ' * 200_000,
        b'{"n": ' + b"9" * 5000 + b"}",
    ],
)
def test_what_is_no_json_object_is_refused_with_what_came_instead(body: bytes) -> None:
    response = Response(200, {"content-type": "text/html"}, body)
    with pytest.raises(
        PushMetricsProtocolError, match=r"200 with 'text/html' instead of a JSON object"
    ) as caught:
        response.parse_object(REQUEST)
    assert caught.value.status_code == 200
    assert TOKEN not in str(caught.value)


def test_an_answer_without_a_content_type_is_refused_in_words() -> None:
    with pytest.raises(PushMetricsProtocolError, match="no content type"):
        Response(200, {}, b"").parse_object(REQUEST)


@given(st.binary(max_size=100))
def test_no_body_raises_anything_but_a_protocol_error(body: bytes) -> None:
    with suppress(PushMetricsProtocolError):
        assert isinstance(Response(200, {}, body).parse_object(REQUEST), dict)


def test_a_network_error_says_whether_the_request_may_have_arrived() -> None:
    assert NetworkError("reset", was_sent=True).was_sent
    assert not NetworkError("refused", was_sent=False).was_sent
