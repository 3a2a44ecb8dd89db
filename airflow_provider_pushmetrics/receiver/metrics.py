"""Counting what happens, and saying it as Prometheus reads it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OUTCOMES = (
    "accepted",
    "duplicate",
    "unauthorized",
    "invalid",
    "too_large",
    "unsupported",
    "timeout",
    "unavailable",
)


class DeliveryCounter:
    """Counts deliveries by outcome; from any thread."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def count(self, outcome: str) -> None:
        """Count one delivery."""
        with self._lock:
            self._counts[outcome] += 1

    def get_counts(self) -> dict[str, int]:
        """Get the count of every outcome, those that never came about included."""
        with self._lock:
            return {outcome: self._counts[outcome] for outcome in OUTCOMES}


@dataclass(frozen=True)
class InboxFigures:
    """What the inbox and its readers look like now."""

    events: int
    last_event_id: int
    waiting_readers: int


def render_metrics(deliveries: dict[str, int], inbox: InboxFigures) -> str:
    """Write the figures in Prometheus' text format."""
    return "\n".join((*_render_deliveries(deliveries), *_render_inbox(inbox), ""))


def _render_deliveries(deliveries: dict[str, int]) -> Iterator[str]:
    name = "pushmetrics_receiver_deliveries_total"
    yield f"# HELP {name} Deliveries since this process started, by what became of them."
    yield f"# TYPE {name} counter"
    for outcome, count in deliveries.items():
        yield f'{name}{{outcome="{outcome}"}} {count}'


def _render_inbox(inbox: InboxFigures) -> Iterator[str]:
    for name, text, value in (
        ("inbox_events", "Events kept in the inbox.", inbox.events),
        ("inbox_last_event_id", "The newest event id handed out.", inbox.last_event_id),
        ("waiting_readers", "Readers of this process that wait for an event.", inbox.waiting_readers),
    ):
        yield f"# HELP pushmetrics_receiver_{name} {text}"
        yield f"# TYPE pushmetrics_receiver_{name} gauge"
        yield f"pushmetrics_receiver_{name} {value}"
