"""
The metrics of the receiver.

No metric is a ``Counter`` of ``prometheus_client``: that writes files if ``PROMETHEUS_MULTIPROC_DIR`` is set.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from airflow_provider_pushmetrics.serving.metrics import SHORT_SECONDS, Histogram

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


class CommitFigures(Collector):
    """The durations of commits, and the number of deliveries in each."""

    def __init__(self) -> None:
        self._seconds = Histogram(f"{PREFIX}commit_seconds", "Duration of a commit.", SHORT_SECONDS)
        self._sizes = Histogram(f"{PREFIX}commit_deliveries", "Deliveries in a commit.", SIZES)

    def observe(self, *, deliveries: int, seconds: float) -> None:
        """Count one commit."""
        self._sizes.observe(deliveries)
        self._seconds.observe(seconds)

    def collect(self) -> Iterator[Metric]:
        """Return both histograms."""
        yield from self._seconds.collect()
        yield from self._sizes.collect()


@dataclass(frozen=True, eq=False)  # a registry keeps its collectors by identity
class InboxFigures(Collector):
    """
    The current state of the inbox and its readers.

    :param consumers: How many events each named consumer has not read.
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
            f"{PREFIX}consumer_lag", "Events that a named consumer has yet to read.", labels=("consumer",)
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
