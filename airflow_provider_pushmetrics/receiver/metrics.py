"""
The metrics of the receiver.

No metric is a ``Counter`` of ``prometheus_client``: that writes files if ``PROMETHEUS_MULTIPROC_DIR`` is set.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

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


class DeliveryCounter(Collector):
    """Counts deliveries by outcome, and rejected credentials by reason; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Every outcome is reported from the start, with 0.
        self._outcomes = dict.fromkeys(OUTCOMES, 0)
        self._reasons = dict.fromkeys(REASONS, 0)

    def count(self, outcome: str, reason: str | None = None) -> None:
        """Count one delivery; ``reason`` is why its credential was rejected."""
        with self._lock:
            self._outcomes[outcome] = self._outcomes.get(outcome, 0) + 1
            if reason:
                self._reasons[reason] = self._reasons.get(reason, 0) + 1

    def collect(self) -> Iterator[Metric]:
        """Return the counts of every outcome and every reason, including zeros."""
        with self._lock:
            outcomes, reasons = dict(self._outcomes), dict(self._reasons)
        yield _build_counts("deliveries", "Deliveries by outcome.", "outcome", outcomes)
        yield _build_counts("refused_credentials", "Refused credentials by reason.", "reason", reasons)


class Distribution:
    """
    Counts values by size. It has no lock.

    :param bounds: The upper bounds, in ascending order.
    """

    def __init__(self, name: str, text: str, bounds: Sequence[float]) -> None:
        self._name = name
        self._text = text
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def build(self) -> Metric:
        """Build the histogram."""
        bounds = [*map(str, self._bounds), "+Inf"]
        buckets = list(zip(bounds, accumulate(self._counts), strict=True))
        return HistogramMetricFamily(PREFIX + self._name, self._text, buckets=buckets, sum_value=self._sum)


class CommitFigures(Collector):
    """The durations of commits, and the number of deliveries in each."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seconds = Distribution("commit_seconds", "Duration of a commit.", SECONDS)
        self._sizes = Distribution("commit_deliveries", "Deliveries in a commit.", SIZES)

    def observe(self, *, deliveries: int, seconds: float) -> None:
        """Count one commit."""
        with self._lock:
            self._sizes.observe(deliveries)
            self._seconds.observe(seconds)

    def collect(self) -> Iterator[Metric]:
        """Return both histograms."""
        with self._lock:
            built = (self._seconds.build(), self._sizes.build())
        yield from built


@dataclass(frozen=True, eq=False)  # a registry keeps its collectors by identity
class InboxFigures(Collector):
    """
    The current state of the inbox and its readers.

    :param consumers: How many ids each named consumer has not read.
    :param missed: How many events were deleted before each consumer had read them.
    """

    events: int
    last_event_id: int
    waiting_readers: int
    consumers: Mapping[str, int] = field(default_factory=dict)
    missed: Mapping[str, int] = field(default_factory=dict)

    def collect(self) -> Iterator[Metric]:
        """Return the metrics."""
        yield GaugeMetricFamily(f"{PREFIX}inbox_events", "Events in the inbox.", self.events)
        yield GaugeMetricFamily(f"{PREFIX}inbox_last_event_id", "The newest event id.", self.last_event_id)
        yield GaugeMetricFamily(
            f"{PREFIX}waiting_readers", "Long polls of this process.", self.waiting_readers
        )
        lag = GaugeMetricFamily(
            f"{PREFIX}consumer_lag", "Event ids that a named consumer has yet to read.", labels=("consumer",)
        )
        missed = CounterMetricFamily(
            f"{PREFIX}consumer_missed_events_total",
            "Events that were deleted before a named consumer read them.",
            labels=("consumer",),
        )
        for family, figures in ((lag, self.consumers), (missed, self.missed)):
            for consumer, value in figures.items():
                family.add_metric([consumer], value)
            yield family


def _build_counts(name: str, text: str, label: str, counts: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(PREFIX + name, f"{text} Since this process started.", labels=(label,))
    for value, count in counts.items():
        family.add_metric([value], count)
    return family
