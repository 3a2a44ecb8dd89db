"""The values that the endpoints and the inbox exchange."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class IncomingWebhook:
    """
    One event to be stored.

    :param source: The name of the source that sent it.
    :param key: Its identity among the webhooks of that source.
    :param body: The body, byte for byte.
    :param event: The event's name.
    :param report_id: The id of its report.
    :param query_id: The id of its query.
    :param run_id: The id of the run in its URL.
    :param replay_of: The id of the event that is replayed.
    :param traceparent: The trace that was sent with it.
    """

    source: str
    key: str
    body: bytes
    event: str
    report_id: int | None = None
    query_id: int | None = None
    run_id: int | None = None
    replay_of: int | None = None
    traceparent: str | None = None

    @property
    def body_bytes(self) -> int:
        """The size of the body."""
        return len(self.body)


@dataclass(frozen=True)
class Recorded:
    """
    The result of storing a webhook.

    :param id: The event's id; for a duplicate, that of the first one.
    :param is_new: Whether it was stored now.
    :param delivery: The webhook.
    """

    id: int
    is_new: bool
    delivery: IncomingWebhook


@dataclass(frozen=True)
class StoredEvent:
    """One event of the inbox, with its body as it was sent."""

    id: int
    source: str
    received_at: datetime
    replay_of: int | None
    body: bytes
    traceparent: str | None = None


@dataclass(frozen=True)
class EventSummary:
    """One event of the inbox, without its body."""

    id: int
    received_at: datetime
    source: str
    event: str
    report_id: int | None
    query_id: int | None
    run_id: int | None
    replay_of: int | None


@dataclass(frozen=True)
class EventPage:
    """
    A page of events for a reader.

    :param events: The events, by id.
    :param cursor: The cursor of the next page: there is no matching event between the page and it.
    """

    events: tuple[StoredEvent, ...]
    cursor: int


@dataclass(frozen=True)
class Consumer:
    """
    A named reader's position; ``updated_at`` is None before the first.

    :param taken_by: Who claimed the event there.
    :param missed: How many events were deleted before it had read them.
    """

    name: str
    position: int
    updated_at: datetime | None
    taken_by: str | None = None
    missed: int = 0


def build_replay_key(event_id: int) -> str:
    """Build the unique key of an event that is replayed, so that it is never a duplicate."""
    return f"replay:{event_id}:{uuid.uuid4().hex}"
