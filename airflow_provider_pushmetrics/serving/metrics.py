"""
Metrics in Prometheus' text format.

A server may be mounted beside another app. So no metric is in the global registry of ``prometheus_client``.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def render_metrics(*collectors: Collector) -> bytes:
    """Write the metrics in Prometheus' text format."""
    registry = CollectorRegistry()
    for collector in collectors:
        registry.register(collector)
    return generate_latest(registry)
