"""How a run ended: asked for once it is over, and judged without I/O."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from airflow_provider_pushmetrics.client import calls
from airflow_provider_pushmetrics.client.credentials import Credentials
from airflow_provider_pushmetrics.client.models import QueryOutcome, RunOutputs, RunResult, RunStatus
from airflow_provider_pushmetrics.client.protocol import Call, Pause, Request
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
from airflow_provider_pushmetrics.storable import make_storable

T = TypeVar("T")

OUTPUTS_TIMEOUT_SECONDS = 60.0
"""How long the outputs of a run that is over may take to be readable."""

POLL_SECONDS = 1.0
GOING_ON = 202
"""The status code of an answer that a run has not ended."""

NDJSON_TYPE = "application/x-ndjson"
NO_API_TOKEN = "there is no API token to ask with"
NOT_SAID = "PushMetrics does not say"


@dataclass(frozen=True)
class RunOutcome:
    """
    How a report run ended, as far as anybody can say.

    :param outputs_url: The URL of its outputs; None if it is not known.
    :param status: How it ended; None if nobody can say.
    :param outputs: What it gave; None without an API token.
    """

    report_id: str
    run_id: int | None = None
    outputs_url: str | None = None
    status: RunStatus | None = None
    outputs: RunOutputs | None = None

    @property
    def queries(self) -> tuple[QueryOutcome, ...]:
        """The queries of the run; none where nobody can say."""
        return self.outputs.queries if self.outputs else ()

    @property
    def is_clean(self) -> bool:
        """Whether it is known that it ended well, and not known that rows are missing."""
        return self.status is RunStatus.SUCCESS and not self.list_truncated()

    @property
    def has_all_rows(self) -> bool:
        """Whether it is known that no result lacks rows."""
        return self.outputs is not None and all(query.is_truncated is False for query in self.outputs.queries)

    def list_queries(self) -> tuple[QueryOutcome, ...]:
        """List the queries, as far as they are known."""
        return self.outputs.queries if self.outputs else ()

    def list_truncated(self) -> tuple[QueryOutcome, ...]:
        """List the queries whose results do not have all rows."""
        return self.outputs.list_truncated_queries() if self.outputs else ()

    def explain_unknown(self) -> str | None:
        """Say why nobody can say how the run ended; None if that is known."""
        if self.status is not None:
            return None
        return NO_API_TOKEN if self.outputs is None else NOT_SAID

    def explain_failure(self) -> str | None:
        """Say how the run failed, with the first block that did; None if it did not."""
        if self.status in (None, RunStatus.SUCCESS):
            return None
        block = self.outputs.find_failed_block() if self.outputs else None
        where = f" at block {block.name!r}: {block.error or 'no message'}" if block else ""
        run = f"run {self.run_id} of report {self.report_id!r}"
        return f"{run} ended as {self.status}{where}. See {self.outputs_url}"


def find_outputs_url(finished: FinishedRun, credentials: Credentials) -> str | None:
    """
    Find the URL of a run's outputs; None if nobody named the run.

    :raises PushMetricsUntrustedUrlError: if an event named it, and it must not see the API token.
    """
    if finished.outputs_url is None and finished.run_id is not None:
        return calls.build_outputs_url(credentials.base_url, finished.report_id, finished.run_id)
    if finished.outputs_url is not None and credentials.api_token:
        credentials.refuse_untrusted(finished.outputs_url)
    return finished.outputs_url


def fetch_outcome(finished: FinishedRun, credentials: Credentials) -> Call[RunOutcome]:
    """Ask how a run that is over ended: its outputs first, and if these do not say, the list of runs."""
    url = find_outputs_url(finished, credentials)
    if url is None or not credentials.api_token:
        return RunOutcome(finished.report_id, finished.run_id, url, finished.status)
    outputs = yield from wait_until_ready(lambda: calls.fetch_outputs(credentials, url))
    status = outputs.status or finished.status
    if status is None and finished.run_id is not None:
        listed = (yield from calls.fetch_run(credentials, finished.run_id)).status
        status = listed if listed.is_finished else None
    return RunOutcome(finished.report_id, finished.run_id, url, status, outputs)


def wait_until_ready(
    build_call: Callable[[], Call[T | None]],
    *,
    timeout_seconds: float = OUTPUTS_TIMEOUT_SECONDS,
    poll_seconds: float = POLL_SECONDS,
    clock: Callable[[], float] = time.monotonic,
) -> Call[T]:
    """
    Ask again until there is an answer: what is told of as over may take a moment to be readable.

    :raises PushMetricsUnavailableError: if there is none in time.
    """
    deadline = clock() + timeout_seconds
    while True:
        answer = yield from build_call()
        if answer is not None:
            return answer
        if clock() >= deadline:
            raise PushMetricsUnavailableError(
                f"the run was still going on after {timeout_seconds:g} s; nothing to fetch yet.",
                status_code=GOING_ON,
            )
        yield Pause(poll_seconds)


def refuse_failure(outcome: RunOutcome) -> None:
    """
    Check that a run has not failed.

    :raises PushMetricsRunFailed: naming the first block that failed, and what it said.
    """
    failure = outcome.explain_failure()
    if failure is not None:
        raise PushMetricsRunFailed(failure, run_id=outcome.run_id)


def describe_truncation(queries: tuple[QueryOutcome, ...]) -> str:
    """Say which results do not have all rows, and what cut them."""
    cut = (
        f"{query.query_name or query.query_id!r} (limit: {query.row_limit or 'not said'} rows)"
        for query in queries
    )
    return (
        f"the results of these queries do not have all rows: {', '.join(cut)}. Raise the limit of"
        " the block, or let the query give fewer rows."
    )


def build_result(outcome: RunOutcome) -> RunResult:
    """Build what a task that ran a report returns: JSON that Airflow can store, to fetch every result by."""
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
    How the run ended of which an event tells.

    :param failure: How it failed; None if it did not.
    :param unknown: Why nobody can say how it ended; None if that is known.
    """

    run_id: int | None = None
    failure: str | None = None
    unknown: str | None = None


def fetch_event_outcome(credentials: Credentials, body: Mapping[str, Any]) -> Call[EventOutcome]:
    """
    Ask how the run ended of which an event tells; the event itself does not say.

    :raises PushMetricsRunError: if the event names no run.
    :raises PushMetricsApiError: if PushMetrics cannot be asked, or does not have the run any more.
    """
    if not credentials.api_token:
        return EventOutcome(unknown=NO_API_TOKEN)
    event = _parse_run_event(body)
    if isinstance(event, QueryRun):
        return (yield from _fetch_query_outcome(credentials, event))
    finished = FinishedRun(str(event.report_id), event.run_id, event.report_notebook_outputs)
    outcome = yield from fetch_outcome(finished, credentials)
    return EventOutcome(outcome.run_id, outcome.explain_failure(), outcome.explain_unknown())


def _parse_run_event(body: Mapping[str, Any]) -> ReportRun | QueryRun:
    try:
        event = parse_event(dict(body))
    except InvalidEventError as error:
        raise PushMetricsRunError(f"nobody can say how the run of an event ended: {error}") from None
    if not isinstance(event, ReportRun | QueryRun):
        raise PushMetricsRunError(f"event {event.event!r} tells of no run, so nobody can say how one ended.")
    return event


def _fetch_query_outcome(credentials: Credentials, event: QueryRun) -> Call[EventOutcome]:
    """Ask whether a query has rows, without reading them: a query that failed has none as NDJSON."""
    request = Request("GET", event.query_result, headers={"Accept": NDJSON_TYPE}, is_streamed=True)

    def poll() -> Call[str | None]:
        response = yield from calls.send_authorized(credentials, request)
        return None if response.status_code == 202 else response.headers.get("content-type", "")

    try:
        media_type = yield from wait_until_ready(poll)
    except PushMetricsConflictError as error:
        return EventOutcome(event.run_id, failure=f"query run {event.run_id} failed: {error}")
    except PushMetricsApiError as error:
        if error.status_code != 406:
            raise
        return EventOutcome(event.run_id, unknown=NOT_SAID)
    is_known = media_type.partition(";")[0].strip().lower() == NDJSON_TYPE
    return EventOutcome(event.run_id, unknown=None if is_known else NOT_SAID)
