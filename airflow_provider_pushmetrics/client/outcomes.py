"""The outcome of a run: fetched after the run has ended, and evaluated without I/O."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from airflow_provider_pushmetrics.client import calls
from airflow_provider_pushmetrics.client.credentials import Credentials
from airflow_provider_pushmetrics.client.models import QueryOutcome, RunOutputs, RunResult, RunStatus
from airflow_provider_pushmetrics.client.protocol import Call, Pause, Request
from airflow_provider_pushmetrics.client.wait_budget import ask_for_run
from airflow_provider_pushmetrics.client.waits import FinishedRun
from airflow_provider_pushmetrics.events import QueryRun, ReportRun, parse_event
from airflow_provider_pushmetrics.exceptions import (
    InvalidEventError,
    PushMetricsApiError,
    PushMetricsConflictError,
    PushMetricsRunError,
    PushMetricsRunFailed,
    PushMetricsUnavailableError,
)
from airflow_provider_pushmetrics.redaction import strip_query
from airflow_provider_pushmetrics.storable import make_storable

T = TypeVar("T")

OUTPUTS_TIMEOUT_SECONDS = 60.0
"""How long the outputs of a finished run may take to become available."""

POLL_SECONDS = 1.0
GOING_ON = 202
"""The status code of a response for an unfinished run."""

NOT_ACCEPTABLE = 406
"""The status code of a response for a format that the server does not have."""

NDJSON_TYPE = "application/x-ndjson"
NO_API_TOKEN = "there is no API token to ask with"  # noqa: S105 (a text)
NOT_SAID = "PushMetrics does not say"


@dataclass(frozen=True)
class RunOutcome:
    """
    The outcome of a report run, as far as it is known.

    :param outputs_url: The URL of its outputs; None if unknown.
    :param status: The final status; None if unknown.
    :param outputs: Its outputs; None without an API token.
    """

    report_id: str
    run_id: int | None = None
    outputs_url: str | None = None
    status: RunStatus | None = None
    outputs: RunOutputs | None = None

    @property
    def queries(self) -> tuple[QueryOutcome, ...]:
        """The queries of the run; empty if unknown."""
        return self.outputs.queries if self.outputs else ()

    @property
    def is_clean(self) -> bool:
        """Whether the run is known to have succeeded, and no result is known to lack rows."""
        return self.status is RunStatus.SUCCESS and not self.list_truncated()

    @property
    def has_all_rows(self) -> bool:
        """Whether every result is known to be complete."""
        return self.outputs is not None and all(query.is_truncated is False for query in self.outputs.queries)

    def list_queries(self) -> tuple[QueryOutcome, ...]:
        """List the known queries."""
        return self.outputs.queries if self.outputs else ()

    def list_truncated(self) -> tuple[QueryOutcome, ...]:
        """List the queries whose results are incomplete."""
        return self.outputs.list_truncated_queries() if self.outputs else ()

    def describe_success(self) -> str:
        """Describe a run that succeeded, with the row counts of its queries and its URL."""
        rows = ", ".join(
            f"{query.query_name or query.query_id}: "
            + ("unknown" if query.row_count is None else f"{query.row_count} rows")
            for query in self.queries
        )
        said = f"Run {self.run_id} of report {self.report_id} succeeded"
        return (
            f"{said}{f' ({rows})' if rows else ''}: {strip_query(self.outputs_url or 'its URL is unknown')}"
        )

    def explain_unknown(self) -> str | None:
        """Explain why the outcome is unknown; None if it is known."""
        if self.status is not None:
            return None
        return NO_API_TOKEN if self.outputs is None else NOT_SAID

    def explain_failure(self) -> str | None:
        """Describe the failure, with the first block that failed; None if the run did not fail."""
        if self.status in (None, RunStatus.SUCCESS):
            return None
        block = self.outputs.find_failed_block() if self.outputs else None
        where = f" at block {block.name!r}: {block.error or 'no message'}" if block else ""
        run = f"run {self.run_id} of report {self.report_id!r}"
        return f"{run} ended with status {self.status}{where}. See {strip_query(str(self.outputs_url))}"


def find_outputs_url(finished: FinishedRun, credentials: Credentials) -> str | None:
    """
    Find the URL of a run's outputs; None if the run is not identified.

    :raises PushMetricsUntrustedUrlError: if an event contains it, and the API token must not be sent there.
    """
    if finished.outputs_url is None and finished.run_id is not None:
        return calls.build_outputs_url(credentials.base_url, finished.report_id, finished.run_id)
    if finished.outputs_url is not None and credentials.api_token:
        credentials.refuse_untrusted(finished.outputs_url)
    return finished.outputs_url


def fetch_outcome(
    finished: FinishedRun, credentials: Credentials, *, is_patient: bool = True
) -> Call[RunOutcome]:
    """
    Fetch the outcome of a finished run from its outputs, else from the list of runs.

    :param is_patient: Whether to ask again while another server answers in place of PushMetrics.
    """
    url = find_outputs_url(finished, credentials)
    if url is None or not credentials.api_token:
        return RunOutcome(finished.report_id, finished.run_id, url, finished.status)
    try:
        outputs = yield from wait_until_ready(
            lambda: _ask(credentials, lambda: calls.fetch_outputs(credentials, url), is_patient),
            clock=credentials.clock,
        )
    except PushMetricsUnavailableError as error:
        if error.status_code != GOING_ON:
            raise
        status = yield from _find_status(finished, credentials, is_patient)
        if status in (None, RunStatus.SUCCESS):
            raise
        return RunOutcome(finished.report_id, finished.run_id, url, status)  # it may never have outputs
    status = outputs.status or (yield from _find_status(finished, credentials, is_patient))
    return RunOutcome(finished.report_id, finished.run_id, url, status, outputs)


def _find_status(finished: FinishedRun, credentials: Credentials, is_patient: bool) -> Call[RunStatus | None]:
    """Find the status of a run that has ended; None if it is unknown, or unfinished after all."""
    if finished.status is not None or (run_id := finished.run_id) is None:
        return finished.status
    run = yield from _ask(credentials, lambda: calls.fetch_run(credentials, run_id), is_patient)
    return run.status if run.status.is_finished else None


def _ask(credentials: Credentials, build: Callable[[], Call[T]], is_patient: bool) -> Call[T]:
    return (yield from ask_for_run(credentials, build) if is_patient else build())


def wait_until_ready(
    build_call: Callable[[], Call[T | None]],
    *,
    timeout_seconds: float = OUTPUTS_TIMEOUT_SECONDS,
    poll_seconds: float = POLL_SECONDS,
    clock: Callable[[], float] = time.monotonic,
) -> Call[T]:
    """
    Poll until there is a response: the outputs may become available a moment after the run has ended.

    :raises PushMetricsUnavailableError: if there is none in time.
    """
    deadline = clock() + timeout_seconds
    while True:
        answer = yield from build_call()
        if answer is not None:
            return answer
        if clock() >= deadline:
            raise PushMetricsUnavailableError(
                f"the run had not ended after {timeout_seconds:g} s, so there is nothing to fetch.",
                status_code=GOING_ON,
            )
        yield Pause(poll_seconds)


def refuse_failure(outcome: RunOutcome) -> None:
    """
    Raise the error of a failed run.

    :raises PushMetricsRunFailed: with the first block that failed and its message.
    """
    failure = outcome.explain_failure()
    if failure is not None:
        raise PushMetricsRunFailed(failure, run_id=outcome.run_id)


def describe_truncation(queries: tuple[QueryOutcome, ...]) -> str:
    """Describe which results are incomplete, and their limits."""
    cut = (
        f"{query.query_name or query.query_id!r} (limit: {query.row_limit or 'not said'} rows)"
        for query in queries
    )
    return (
        f"the results of these queries are incomplete: {', '.join(cut)}. Raise the row limit of"
        " the block, or let the query return fewer rows."
    )


def build_result(outcome: RunOutcome) -> RunResult:
    """Build the return value of a task that ran a report: JSON with the URL of every result."""
    result: RunResult = make_storable(_list_facts(outcome))
    return result


def _list_facts(outcome: RunOutcome) -> RunResult:
    return {
        "report_id": outcome.report_id,
        "run_id": outcome.run_id,
        "status": outcome.status.value if outcome.status else None,
        "outputs_url": outcome.outputs_url,
        "queries": [
            {
                "query_id": query.query_id,
                "query_name": query.query_name,
                "query_result": query.query_result,
                "status": query.status,
                "row_count": query.row_count,
                "is_truncated": query.is_truncated,
                "row_limit": query.row_limit,
            }
            for query in outcome.queries
        ],
    }


@dataclass(frozen=True)
class EventOutcome:
    """
    The outcome of the run that an event describes.

    :param failure: The failure; None if the run did not fail.
    :param unknown: Why the outcome is unknown; None if it is known.
    """

    run_id: int | None = None
    failure: str | None = None
    unknown: str | None = None


def fetch_event_outcome(
    credentials: Credentials, body: Mapping[str, Any], *, is_patient: bool = True
) -> Call[EventOutcome]:
    """
    Fetch the outcome of the run that an event describes; the event does not contain it.

    :raises PushMetricsRunError: if the event identifies no run.
    :raises PushMetricsApiError: if PushMetrics cannot be reached, or no longer has the run.
    """
    if not credentials.api_token:
        return EventOutcome(unknown=NO_API_TOKEN)
    event = _parse_run_event(body)
    if isinstance(event, QueryRun):
        call = fetch_query_outcome(credentials, event.query_result, event.run_id, is_patient=is_patient)
        return (yield from call)
    finished = FinishedRun(str(event.report_id), event.run_id, event.report_notebook_outputs)
    outcome = yield from fetch_outcome(finished, credentials, is_patient=is_patient)
    return EventOutcome(outcome.run_id, outcome.explain_failure(), outcome.explain_unknown())


def _parse_run_event(body: Mapping[str, Any]) -> ReportRun | QueryRun:
    try:
        event = parse_event(dict(body))
    except InvalidEventError as error:
        raise PushMetricsRunError(f"the outcome of the run of an event is unknown: {error}") from None
    if not isinstance(event, ReportRun | QueryRun):
        raise PushMetricsRunError(f"event {event.event!r} identifies no run, so its outcome is unknown.")
    return event


def fetch_query_outcome(
    credentials: Credentials, url: str, run_id: int | None, *, is_patient: bool = True
) -> Call[EventOutcome]:
    """
    Check whether a query has a result, without reading it: a failed query has none as NDJSON.

    :param url: The URL of the result.
    :param run_id: The query run.
    """
    request = Request("GET", url, headers={"Accept": NDJSON_TYPE}, is_streamed=True)

    def poll() -> Call[EventOutcome | None]:
        try:
            response = yield from calls.send_authorized(credentials, request)
        except PushMetricsConflictError as error:
            named = "the query" if run_id is None else f"query run {run_id}"
            return EventOutcome(run_id, failure=f"{named} failed: {error}")
        except PushMetricsApiError as error:
            if error.status_code != NOT_ACCEPTABLE:
                raise
            return EventOutcome(run_id, unknown=NOT_SAID)
        if response.status_code == GOING_ON:
            return None
        media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        return EventOutcome(run_id, unknown=None if media_type == NDJSON_TYPE else NOT_SAID)

    return (yield from wait_until_ready(lambda: _ask(credentials, poll, is_patient)))
