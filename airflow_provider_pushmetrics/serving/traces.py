"""
Spans of OpenTelemetry, exported if the usual variables ``OTEL_…`` name an endpoint.

Without them nothing of OpenTelemetry is imported, and a span only passes on the trace that it belongs to.
Spans contain ids and names of kinds, and no values of queries, parameters or URLs.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from airflow_provider_pushmetrics import __version__
from airflow_provider_pushmetrics.serving.logs import logging_about
from airflow_provider_pushmetrics.tracing import format_traceparent, parse_traceparent

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span as OpenTelemetrySpan

Kind: TypeAlias = Literal["internal", "server", "client", "producer", "consumer"]
Facts: TypeAlias = Mapping[str, str | int]

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
PROTOCOL = "http/protobuf"

FLUSH_SECONDS = 3.0
"""How long the end of a process waits for the endpoint."""

log = logging.getLogger(__name__)

_provider: TracerProvider | None = None


@dataclass
class Span:
    """
    A unit of work.

    :param traceparent: What continues the trace here; None if there is no trace.
    """

    traceparent: str | None
    _span: OpenTelemetrySpan | None = None
    _is_dropped: bool = False

    def add(self, facts: Facts) -> None:
        """Add attributes."""
        if self._span is not None:
            self._span.set_attributes(facts)

    def rename(self, name: str) -> None:
        """Replace the name."""
        if self._span is not None:
            self._span.update_name(name)

    def fail(self, error_type: str) -> None:
        """Mark the work as failed, by the type of its error: a message may contain values."""
        if self._span is not None:
            from opentelemetry.trace import StatusCode

            self._span.set_attribute("error.type", error_type)
            self._span.set_status(StatusCode.ERROR)

    def drop(self) -> None:
        """Do not export this span."""
        self._is_dropped = True

    def end(self) -> None:
        """End the work."""
        if self._span is not None and not self._is_dropped:
            self._span.end()


def start_tracing(service_name: str) -> None:
    """
    Export the spans of this process, if the variables of OpenTelemetry say where to.

    :param service_name: The name of the service, unless ``OTEL_SERVICE_NAME`` is set.
    """
    global _provider
    if _provider is not None or not _is_wanted():
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        log.warning("no traces: OTEL_EXPORTER_OTLP_ENDPOINT is set, and the extra 'otel' is not installed")
        return
    facts = {"service.version": __version__}
    if not os.environ.get("OTEL_SERVICE_NAME"):
        facts["service.name"] = service_name
    provider = TracerProvider(resource=Resource.create(facts), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))  # it exports in a thread of its own
    _provider = provider


def _is_wanted() -> bool:
    environ = os.environ
    if (
        not any(environ.get(name) for name in ENDPOINTS)
        or environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    ):
        return False
    if environ.get("OTEL_TRACES_EXPORTER", "otlp") not in ("", "otlp"):
        return False
    protocol = next(filter(None, map(environ.get, PROTOCOLS)), PROTOCOL)
    if protocol != PROTOCOL:
        log.warning(
            "no traces: OTEL_EXPORTER_OTLP_PROTOCOL is %r, and must be %s or unset", protocol, PROTOCOL
        )
    return protocol == PROTOCOL


def stop_tracing() -> None:
    """Export what has ended, as far as the endpoint takes it within a moment."""
    global _provider
    provider, _provider = _provider, None
    if provider is not None:
        thread = threading.Thread(target=provider.shutdown, name="flush-spans", daemon=True)
        thread.start()
        thread.join(FLUSH_SECONDS)


def is_tracing() -> bool:
    """Return whether this process exports spans."""
    return _provider is not None


@contextmanager
def span(
    name: str,
    *,
    parent: str | None = None,
    kind: Kind = "internal",
    facts: Facts | None = None,
    started_ns: int | None = None,
) -> Iterator[Span]:
    """
    Measure the work of a block. Lines of log in it have the ids of the span.

    :param parent: The ``traceparent`` that the work continues; by default the span around it.
    :param started_ns: When it began, if that was before.
    """
    provider = _provider  # it may end meanwhile
    if provider is None:
        trace = parse_traceparent(parent)
        with logging_about(trace_id=trace.split("-")[1]) if trace else nullcontext():
            yield Span(parent)
        return
    from opentelemetry import trace as api

    started = provider.get_tracer("airflow_provider_pushmetrics", __version__).start_span(
        name, _build_context(parent), api.SpanKind[kind.upper()], facts, start_time=started_ns
    )
    ids = started.get_span_context()
    found = Span(format_traceparent(ids.trace_id, ids.span_id, ids.trace_flags), started)
    about = {"trace_id": f"{ids.trace_id:032x}", "span_id": f"{ids.span_id:016x}"}
    try:
        with (
            api.use_span(started, record_exception=False, set_status_on_exception=False),
            logging_about(**about),
        ):
            yield found
    except BaseException as error:
        found.fail(type(error).__qualname__)
        raise
    finally:
        found.end()


def _build_context(parent: str | None) -> Context | None:
    from opentelemetry import trace

    if (text := parse_traceparent(parent)) is None:
        return None
    _, trace_id, span_id, flags = text.split("-")
    remote = trace.SpanContext(int(trace_id, 16), int(span_id, 16), True, trace.TraceFlags(int(flags, 16)))
    return trace.set_span_in_context(trace.NonRecordingSpan(remote))


def get_traceparent() -> str | None:
    """Return what continues the trace of the current span; None without one."""
    if _provider is None:
        return None
    from opentelemetry import trace

    ids = trace.get_current_span().get_span_context()
    return format_traceparent(ids.trace_id, ids.span_id, ids.trace_flags) if ids.is_valid else None
