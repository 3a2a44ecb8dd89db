"""
Metrics in Prometheus' text format.

A server may be mounted beside another app. So no metric is in the global registry of ``prometheus_client``,
and none is a ``Histogram`` of it: that writes files if ``PROMETHEUS_MULTIPROC_DIR`` is set.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, product

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

SHORT_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Bounds for what a database does."""

LONG_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)
"""Bounds for what other servers do."""


class Histogram(Collector):
    """
    Counts values by size; thread-safe.

    :param bounds: The upper bounds, in ascending order.
    :param labels: The values of each label. Every combination is reported from the start, with 0.
    """

    def __init__(
        self, name: str, text: str, bounds: Sequence[float], labels: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        self._name = name
        self._text = text
        self._bounds = bounds
        self._labels = tuple(labels or ())
        self._lock = threading.Lock()
        self._counts = {values: self._make_counts() for values in product(*(labels or {}).values())}
        self._sums = dict.fromkeys(self._counts, 0.0)

    def observe(self, value: float, *labels: str) -> None:
        """Count a value with its labels, in their order."""
        with self._lock:
            counts = self._counts.setdefault(labels, self._make_counts())
            counts[bisect_left(self._bounds, value)] += 1
            self._sums[labels] = self._sums.get(labels, 0.0) + value

    def collect(self) -> Iterator[Metric]:
        """Return the counts."""
        family = HistogramMetricFamily(
            self._name, f"{self._text} Since this process started.", labels=self._labels
        )
        bounds = [*map(str, self._bounds), "+Inf"]
        with self._lock:
            for labels, counts in self._counts.items():
                buckets = list(zip(bounds, accumulate(counts), strict=True))
                family.add_metric(labels, buckets=buckets, sum_value=self._sums[labels])
        yield family

    def _make_counts(self) -> list[int]:
        return [0] * (len(self._bounds) + 1)


def render_metrics(*collectors: Collector) -> bytes:
    """Write the metrics in Prometheus' text format."""
    registry = CollectorRegistry()
    for collector in collectors:
        registry.register(collector)
    return generate_latest(registry)
