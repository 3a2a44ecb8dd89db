"""The calls of the receiver's feed: events after a cursor, and named consumers' positions."""

from __future__ import annotations

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
from airflow_provider_pushmetrics.exceptions import PushMetricsNotFoundError, PushMetricsProtocolError

MAX_WAIT_SECONDS = 30.0
"""How long one long poll may last; below the idle limits of common proxies, which are 60 s."""

ANSWER_MARGIN_SECONDS = 15.0


@dataclass(frozen=True)
class Receiver:
    """
    Where the receiver is.

    :param url: Its base URL, such as ``https://airflow.example.com/pushmetrics``.
    :param reader_token: The token of those who read from it.
    :param conn_id: The Airflow connection that names it, for messages.
    """

    url: str
    reader_token: str = field(repr=False)
    conn_id: str | None = field(default=None, compare=False)

    @property
    def token_name(self) -> str:
        """The reader token in the words of who set it."""
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
    """Fetch the events after a cursor; wait for the first one that is wanted, if there is none yet."""
    wait_seconds = max(0.0, min(wait_seconds, MAX_WAIT_SECONDS))
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
    """Fetch the cursor: whatever arrives from now on comes after it."""
    return (yield from _fetch_int(receiver, "/cursor", "cursor", policy))


def fetch_position(receiver: Receiver, consumer: str) -> Call[int | None]:
    """Fetch the position of a named consumer; None if it has none yet."""
    try:
        return (yield from _fetch_int(receiver, _build_consumer_path(consumer), "position", DEFAULT_POLICY))
    except PushMetricsNotFoundError:
        return None


def store_position(receiver: Receiver, consumer: str, position: int) -> Call[None]:
    """Store how far a named consumer has come."""
    request = Request(
        "PUT",
        receiver.url + _build_consumer_path(consumer),
        headers=_build_headers(receiver),
        json_body={"position": position},
        credential=receiver.token_name,
    )
    yield from send(request)


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
