"""
What the receiver counts, in Prometheus' text format.

No metric is in the global registry of ``prometheus_client``: the receiver may be mounted beside another app.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

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


class DeliveryCounter(Collector):
    """Counts deliveries by outcome, and refused credentials by reason; from any thread."""

    def __init__(self) -> None:
        self._outcomes = _build_counter("deliveries_total", "Deliveries by outcome.", "outcome", OUTCOMES)
        self._reasons = _build_counter(
            "refused_credentials_total", "Refused credentials by reason.", "reason", REASONS
        )

    def count(self, outcome: str, reason: str | None = None) -> None:
        """Count one delivery; ``reason`` says why a credential was refused."""
        self._outcomes.labels(outcome).inc()
        if reason:
            self._reasons.labels(reason).inc()

    def collect(self) -> Iterator[Metric]:
        """Give the counts of every outcome and every reason, also of those that did not occur."""
        yield from self._outcomes.collect()
        yield from self._reasons.collect()


class CommitFigures(Collector):
    """How long commits took, and how many deliveries shared one."""

    def __init__(self) -> None:
        self._seconds = Histogram(
            f"{PREFIX}commit_seconds", "Duration of a commit.", buckets=SECONDS, registry=None
        )
        self._sizes = Histogram(
            f"{PREFIX}commit_deliveries", "Deliveries in a commit.", buckets=SIZES, registry=None
        )

    def observe(self, *, deliveries: int, seconds: float) -> None:
        """Count one commit."""
        self._sizes.observe(deliveries)
        self._seconds.observe(seconds)

    def collect(self) -> Iterator[Metric]:
        """Give both histograms."""
        yield from self._seconds.collect()
        yield from self._sizes.collect()


@dataclass(frozen=True, eq=False)  # a registry keeps its collectors by identity
class InboxFigures(Collector):
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

    def collect(self) -> Iterator[Metric]:
        """Give the figures as they are."""
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


def _build_counter(name: str, text: str, label: str, values: Iterable[str]) -> Counter:
    counter = Counter(PREFIX + name, f"{text} Since this process started.", (label,), registry=None)
    for value in values:
        counter.labels(value)  # so that it is 0 before its first time
    return counter


def render_metrics(*collectors: Collector) -> bytes:
    """Write the figures in Prometheus' text format."""
    registry = CollectorRegistry()
    for collector in collectors:
        registry.register(collector)
    return generate_latest(registry)
