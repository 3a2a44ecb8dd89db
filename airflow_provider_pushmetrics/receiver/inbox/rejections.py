"""The newest refused deliveries: who, when and why, and nothing of what they held."""

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
"""How many wait to be kept: a flood of them is counted, but does not become a flood of writes."""

MAX_SHOWN_SOURCE_LENGTH = 100


@dataclass(frozen=True)
class Rejection:
    """
    One refused delivery.

    :param rejected_at: When.
    :param source: The source that it named, shortened and without what looks like a credential.
    :param client: The address that it came from.
    :param status: The status that it was answered with.
    :param outcome: What it counts as in the metrics.
    :param reason: Why, for whoever looks after the receiver; its sender is not told.
    """

    rejected_at: datetime
    source: str
    client: str
    status: int
    outcome: str
    reason: str


class RejectionLog:
    """
    Holds refused deliveries until the inbox takes them.

    :param clock: Gives the time.
    """

    def __init__(self, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._clock = clock
        self._pending: deque[Rejection] = deque(maxlen=MAX_PENDING)
        self._lock = threading.Lock()

    def add(self, *, source: str, client: str, status: int, outcome: str, reason: str) -> None:
        """Note one; the oldest gives way when there are too many."""
        name = redact(ascii(source[:MAX_SHOWN_SOURCE_LENGTH])[1:-1])
        with self._lock:
            self._pending.append(Rejection(self._clock(), name, client, status, outcome, reason))

    def drain(self) -> list[Rejection]:
        """Take all that wait."""
        with self._lock:
            pending = list(self._pending)
            self._pending.clear()
        return pending
