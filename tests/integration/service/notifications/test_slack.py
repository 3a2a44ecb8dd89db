"""Slack over real HTTP."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from airflow_provider_pushmetrics.exceptions import NotificationDelayedError, NotificationRefusedError
from airflow_provider_pushmetrics.service.egress.rules import EgressRules
from airflow_provider_pushmetrics.service.egress.transport import GuardedTransport
from airflow_provider_pushmetrics.service.models import OutgoingMessage
from airflow_provider_pushmetrics.service.notifications.settings import SlackSettings
from airflow_provider_pushmetrics.service.notifications.slack import (
    MAX_SLACK_ANSWER_BYTES,
    SlackMessenger,
)
from airflow_provider_pushmetrics.service.notifications.texts import build_slack_text
from tests.fakes.loopback import serve_raw
from tests.fakes.notices import BROKEN
from tests.fakes.service_process import find_free_port

TOKEN = "xoxb-1234567890-s3cret"


def build_answer(status: str, body: object, *headers: str) -> bytes:
    text = body if isinstance(body, str) else json.dumps(body)
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(text)}", "Connection: close", *headers, "", text]
    return "\r\n".join(lines).encode()


OK = build_answer("200 OK", {"ok": True, "ts": "1700000000.000100", "channel": "C1"})


def open_messenger(url: str) -> SlackMessenger:
    transport = GuardedTransport(EgressRules(allow_loopback=True))
    return SlackMessenger(SlackSettings(TOKEN, f"{url}/api/", timeout_seconds=60), transport=transport)


def make_message(channel: str, text: str, markdown: str | None = None) -> OutgoingMessage:
    return OutgoingMessage(kind="slack", recipient=channel, text=text, formatted=markdown)


def test_message_is_posted_once_with_the_token_in_the_header(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    text = build_slack_text(BROKEN)
    with serve_raw(OK) as server:
        open_messenger(server.url).send(make_message("#reports", text, "**text**"))
    assert len(server.requests) == 1
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /api/chat.postMessage HTTP/1.1")
    assert f"authorization: bearer {TOKEN}" in head.decode().lower()
    sent = json.loads(body)
    assert (sent["channel"], sent["text"]) == ("#reports", text)
    assert sent["blocks"] == [{"type": "markdown", "text": "**text**"}]
    assert TOKEN not in caplog.text


def build_long_answer(text: str, **more: Any) -> bytes:
    """Answer like Slack, which repeats the message."""
    blocks = [{"type": "markdown", "text": text}]
    return build_answer("200 OK", {"ok": True, **more, "message": {"text": text[:3000], "blocks": blocks}})


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(build_long_answer("Ж" * 12_000), id="long"),
        pytest.param(build_long_answer("😀" * 12_000, channel="C1"), id="longest"),
        pytest.param(build_long_answer("x" * 2 * MAX_SLACK_ANSWER_BYTES), id="too long"),
        pytest.param(build_long_answer("Ж" * 12_000)[:-100], id="broken off"),
        pytest.param(
            build_answer("200 OK", {"channel": "C1", "text": "Ж" * 12_000, "ok": True}), id="ok last"
        ),
    ],
)
def test_message_was_posted_however_long_the_answer_is(answer: bytes) -> None:
    with serve_raw(answer) as server:
        open_messenger(server.url).send(make_message("#reports", "x", "Ж" * 12_000))
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(build_answer("200 OK", {"ok": False, "error": "x" * 200_000})[:-100], id="broken off"),
        pytest.param(
            build_answer("200 OK", {"ok": False, "x": "y" * 2 * MAX_SLACK_ANSWER_BYTES}), id="too long"
        ),
        pytest.param(build_answer("500 Error", {"ok": True})[:-1], id="an error"),
        pytest.param(build_answer("200 OK", {"ok": True})[:-6], id="no value"),
    ],
)
def test_message_is_sent_again_if_no_answer_says_that_it_was_posted(answer: bytes) -> None:
    with serve_raw(answer) as server, pytest.raises(NotificationDelayedError, match="'#reports'"):
        open_messenger(server.url).send(make_message("#reports", "x"))


@pytest.mark.parametrize(
    "answer",
    [
        build_answer("200 OK", {"ok": False, "error": "channel_not_found"}),
        build_answer("200 OK", {"ok": False, "error": "invalid_auth"}),
        build_answer("403 Forbidden", {"ok": False, "error": "not_in_channel"}),
    ],
)
def test_what_slack_will_never_take_is_refused(answer: bytes) -> None:
    with serve_raw(answer) as server, pytest.raises(NotificationRefusedError) as caught:
        open_messenger(server.url).send(make_message("#nowhere", "x"))
    assert ": Slack did not post to '#nowhere'. " in str(caught.value)
    assert "Check the channel" in str(caught.value)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("answer", "wait"),
    [
        (build_answer("429 Too Many", {"ok": False, "error": "ratelimited"}, "Retry-After: 30"), 30),
        (build_answer("429 Too Many", "slow down", "Retry-After: soon"), None),
        (build_answer("200 OK", {"ok": False, "error": "internal_error"}), None),
        (build_answer("503 Unavailable", "<html>back soon</html>"), None),
        (build_answer("200 OK", "<html>please log in to this network</html>"), None),
        (build_answer("502 Bad Gateway", ""), None),
        (b"not HTTP\r\n\r\n", None),
        (b"", None),
    ],
)
def test_what_may_pass_is_delayed(answer: bytes, wait: float | None) -> None:
    with serve_raw(answer) as server, pytest.raises(NotificationDelayedError, match="'#reports'") as caught:
        open_messenger(server.url).send(make_message("#reports", "x"))
    assert caught.value.retry_after_seconds == wait
    assert len(server.requests) == 1


def test_no_error_shows_the_token() -> None:
    answer = build_answer("200 OK", {"ok": False, "error": TOKEN})
    with serve_raw(answer) as server, pytest.raises(NotificationDelayedError) as caught:
        open_messenger(server.url).send(make_message("#reports", "x"))
    assert TOKEN not in str(caught.value)


def test_slack_that_is_not_there_may_be_later() -> None:
    messenger = open_messenger(f"http://127.0.0.1:{find_free_port()}")
    with pytest.raises(NotificationDelayedError, match="could not be asked to post to '#reports'"):
        messenger.send(make_message("#reports", "x"))


@pytest.mark.parametrize(
    "status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"]
)
def test_redirect_is_not_followed_with_the_token(status: str) -> None:
    with serve_raw(OK) as elsewhere:
        moved = build_answer(status, "", f"Location: {elsewhere.url}/api/chat.postMessage")
        with serve_raw(moved) as server, pytest.raises(NotificationDelayedError, match=status[:3]):
            open_messenger(server.url).send(make_message("#reports", "text"))
    assert elsewhere.requests == []


def test_address_that_the_egress_rules_forbid_is_refused() -> None:
    transport = GuardedTransport(EgressRules())
    messenger = SlackMessenger(SlackSettings(TOKEN, "http://127.0.0.1:1/api/"), transport=transport)
    with pytest.raises(NotificationRefusedError, match="Slack cannot be reached: nothing can be sent"):
        messenger.send(make_message("#reports", "x"))
