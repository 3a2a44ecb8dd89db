"""Messages to Slack."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any
from urllib.request import HTTPRedirectHandler, HTTPSHandler, Request, build_opener

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from airflow_provider_pushmetrics.exceptions import (
    NotificationDelayedError,
    NotificationError,
    NotificationRefusedError,
)
from airflow_provider_pushmetrics.redaction import redact
from airflow_provider_pushmetrics.service.notifications.settings import SLACK_PREFIX, SlackSettings

PASSING_ERRORS = frozenset(
    {
        "accesslimited",
        "fatal_error",
        "internal_error",
        "ratelimited",
        "rate_limited",
        "request_timeout",
        "service_unavailable",
        "team_added_to_org",
    }
)
"""Errors that Slack says will pass; all others need somebody: https://api.slack.com/methods/chat.postMessage#errors."""

_ERROR_CODE = re.compile(r"[a-z][a-z0-9_]{0,63}\Z")


class _RefuseRedirects(HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Follow no redirect: the request would take the token to wherever it leads."""


class _DirectClient(WebClient):
    def _perform_urllib_http_request_internal(self, url: str, req: Request) -> dict[str, Any]:
        # Slack's own sends by an opener that follows redirects, and has no setting against it.
        opener = build_opener(_RefuseRedirects(), HTTPSHandler(context=self.ssl))
        with opener.open(req, timeout=self.timeout) as answer:
            body = answer.read().decode(answer.headers.get_content_charset() or "utf-8")
            return {"status": answer.status, "headers": answer.headers, "body": body}


class SlackMessenger:
    """
    Posts messages.

    :param settings: Where, and as whom.
    """

    def __init__(self, settings: SlackSettings) -> None:
        self._settings = settings
        self._client = _DirectClient(
            settings.token,
            base_url=settings.base_url,
            timeout=settings.timeout_seconds,
            retry_handlers=[],  # a call that is repeated at once posts twice; we repeat, and say so
        )

    def post(self, channel: str, text: str) -> str:
        """
        Post a message to a channel; it blocks.

        :return: Slack's name for the message.
        :raises NotificationDelayedError: if it may work later.
        :raises NotificationRefusedError: if Slack does not take it, now or later.
        """
        try:
            answer = self._client.chat_postMessage(channel=channel, text=text, unfurl_links=False)
        except SlackApiError as error:
            raise self._classify(error, channel) from None  # the error carries the request, and it the token
        except (OSError, HTTPException, ValueError) as error:
            said = redact(str(error) or type(error).__name__, self._settings.token)
            raise NotificationDelayedError(
                f"Slack could not be asked to post to {channel!r}: {said}. It is tried again later."
            ) from None
        return str(answer.get("ts", ""))

    def _classify(self, error: SlackApiError, channel: str) -> NotificationError:
        status, code = error.response.status_code, str((error.response.data or {}).get("error", ""))
        is_answer = _ERROR_CODE.match(code) is not None
        said = code if is_answer else f"HTTP status {status}, and no answer of Slack's API"
        what = f"Slack did not post to {channel!r}: {redact(said, self._settings.token)}"
        if status == 429 or status >= 500 or code in PASSING_ERRORS or not is_answer:
            wait = _parse_retry_after(error.response.headers)
            return NotificationDelayedError(f"{what}. It is tried again later.", retry_after_seconds=wait)
        return NotificationRefusedError(
            f"{what}. Check the channel, whether the bot was invited to it, and {SLACK_PREFIX}TOKEN."
        )


def _parse_retry_after(headers: Mapping[str, str]) -> float | None:
    text = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    return float(text) if re.fullmatch(r"[0-9]{1,6}", text) else None
