"""The calls of a receiver: its feed of events and its named consumers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from pydantic import ValidationError

from airflow_provider_pushmetrics.client.credentials import name_connection
from airflow_provider_pushmetrics.client.models import FeedPage
from airflow_provider_pushmetrics.client.protocol import Call, Request
from airflow_provider_pushmetrics.client.retry_policy import RetryPolicy
from airflow_provider_pushmetrics.client.retrying import DEFAULT_POLICY, send
from airflow_provider_pushmetrics.event_ids import MAX_ID
from airflow_provider_pushmetrics.event_matching import EventFilter
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsConflictError,
    PushMetricsEventTakenError,
    PushMetricsNotFoundError,
    PushMetricsParameterError,
    PushMetricsProtocolError,
)

LONG_POLL_SECONDS = 30.0
"""The length of one long poll, below the idle timeout of common proxies (60 s)."""

ANSWER_MARGIN_SECONDS = 15.0


@dataclass(frozen=True)
class Receiver:
    """
    The address and the credential of the receiver.

    :param url: Its base URL, such as ``https://airflow.example.com/pushmetrics``.
    :param reader_token: The token of readers.
    :param conn_id: The Airflow connection that configures it, for messages.
    """

    url: str
    reader_token: str = field(repr=False)
    conn_id: str | None = field(default=None, compare=False)

    @property
    def token_name(self) -> str:
        """Where the reader token is configured, for error messages."""
        return f"the extra 'receiver_token' of {name_connection(self.conn_id)}"


def fetch_events(
    receiver: Receiver,
    wanted: EventFilter,
    *,
    after: int,
    wait_seconds: float = 0.0,
    limit: int = 100,
    policy: RetryPolicy = DEFAULT_POLICY,
) -> Call[FeedPage]:
    """Fetch the events after a cursor; if there are none, wait for the first one that matches."""
    wait_seconds = max(0.0, min(wait_seconds, LONG_POLL_SECONDS))
    query = {"after": str(after), "limit": str(limit), "wait": f"{wait_seconds:g}"}
    query |= {name: str(value) for name, value in wanted.get_wanted().items()}
    request = Request(
        "GET",
        f"{receiver.url}/events?{urlencode(query)}",
        headers=_build_headers(receiver),
        timeout_seconds=ANSWER_MARGIN_SECONDS,
        held_seconds=wait_seconds,
        credential=receiver.token_name,
    )
    answer = (yield from send(request, policy)).parse_object(request)
    try:
        return FeedPage.model_validate(answer)
    except ValidationError:
        raise PushMetricsProtocolError(
            f"{request.describe()} was not answered with events. Check that the connection's receiver_url is"
            " the receiver's base URL."
        ) from None


def fetch_cursor(receiver: Receiver, policy: RetryPolicy = DEFAULT_POLICY) -> Call[int]:
    """Fetch the cursor: later events come after it."""
    return (yield from _fetch_int(receiver, "/cursor", "cursor", policy))


def fetch_position(receiver: Receiver, consumer: str) -> Call[int | None]:
    """Fetch the position of a named consumer; None if it has none yet."""
    try:
        return (yield from _fetch_int(receiver, _build_consumer_path(consumer), "position", DEFAULT_POLICY))
    except PushMetricsNotFoundError:
        return None


def store_position(
    receiver: Receiver, consumer: str, position: int, *, only_forwards: bool = False
) -> Call[None]:
    """
    Store the position of a named consumer.

    :param only_forwards: Whether it must not move backwards.
    :raises PushMetricsEventTakenError: if it would move backwards.
    """
    yield from _move(receiver, consumer, {"position": position}, only_forwards=only_forwards)


def _fetch_int(receiver: Receiver, path: str, name: str, policy: RetryPolicy) -> Call[int]:
    request = Request(
        "GET", receiver.url + path, headers=_build_headers(receiver), credential=receiver.token_name
    )
    answer: Mapping[str, Any] = (yield from send(request, policy)).parse_object(request)
    value = answer.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_ID:
        raise PushMetricsProtocolError(f"{request.describe()} was answered without {name!r}.")
    return value


def _build_consumer_path(consumer: str) -> str:
    return f"/consumers/{quote(consumer, safe='')}"


def _build_headers(receiver: Receiver) -> dict[str, str]:
    return {"Authorization": f"Bearer {receiver.reader_token}", "Accept": "application/json"}


MAX_CONSUMER_NAME_LENGTH = 200
"""The receiver accepts at most this many characters."""


def check_consumer_name(name: object, *, max_length: int = MAX_CONSUMER_NAME_LENGTH) -> None:
    """
    Check the name of a consumer, before a wait begins.

    :param max_length: The maximum number of characters.
    :raises PushMetricsParameterError: if the receiver would reject it.
    """
    is_known = isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9._:~@+-]+", name)
    if not is_known or len(str(name)) > max_length:
        raise PushMetricsParameterError(
            f"consumer is {name!r}: it must be 1 to {max_length} of the characters A-Z a-z 0-9 . _ : ~ @ + -."
        )


@dataclass(frozen=True)
class ConsumerPosition:
    """
    The position of a named consumer.

    :param position: The last event that was claimed; 0 before the first.
    :param taken_by: Who claimed it, if known.
    """

    position: int = 0
    taken_by: str | None = None


def fetch_consumer(receiver: Receiver, consumer: str) -> Call[ConsumerPosition]:
    """Fetch the position of a named consumer, and who claimed the event there."""
    request = _build_request("GET", receiver, consumer)
    answer = (yield from send(request)).parse_object(request)
    position, taken_by = answer.get("position"), answer.get("taken_by")
    if not isinstance(position, int) or isinstance(position, bool):
        raise PushMetricsProtocolError(f"{request.describe()} was answered without 'position'.")
    return ConsumerPosition(position, taken_by if isinstance(taken_by, str) else None)


def claim_event(receiver: Receiver, consumer: str, event_id: int, *, taken_by: str) -> Call[None]:
    """
    Move a named consumer's position to an event and record who claimed it, in one request.

    :raises PushMetricsEventTakenError: if another process has claimed it, or a later event.
    """
    yield from _move(receiver, consumer, {"position": event_id, "taken_by": taken_by}, only_forwards=True)


def _move(receiver: Receiver, consumer: str, body: dict[str, object], *, only_forwards: bool) -> Call[None]:
    """Move a named consumer. A receiver of an earlier version ignores the field, and moves it backwards."""
    if only_forwards:
        body = {**body, "only_forwards": True}
    try:
        yield from send(_build_request("PUT", receiver, consumer, body))
    except PushMetricsConflictError as error:
        raise PushMetricsEventTakenError(f"another process was faster: {error}") from error


def _build_request(
    method: str, receiver: Receiver, consumer: str, body: dict[str, object] | None = None
) -> Request:
    headers = {"Authorization": f"Bearer {receiver.reader_token}", "Accept": "application/json"}
    url = f"{receiver.url}/consumers/{quote(consumer, safe='')}"
    return Request(method, url, headers=headers, json_body=body, credential=receiver.token_name)
