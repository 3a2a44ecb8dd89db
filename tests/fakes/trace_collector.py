"""A collector of OpenTelemetry that keeps the spans that it gets, by OTLP over HTTP."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class CollectedSpan:
    """
    A span that has ended; traces are hexadecimal, as in ``traceparent``.

    :param links: The traces that it links to.
    """

    name: str
    trace_id: str
    dag_id: str | None
    links: frozenset[str]


@dataclass
class TraceCollector:
    """What a collector has got."""

    port: int
    spans: list[CollectedSpan] = field(default_factory=list)

    def find(self, name: str, dag_id: str | None = None) -> list[CollectedSpan]:
        """Find the spans of a name, and of a Dag."""
        return [span for span in list(self.spans) if span.name == name and dag_id in (None, span.dag_id)]


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
    thread = threading.Thread(target=server.serve_forever)
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
                facts = {pair.key: pair.value.string_value for pair in span.attributes}
                links = frozenset(link.trace_id.hex() for link in span.links)
                yield CollectedSpan(span.name, span.trace_id.hex(), facts.get("airflow.dag_id"), links)
