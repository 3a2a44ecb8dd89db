"""Messages to Slack, by ``chat.postMessage``."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx

from airflow_provider_pushmetrics.exceptions import (
    NotificationDelayedError,
    NotificationError,
    NotificationRefusedError,
    PushMetricsEndpointError,
)
from airflow_provider_pushmetrics.redaction import redact
from airflow_provider_pushmetrics.retry_after import parse_retry_after
from airflow_provider_pushmetrics.service.egress.deadline import limit_time
from airflow_provider_pushmetrics.service.models import OutgoingMessage
from airflow_provider_pushmetrics.service.notifications.settings import SlackSettings

PASSING_ERRORS = frozenset({
    "accesslimited", "fatal_error", "internal_error", "ratelimited", "rate_limited", "request_timeout",
    "service_unavailable", "team_added_to_org",
})  # fmt: skip
"""Temporary errors of Slack; all others need a change: https://api.slack.com/methods/chat.postMessage#errors."""

MAX_SLACK_ANSWER_BYTES = 1024 * 1024
"""The answer repeats the message, with up to twelve bytes for a character."""

_POSTED = re.compile(rb'\s*\{\s*"ok"\s*:\s*true\b')
"""The beginning of the answer when a message was posted: the rest may be too long, or be lost."""
_ERROR_CODE = re.compile(r"[a-z][a-z0-9_]{0,63}\Z")


class SlackMessenger:
    """
    Posts messages. Redirects are not followed: they would send the token elsewhere.

    :param settings: The URL and the token.
    :param transport: Sends the requests; it allows only some addresses.
    """

    def __init__(self, settings: SlackSettings, *, transport: httpx.BaseTransport) -> None:
        self._settings = settings
        self._url = settings.base_url.rstrip("/") + "/chat.postMessage"
        self._client = httpx.Client(
            transport=transport, timeout=settings.timeout_seconds, follow_redirects=False, trust_env=False
        )

    def send(self, message: OutgoingMessage) -> None:
        """
        Post a message of the outbox; it blocks.

        :raises NotificationDelayedError: if a later attempt may succeed.
        :raises NotificationRefusedError: if Slack rejects it.
        """
        body: dict[str, Any] = {"channel": message.recipient, "text": message.text, "unfurl_links": False}
        if message.formatted is not None:
            body["blocks"] = [{"type": "markdown", "text": message.formatted}]
        try:
            answer, content = self._post(json.dumps(body))
        except PushMetricsEndpointError as error:
            raise NotificationRefusedError(f"Slack cannot be reached: {error}") from None
        except httpx.HTTPError as error:
            said = redact(str(error) or type(error).__name__, self._settings.token)
            raise NotificationDelayedError(
                f"Slack could not be asked to post to {message.recipient!r}: {said}. It is tried again later."
            ) from None
        answered = _parse_answer(content)
        is_posted = _POSTED.match(content) is not None or answered.get("ok") is True
        if not (answer.is_success and is_posted):
            raise self._classify(answer, str(answered.get("error", "")), message.recipient)

    def close(self) -> None:
        self._client.close()

    def _post(self, body: str) -> tuple[httpx.Response, bytes]:
        headers = {
            "Authorization": f"Bearer {self._settings.token}",
            "Content-Type": "application/json; charset=utf-8",
            "Accept-Encoding": "identity",  # a small compressed answer could be a large one
        }
        content = b""
        with (
            limit_time(self._settings.timeout_seconds),
            self._client.stream("POST", self._url, content=body, headers=headers) as answer,
        ):
            try:
                for chunk in answer.iter_raw():
                    content += chunk
                    if len(content) > MAX_SLACK_ANSWER_BYTES:
                        break
            except httpx.HTTPError:
                if not _POSTED.match(content):
                    raise
        return answer, content

    def _classify(self, answer: httpx.Response, code: str, channel: str) -> NotificationError:
        status, is_code = answer.status_code, _ERROR_CODE.match(code) is not None
        said = code if is_code else f"HTTP status {status}, and no answer of Slack's API"
        what = f"{redact(said, self._settings.token)}: Slack did not post to {channel!r}"
        if status == 429 or status >= 500 or code in PASSING_ERRORS or not is_code:
            wait = parse_retry_after(answer.headers.get("retry-after"))
            return NotificationDelayedError(f"{what}. It is tried again later.", retry_after_seconds=wait)
        return NotificationRefusedError(
            f"{what}. Check the channel, whether the bot was invited to it, and {SlackSettings.PREFIX}TOKEN."
        )


def _parse_answer(content: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}
