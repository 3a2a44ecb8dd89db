"""The values that travel between the endpoints and the inbox."""

from __future__ import annotations

import uuid
from dataclasses import dataclass


@dataclass(frozen=True)
class Delivery:
    """
    One event to be stored.

    :param source: The name of the source that sent it.
    :param key: Its identity among the deliveries of that source.
    :param body: The body, byte for byte.
    :param event: The event's name.
    :param report_id: The id of its report.
    :param query_id: The id of its query.
    :param run_id: The id of the run that its URL names.
    :param replay_of: The id of the event that is stored again.
    """

    source: str
    key: str
    body: bytes
    event: str
    report_id: int | None = None
    query_id: int | None = None
    run_id: int | None = None
    replay_of: int | None = None


def build_replay_key(event_id: int) -> str:
    """Build the key of an event that is stored again. It is unique, so that it is never a duplicate."""
    return f"replay:{event_id}:{uuid.uuid4().hex}"
