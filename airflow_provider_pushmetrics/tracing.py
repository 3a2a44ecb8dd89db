"""
What travels with a call of a trigger and with an event: the trace, and the task that started the run.

``traceparent`` is the header of W3C Trace Context. OpenTelemetry is used if it is installed, as it is with
Airflow, and never required.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

from airflow_provider_pushmetrics.storable import clean_text

TRACEPARENT = "traceparent"
STARTED_BY = "Airflow-Task-Instance"
"""The header of a trigger call with the task that makes it. A server ignores what it does not know."""

MAX_ID_CHARACTERS = 250
"""Airflow's limit for the ids of Dags, tasks and Dag runs."""

MAX_HEADER_CHARACTERS = 4096
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}\Z")


def parse_traceparent(text: str | None) -> str | None:
    """Accept a ``traceparent`` of version 00; None for anything else, which the standard says to ignore."""
    return text if text is not None and _TRACEPARENT.match(text) else None


def find_traceparent() -> str | None:
    """Find the ``traceparent`` of the current span of OpenTelemetry; None without one."""
    try:
        from opentelemetry import trace
    except ImportError:
        return None
    span = trace.get_current_span().get_span_context()
    if not span.is_valid:
        return None
    return format_traceparent(span.trace_id, span.span_id, span.trace_flags)


def format_traceparent(trace_id: int, span_id: int, flags: int) -> str:
    """Format the header of a span."""
    return f"00-{trace_id:032x}-{span_id:016x}-{flags & 0xFF:02x}"


def link_traces(traceparents: Iterable[Any]) -> int:
    """
    Link the current span to others, in the traces that they belong to.

    :param traceparents: What events contain; invalid ones are ignored.
    :return: The number of links.
    """
    known = {text for text in traceparents if isinstance(text, str) and parse_traceparent(text)}
    if not known:
        return 0
    try:
        from opentelemetry import trace
    except ImportError:
        return 0
    current = trace.get_current_span()
    if not current.is_recording():
        return 0
    for text in sorted(known):
        _, trace_id, span_id, flags = text.split("-")
        current.add_link(
            trace.SpanContext(int(trace_id, 16), int(span_id, 16), True, trace.TraceFlags(int(flags, 16))),
            {"pushmetrics.event": True},
        )
    return len(known)


def link_asset_events(context: Mapping[str, Any]) -> int:
    """
    Link a task's span to the traces of the events that started its Dag run; for tasks of any kind.

    :param context: The context of the task.
    :return: The number of links: 0 without tracing, or if the events have no trace.
    """
    events = context.get("triggering_asset_events") or {}
    extras = (getattr(event, "extra", None) for asset in events for event in events[asset])
    payloads = (extra.get("payload") for extra in extras if isinstance(extra, Mapping))
    return link_traces(payload.get(TRACEPARENT) for payload in payloads if isinstance(payload, Mapping))


def record_resumption(*, operator: str, key: str, decision: str, run_id: int | None) -> None:
    """Record what a task did with the run of an earlier try, as Airflow's ``ResumableJobMixin`` does."""
    try:
        from opentelemetry import trace
    except ImportError:
        return
    facts = {"operator": operator, "resumable.external_id_key": key, "resumable.decision": decision}
    if run_id is not None:
        facts["resumable.external_id"] = str(run_id)
    tracer = trace.get_tracer(__name__)
    tracer.start_span("resumable_job.resume_decision", attributes=facts).end()


@dataclass(frozen=True)
class TaskOrigin:
    """
    The task instance of Airflow that starts a run.

    :param dag_id: Its Dag.
    :param task_id: Its task.
    :param run_id: The Dag run, by Airflow's run id.
    :param try_number: Which try it is, from 1.
    :param map_index: Its index if the task is mapped; otherwise -1.
    """

    dag_id: str
    task_id: str
    run_id: str
    try_number: int = 1
    map_index: int = -1

    @classmethod
    def parse(cls, text: str | None) -> TaskOrigin | None:
        """Parse the header ``Airflow-Task-Instance``; None if it is missing or has another form."""
        if text is None or len(text) > MAX_HEADER_CHARACTERS:
            return None
        try:
            values = dict(parse_qsl(text, strict_parsing=True, errors="strict", max_num_fields=10))
            ids = [clean_text(values[name]) for name in ("dag_id", "task_id", "run_id")]
            numbers = [int(values[name]) for name in ("try_number", "map_index")]
        except (ValueError, KeyError):  # including UnicodeError
            return None
        if any(len(name) > MAX_ID_CHARACTERS for name in ids) or any(abs(one) > 2**31 for one in numbers):
            return None
        return cls(ids[0], ids[1], ids[2], numbers[0], numbers[1])

    def format_header(self) -> str:
        """Format the header: ASCII, whatever the ids contain."""
        facts = asdict(self)
        ids = {name: str(facts[name])[:MAX_ID_CHARACTERS] for name in ("dag_id", "task_id", "run_id")}
        return urlencode(facts | ids)[:MAX_HEADER_CHARACTERS]

    def describe(self) -> str:
        """Describe the task for a person."""
        mapped = f", map index {self.map_index}" if self.map_index >= 0 else ""
        return f"Airflow {self.dag_id}.{self.task_id} (run {self.run_id}, try {self.try_number}{mapped})"


def build_trace_headers(origin: TaskOrigin | None) -> dict[str, str]:
    """Build the headers of a call: the current trace and the task, as far as there are any."""
    headers = {TRACEPARENT: find_traceparent(), STARTED_BY: origin.format_header() if origin else None}
    return {name: value for name, value in headers.items() if value is not None}
