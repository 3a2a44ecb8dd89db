"""The calls of a named consumer that takes one event after the other, and says for whom."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote

from airflow_provider_pushmetrics.client.feed import Receiver
from airflow_provider_pushmetrics.client.protocol import Call, Request
from airflow_provider_pushmetrics.client.retrying import send
from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError, PushMetricsProtocolError

MAX_NAME_LENGTH = 200
"""So many characters the receiver takes."""


def check_consumer_name(name: object, *, max_length: int = MAX_NAME_LENGTH) -> None:
    """
    Check the name of a consumer, before anything is waited for.

    :param max_length: How many characters there is room for.
    :raises PushMetricsParameterError: if the receiver would not take it.
    """
    is_known = isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9._:~@+-]+", name)
    if not is_known or len(str(name)) > max_length:
        raise PushMetricsParameterError(
            f"consumer is {name!r}: it must be 1 to {max_length} of the characters A-Z a-z 0-9 . _ : ~ @ + -."
        )


@dataclass(frozen=True)
class ConsumerPosition:
    """
    How far a named consumer has come.

    :param position: The last event that was taken; 0 before the first.
    :param taken_by: For whom it was taken, if that was said.
    """

    position: int = 0
    taken_by: str | None = None


def fetch_consumer(receiver: Receiver, consumer: str) -> Call[ConsumerPosition]:
    """Fetch how far a named consumer has come, and for whom the event there was taken."""
    request = _build_request("GET", receiver, consumer)
    answer = (yield from send(request)).parse_object(request)
    position, taken_by = answer.get("position"), answer.get("taken_by")
    if not isinstance(position, int) or isinstance(position, bool):
        raise PushMetricsProtocolError(f"{request.describe()} was answered without 'position'.")
    return ConsumerPosition(position, taken_by if isinstance(taken_by, str) else None)


def take_event(receiver: Receiver, consumer: str, event_id: int, *, taken_by: str) -> Call[None]:
    """Move a named consumer's position to an event and say for whom it is taken, both at once."""
    body = {"position": event_id, "taken_by": taken_by}
    yield from send(_build_request("PUT", receiver, consumer, body))


def _build_request(
    method: str, receiver: Receiver, consumer: str, body: dict[str, object] | None = None
) -> Request:
    headers = {"Authorization": f"Bearer {receiver.reader_token}", "Accept": "application/json"}
    url = f"{receiver.url}/consumers/{quote(consumer, safe='')}"
    return Request(method, url, headers=headers, json_body=body, credential=receiver.token_name)
