"""The newest rejected webhooks: their source, time and reason, but not their content."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from airflow_provider_pushmetrics.redaction import redact

MAX_KEPT = 1000
"""How many the inbox keeps."""

MAX_PENDING = 200
"""How many wait to be stored; the rest is counted only, so that a flood does not become a flood of writes."""

MAX_SHOWN_SOURCE_LENGTH = 100


@dataclass(frozen=True)
class Rejection:
    """
    One rejected webhook.

    :param rejected_at: When.
    :param source: The source in its URL, shortened and without anything that looks like a credential.
    :param client: The address of its sender.
    :param status: The status of the response.
    :param outcome: Its outcome in the metrics.
    :param reason: The reason, for the operator of the receiver; not sent to the client.
    """

    rejected_at: datetime
    source: str
    client: str
    status: int
    outcome: str
    reason: str


class RejectionLog:
    """
    Collects rejected webhooks until they are stored.

    :param clock: Returns the time.
    """

    def __init__(self, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._clock = clock
        self._pending: deque[Rejection] = deque(maxlen=MAX_PENDING)
        self._lock = threading.Lock()

    def add(self, *, source: str, client: str, status: int, outcome: str, reason: str) -> None:
        """Add one; the oldest is dropped if there are too many."""
        name = redact(ascii(source[:MAX_SHOWN_SOURCE_LENGTH])[1:-1])
        with self._lock:
            self._pending.append(Rejection(self._clock(), name, client, status, outcome, reason))

    def drain(self) -> list[Rejection]:
        """Return and remove all collected rejections."""
        with self._lock:
            pending = list(self._pending)
            self._pending.clear()
        return pending

    def restore(self, drained: list[Rejection]) -> None:
        """Collect again what was drained; the oldest are dropped if there are too many."""
        with self._lock:
            newer = list(self._pending)
            self._pending.clear()
            self._pending.extend([*drained, *newer])
