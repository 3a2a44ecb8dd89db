"""A collector of OpenTelemetry that keeps the spans that it gets, by OTLP over HTTP."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Status

RUN_PATH = (
    ("pushmetrics-service", "POST /api/v1/report/{reference}/webhook"),
    ("pushmetrics-worker", "execute run"),
    ("pushmetrics-worker", "create report.run"),
    ("pushmetrics-worker", "POST"),
    ("pushmetrics-receiver", "POST /webhooks/{source}"),
)
"""The spans of a run, from its call to the receiver of its webhook: each is the parent of the next."""


@dataclass(frozen=True)
class CollectedSpan:
    """
    A span that has ended; traces are hexadecimal, as in ``traceparent``.

    :param links: The traces that it links to.
    :param service: The name of the service that recorded it.
    :param facts: Its attributes.
    """

    name: str
    trace_id: str
    dag_id: str | None
    links: frozenset[str]
    span_id: str = ""
    parent_id: str = ""
    service: str = ""
    facts: Mapping[str, str | int] = field(default_factory=dict)
    has_failed: bool = False


@dataclass
class TraceCollector:
    """What a collector has got."""

    port: int
    spans: list[CollectedSpan] = field(default_factory=list)

    def find(self, name: str, dag_id: str | None = None) -> list[CollectedSpan]:
        """Find the spans of a name, and of a Dag."""
        return [span for span in list(self.spans) if span.name == name and dag_id in (None, span.dag_id)]

    def follow_run(self, trace_id: str) -> list[CollectedSpan]:
        """Follow the only run of a trace from its call to the receiver, through spans that did not fail."""
        found = list[CollectedSpan]()
        spans = [one for one in list(self.spans) if one.trace_id == trace_id and not one.has_failed]
        for place in RUN_PATH:
            (span,) = [one for one in spans if (one.service, one.name) == place]
            assert not found or span.parent_id == found[-1].span_id, place
            found.append(span)
        return found


@contextmanager
def collect_traces() -> Iterator[TraceCollector]:
    """Run a collector on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            collector.spans.extend(_read_spans(ExportTraceServiceRequest.FromString(body)))
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector = TraceCollector(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _read_spans(request: ExportTraceServiceRequest) -> Iterator[CollectedSpan]:
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                facts = _read_facts(span.attributes)
                links = frozenset(link.trace_id.hex() for link in span.links)
                dag_id = facts.get("airflow.dag_id")
                yield CollectedSpan(
                    span.name,
                    span.trace_id.hex(),
                    None if dag_id is None else str(dag_id),
                    links,
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    str(_read_facts(resource.resource.attributes).get("service.name")),
                    facts,
                    span.status.code == Status.STATUS_CODE_ERROR,
                )


def _read_facts(pairs: Iterable[KeyValue]) -> dict[str, str | int]:
    return {pair.key: pair.value.string_value or pair.value.int_value for pair in pairs}
