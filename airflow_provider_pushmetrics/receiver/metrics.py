"""Counting what happens, and saying it as Prometheus reads it."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "pushmetrics_receiver_"
OUTCOMES = (
    "accepted",
    "duplicate",
    "unauthorized",
    "invalid",
    "too_large",
    "unsupported",
    "timeout",
    "limited",
    "unavailable",
    "not_found",
)
REASONS = ("missing", "credential", "clock", "source", "network")
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
SIZES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)


class DeliveryCounter:
    """Counts deliveries by outcome, and refused credentials by reason; from any thread."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._lock = threading.Lock()

    def count(self, outcome: str, reason: str | None = None) -> None:
        """Count one delivery; ``reason`` says why a credential was refused."""
        with self._lock:
            self._counts[outcome] += 1
            if reason:
                self._reasons[reason] += 1

    def get_counts(self) -> dict[str, int]:
        """Get the count of every outcome, those that never came about included."""
        with self._lock:
            return {outcome: self._counts[outcome] for outcome in OUTCOMES}

    def get_reasons(self) -> dict[str, int]:
        """Get the count of every reason to refuse a credential."""
        with self._lock:
            return {reason: self._reasons[reason] for reason in REASONS}


class Histogram:
    """
    Counts values by size; from any thread.

    :param bounds: The upper bounds of the classes, rising.
    """

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0
        self._lock = threading.Lock()

    def observe(self, value: float) -> None:
        """Count a value."""
        with self._lock:
            self._counts[bisect_left(self._bounds, value)] += 1
            self._sum += value

    def render(self, name: str) -> Iterator[str]:
        """Write it in Prometheus' text format."""
        with self._lock:
            counts, total = list(self._counts), self._sum
        so_far = 0
        for bound, count in zip(self._bounds, counts, strict=False):
            so_far += count
            yield f'{name}_bucket{{le="{bound:g}"}} {so_far}'
        yield f'{name}_bucket{{le="+Inf"}} {sum(counts)}'
        yield f"{name}_sum {total:.6f}"
        yield f"{name}_count {sum(counts)}"


class CommitFigures:
    """How long commits took, and how many deliveries shared one."""

    def __init__(self) -> None:
        self.seconds = Histogram(SECONDS)
        self.sizes = Histogram(SIZES)

    def observe(self, *, deliveries: int, seconds: float) -> None:
        """Count one commit."""
        self.sizes.observe(deliveries)
        self.seconds.observe(seconds)


@dataclass(frozen=True)
class InboxFigures:
    """
    What the inbox and its readers look like now.

    :param consumers: How many ids each named consumer has yet to see.
    :param missed: How many events were deleted before each had read them.
    """

    events: int
    last_event_id: int
    waiting_readers: int
    consumers: Mapping[str, int] = field(default_factory=dict)
    missed: Mapping[str, int] = field(default_factory=dict)


def render_metrics(counter: DeliveryCounter, commits: CommitFigures, inbox: InboxFigures) -> str:
    """Write the figures in Prometheus' text format."""
    lines = (
        *_render_counts(
            "deliveries_total", "Deliveries, by what became of them.", "outcome", counter.get_counts()
        ),
        *_render_counts(
            "refused_credentials_total", "Refused credentials, by why.", "reason", counter.get_reasons()
        ),
        *_describe("commit_seconds", "How long a commit took.", "histogram"),
        *commits.seconds.render(f"{PREFIX}commit_seconds"),
        *_describe("commit_deliveries", "How many deliveries shared a commit.", "histogram"),
        *commits.sizes.render(f"{PREFIX}commit_deliveries"),
        *_render_inbox(inbox),
        "",
    )
    return "\n".join(lines)


def _describe(name: str, text: str, kind: str) -> Iterator[str]:
    yield f"# HELP {PREFIX}{name} {text}"
    yield f"# TYPE {PREFIX}{name} {kind}"


def _render_counts(name: str, text: str, label: str, counts: Mapping[str, int]) -> Iterator[str]:
    yield from _describe(name, f"{text} Since this process started.", "counter")
    for value, count in counts.items():
        yield f'{PREFIX}{name}{{{label}="{value}"}} {count}'


def _render_inbox(inbox: InboxFigures) -> Iterator[str]:
    for name, text, value in (
        ("inbox_events", "Events kept in the inbox.", inbox.events),
        ("inbox_last_event_id", "The newest event id handed out.", inbox.last_event_id),
        ("waiting_readers", "Readers of this process that wait for an event.", inbox.waiting_readers),
    ):
        yield from _describe(name, text, "gauge")
        yield f"{PREFIX}{name} {value}"
    yield from _describe("consumer_lag", "Event ids that a named consumer has yet to see.", "gauge")
    for consumer, lag in inbox.consumers.items():
        yield f'{PREFIX}consumer_lag{{consumer="{consumer}"}} {lag}'
    missed = "Events that were deleted before a named consumer had read them."
    yield from _describe("consumer_missed_events_total", missed, "counter")
    for consumer, count in inbox.missed.items():
        yield f'{PREFIX}consumer_missed_events_total{{consumer="{consumer}"}} {count}'
