"""The events between triggers and their tasks: a finished run, a passed deadline, a failure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.triggers.base import TriggerEvent

from airflow_provider_pushmetrics.client.models import FeedEvent, FoundEvent, RunStatus
from airflow_provider_pushmetrics.client.waits import FinishedRun, RunTarget
from airflow_provider_pushmetrics.exceptions import PushMetricsError, rebuild_error
from airflow_provider_pushmetrics.storable import describe_error, make_storable
from airflow_provider_pushmetrics.tracing import TRACEPARENT, parse_traceparent

ERROR_FACTS = ("status_code", "retry_after_seconds")
"""What decides about a retry, besides the class of an error."""


def build_finished_event(finished: FinishedRun, target: RunTarget | None = None) -> TriggerEvent:
    """
    Build the event of a finished run; the task fetches the outcome.

    :param target: What is known of the run since its start: the templates of the task may render to other
        values by now.
    """
    started = target or RunTarget(finished.report_id)
    return _build_event(
        status="success",
        message=f"run {finished.run_id} has ended",
        run_id=finished.run_id,
        report_id=finished.report_id,
        outputs_url=finished.outputs_url,
        run_status=finished.status.value if finished.status else None,
        started={"report_id": started.report_id, "parameters_digest": started.parameters_digest},
    )


def read_finished_event(event: Mapping[str, Any]) -> FinishedRun:
    """Read the event of a finished run."""
    word = event.get("run_status")
    status = RunStatus.parse(word) if word else None
    return FinishedRun(str(event["report_id"]), event.get("run_id"), event.get("outputs_url"), status)


def read_started(event: Mapping[str, Any]) -> RunTarget:
    """Read what is known of the run since its start from the event of a finished run."""
    started = event.get("started") or {}  # an earlier version's trigger does not send it
    report_id = started.get("report_id", event["report_id"])
    return RunTarget(str(report_id), parameters_digest=started.get("parameters_digest"))


def build_found_event(name: str, found: FeedEvent) -> TriggerEvent:
    """Build the event of a webhook event that matches."""
    return _build_event(status="success", message=f"{name} arrived", found=dump_event(found))


def build_timeout_event(*, run_id: int | None, cause: str | None = None) -> TriggerEvent:
    """
    Build the event of a deadline that passed.

    :param cause: The error of the last poll; None if it did not fail.
    """
    reason = "" if cause is None else f"; the last poll failed: {cause}"
    return _build_event(status="timeout", message=f"the deadline passed{reason}", run_id=run_id, cause=cause)


def build_failure_event(error: Exception, *, run_id: int | None) -> TriggerEvent:
    """Build the event of a wait that failed, with everything that is needed to raise the same error."""
    facts = {name: getattr(error, name, None) for name in ERROR_FACTS}
    return _build_event(
        status="error", message=describe_error(error), error=type(error).__name__, run_id=run_id, **facts
    )


def rebuild_failure(event: Mapping[str, Any]) -> PushMetricsError:
    """Build the error of an event that is neither a success nor a timeout."""
    message = event.get("message") or f"the trigger sent the unknown status {event.get('status')!r}"
    error = rebuild_error(event.get("error"), str(message))
    for name in ERROR_FACTS:
        if hasattr(error, name):
            setattr(error, name, event.get(name))
    return error


def _build_event(**payload: Any) -> TriggerEvent:
    return TriggerEvent(make_storable(payload))


def dump_event(event: FeedEvent) -> FoundEvent:
    """Convert an event of the inbox to a value that Airflow can store, whatever its sender wrote."""
    facts = {"id": event.id, "source": event.source, "received_at": event.received_at, "body": event.body}
    if trace := parse_traceparent(event.traceparent):
        facts[TRACEPARENT] = trace
    dumped: FoundEvent = make_storable(facts)
    return dumped
