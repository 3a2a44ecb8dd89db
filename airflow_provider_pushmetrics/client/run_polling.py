"""Waiting for runs without a receiver: poll the API and build the event that the webhook would have sent."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_pushmetrics.client import calls, reports
from airflow_provider_pushmetrics.client.credentials import Credentials
from airflow_provider_pushmetrics.client.models import FeedEvent, Run, RunStatus
from airflow_provider_pushmetrics.client.protocol import Call, Request
from airflow_provider_pushmetrics.client.retry_policy import ONE_ATTEMPT
from airflow_provider_pushmetrics.event_matching import EventFilter
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsConfigurationError,
    PushMetricsError,
    PushMetricsNotFoundError,
    PushMetricsParameterError,
    PushMetricsRunError,
)

log = logging.getLogger(__name__)

UNLISTED_PER_POLL = 20
"""How many unfinished runs that are not in the list are requested by one poll."""

OUTPUTS_SECONDS = 60.0
"""How long the outputs of a run that has failed or was cancelled may take: it may have none."""

REFUSAL_SECONDS = 600.0
"""
How long PushMetrics must refuse a run before it is given up.

A proxy refuses everything for minutes, and a run that is given up is missed.
"""

API_SOURCE = "api"
"""The ``source`` of events that no webhook delivered."""


@dataclass(frozen=True)
class RunSnapshot:
    """
    The runs that existed when a wait began. Those that had ended do not count.

    :param newest_id: The newest run.
    :param open_ids: The unfinished runs.
    """

    newest_id: int = 0
    open_ids: tuple[int, ...] = ()


@dataclass(frozen=True)
class _Refusal:
    """
    A run that PushMetrics says it does not have.

    :param since: When it said so first, with no other answer since then.
    :param resumes_at: When the run is requested again: after as long as it has been refused so far.
    """

    since: float
    resumes_at: float


@dataclass
class RunPoll:
    """
    A wait for a run that polls the API.

    :param wanted: Which runs match, as a filter of their events.
    :param seen: The runs that existed when the wait began; None only in a wait for a run with a known number.
    :param accepts: Returns whether the run, as an event, matches.
    :param clock: Gives seconds that never go back.
    """

    wanted: EventFilter
    seen: RunSnapshot | None = None
    accepts: Callable[[FeedEvent], bool] = lambda event: True
    clock: Callable[[], float] = field(default=time.monotonic, repr=False, compare=False)
    _open: Counter[int] = field(default_factory=Counter)
    """The runs that are still to be decided, and how often each was requested by itself."""
    _refusals: dict[int, _Refusal] = field(default_factory=dict)
    _report_numbers: dict[str, int] = field(default_factory=dict)
    _ended_at: dict[int, float] = field(default_factory=dict)
    """When runs were first seen to have ended without their outputs."""
    _reached: int | None = None

    @property
    def reached(self) -> int:
        """The newest run that was listed so far: the next list has to reach it."""
        return self.require_snapshot().newest_id if self._reached is None else self._reached

    @property
    def needs_list(self) -> bool:
        """Whether it polls the list of runs instead of one run."""
        return self.wanted.run_id is None

    def check_can_poll(self, credentials: Credentials) -> None:
        """
        Check that the API can answer this wait.

        :raises PushMetricsConfigurationError: without an API token.
        :raises PushMetricsParameterError: for a ``query.run`` that is not known by its numbers.
        """
        if not credentials.api_token:
            raise PushMetricsConfigurationError(
                "there is no way to wait: the connection has neither a receiver nor an API token. Set the"
                " extras 'receiver_url' and 'receiver_token', or the password."
            )
        known = (self.wanted.report_id, self.wanted.query_id, self.wanted.run_id)
        if self.wanted.event == "query.run" and None in known:
            raise PushMetricsParameterError(
                "without a receiver, a query.run can only be waited for with 'report_id', 'query_id' and"
                " 'run_id': the API has no list of them. Set these, or the extras 'receiver_url' and"
                " 'receiver_token' of the connection."
            )

    def require_snapshot(self) -> RunSnapshot:
        """
        Get the runs that there were when the wait began.

        :raises PushMetricsParameterError: if nobody saw them: any run that ever ended would count.
        """
        if self.seen is None:
            raise PushMetricsParameterError(
                "it is not known which runs existed when the wait began: without a receiver, a worker"
                " determines"
                " that, and 'after' does not contain it. Leave out 'start_from_trigger' and 'after', or set"
                " 'run_id', or the extras 'receiver_url' and 'receiver_token' of the connection."
            )
        return self.seen

    def fetch_list(self, credentials: Credentials, after: int) -> Call[tuple[Run, ...]]:
        """Fetch all runs that are newer than a run; the same for all waits for the same report."""
        return (yield from fetch_runs_after(credentials, after, self.wanted.report_id)).runs

    def poll(self, credentials: Credentials, listed: tuple[Run, ...] | None = None) -> Call[FeedEvent | None]:
        """
        Poll once; None if no matching run has ended.

        :param listed: All runs that are newer than :attr:`reached`, at least; by default they are fetched.
        """
        if self.wanted.event == "query.run":
            return (yield from self._poll_query(credentials))
        if self.wanted.run_id is not None:
            run = yield from calls.fetch_run(credentials, self.wanted.run_id, ONE_ATTEMPT)
            event = yield from self._find_event(credentials, run)
            return event if event is not None and self._matches(event) else None
        if listed is None:
            listed = yield from self.fetch_list(credentials, self.reached)
        self._remember(listed)
        return (yield from self._choose(credentials, {run.id: run for run in listed}))

    def _remember(self, listed: tuple[Run, ...]) -> None:
        """Note which runs are to be decided, before a request that may fail."""
        if self._reached is None:
            self._open.update(dict.fromkeys(self.require_snapshot().open_ids, 0))
        reached = self.reached
        self._open.update({run.id: 0 for run in listed if run.id > reached})
        self._reached = max([reached, *(run.id for run in listed)])

    def _choose(self, credentials: Credentials, listed: Mapping[int, Run]) -> Call[FeedEvent | None]:
        """Decide about the runs that have ended, the oldest first."""
        now = self.clock()
        due = self._open.keys() - {number for number, one in self._refusals.items() if now < one.resumes_at}
        unlisted = sorted(due - listed.keys(), key=lambda run_id: (self._open[run_id], run_id))
        for run_id in sorted(due.difference(unlisted[UNLISTED_PER_POLL:])):
            try:
                run = listed.get(run_id) or (yield from self._fetch_unlisted(credentials, run_id))
                event = yield from self._find_event(credentials, run)
            except PushMetricsNotFoundError as error:
                self._record_refusal(run_id, error)
                continue
            except PushMetricsRunError as error:
                self._give_up(run_id, error)
                continue
            self._refusals.pop(run_id, None)
            if event is None:
                continue
            if self._matches(event):
                return event
            del self._open[run_id]
        return None

    def _fetch_unlisted(self, credentials: Credentials, run_id: int) -> Call[Run]:
        """Fetch a run that is older than those of the list."""
        self._open[run_id] += 1
        return (yield from calls.fetch_run(credentials, run_id, ONE_ATTEMPT))

    def _record_refusal(self, run_id: int, error: PushMetricsNotFoundError) -> None:
        """Record that a run is not found; give it up if that lasts."""
        now = self.clock()
        before = self._refusals.get(run_id)
        since = now if before is None else before.since
        self._refusals[run_id] = _Refusal(since, now + (now - since))
        if now - since >= REFUSAL_SECONDS:
            self._give_up(run_id, error)
            del self._refusals[run_id]

    def _give_up(self, run_id: int, error: PushMetricsError) -> None:
        log.warning("Run %d is given up, and the wait continues for another one: %s", run_id, error)
        del self._open[run_id]

    def _find_event(self, credentials: Credentials, run: Run) -> Call[FeedEvent | None]:
        """Find the event of a run; None if it has not ended, or if its outputs are not available yet."""
        if not run.status.is_finished:
            return None
        number = yield from self._find_report(credentials, run)
        event = yield from build_report_event(credentials, run, number)
        if event is None and self._has_no_outputs(run):
            event = _describe_run(credentials, run, number)
        if event is not None:
            self._ended_at.pop(run.id, None)
        return event

    def _has_no_outputs(self, run: Run) -> bool:
        """
        Return whether a run that has ended will have no outputs; they may come some time after its end.

        :raises PushMetricsRunError: if the run succeeded, so that they are missing.
        """
        waited = self.clock() - self._ended_at.setdefault(run.id, self.clock())
        if run.status is not RunStatus.SUCCESS:
            return waited >= OUTPUTS_SECONDS
        if waited >= REFUSAL_SECONDS:
            raise PushMetricsRunError(
                f"run {run.id} ended with status {run.status}, and its outputs are not available after"
                f" {waited:.0f} s",
                run_id=run.id,
            )
        return False

    def _find_report(self, credentials: Credentials, run: Run) -> Call[int | None]:
        """
        Find the number of a run's report, of which a list may contain only the uid.

        Without either, the URL of the outputs tells: PushMetrics has none for a run of another report.
        """
        if run.report_id is not None or run.report_uid is None:
            return self.wanted.report_id if run.report_id is None else run.report_id
        if run.report_uid not in self._report_numbers:
            report = yield from reports.fetch_report(credentials, run.report_uid, ONE_ATTEMPT)
            self._report_numbers[run.report_uid] = report.id
        return self._report_numbers[run.report_uid]

    def _matches(self, event: FeedEvent) -> bool:
        return self.wanted.report_id in (None, event.body["report_id"]) and self.accepts(event)

    def _poll_query(self, credentials: Credentials) -> Call[FeedEvent | None]:
        """Check whether the result is available, without reading it."""
        wanted = self.wanted
        url = (
            f"{credentials.base_url}/api/reports/{wanted.report_id}/queries/{wanted.query_id}"
            f"/run/{wanted.run_id}"
        )
        request = Request("GET", url, headers={"Accept": calls.JSON_TYPE}, is_streamed=True)
        response = yield from calls.send_authorized(credentials, request, ONE_ATTEMPT)
        if response.status_code != 200:
            return None
        body = {"event": "query.run", "query_id": wanted.query_id, "report_id": wanted.report_id}
        event = _build_event(int(wanted.run_id or 0), {**body, "query_result": url})
        return event if self.accepts(event) else None


def fetch_snapshot(credentials: Credentials, wanted: EventFilter) -> Call[RunSnapshot]:
    """Fetch the runs that exist before a wait begins."""
    if wanted.run_id is not None:
        return RunSnapshot()
    listed = (yield from fetch_runs_after(credentials, None, wanted.report_id)).runs
    unfinished = tuple(run.id for run in listed if not run.status.is_finished)
    return RunSnapshot(max((run.id for run in listed), default=0), unfinished)


BEGIN_LIST_RUNS = 1000
"""How many runs are listed to find those that are unfinished when a watcher begins."""


@dataclass(frozen=True)
class RunListing:
    """
    The newest runs.

    :param runs: Newest first.
    :param after: The run after which runs were requested; None for the newest ones.
    :param is_complete: Whether it contains every run after that one, or every run that exists.
    """

    runs: tuple[Run, ...]
    after: int | None = None
    is_complete: bool = True


def fetch_runs_after(
    credentials: Credentials, after: int | None, report_id: int | None = None
) -> Call[RunListing]:
    """
    Fetch all runs that are newer than a run, page by page.

    A run that is created meanwhile moves the others to the next page, so they come twice, and not never.
    Only an empty page is the end of the list: a server may return fewer runs than requested.

    :param after: The run's number; None for the newest ``BEGIN_LIST_RUNS`` runs.
    :param report_id: Which report's runs; None for all.
    """
    reference = None if report_id is None else str(report_id)
    found: dict[int, Run] = {}
    page, page_size = 0, BEGIN_LIST_RUNS if after is None else calls.NEW_RUNS_LIMIT
    while True:
        rows = yield from calls.fetch_run_page(credentials, page, page_size, ONE_ATTEMPT, reference)
        known = len(found)
        found |= {run.id: run for run in rows}
        is_end = not rows or (after is not None and min(run.id for run in rows) <= after)
        is_enough = after is None and len(found) >= BEGIN_LIST_RUNS
        if is_end or is_enough or len(found) == known:  # a server that ignores the page repeats the first one
            ours = (
                run for run in found.values() if reference is None or calls.may_be_of_report(run, reference)
            )
            runs = tuple(sorted(ours, key=lambda run: run.id, reverse=True))
            return RunListing(runs, after, is_end)
        if page == 0:
            page_size = len(rows)  # the actual page size of a server that returns fewer than requested
        page += 1


def build_report_event(
    credentials: Credentials, run: Run, report_id: int | None = None
) -> Call[FeedEvent | None]:
    """
    Build the event of a run that has ended; None as long as its outputs are not available.

    :param report_id: The report's number, if the run does not contain it.
    :raises PushMetricsParameterError: if nothing says of which report the run is.
    """
    number = run.report_id if run.report_id is not None else report_id
    url = _build_outputs_url(credentials, run, number)
    outputs = yield from calls.fetch_outputs(credentials, url, ONE_ATTEMPT)  # who waits has pauses of its own
    if outputs is None:
        return None
    event = _describe_run(credentials, run, number)
    event.body["report_id"] = number if outputs.report_id is None else outputs.report_id
    event.body["report_name"] = outputs.report_name or run.name
    event.body["queries"] = [
        {"query_id": query.query_id, "query_name": query.query_name, "query_result": query.query_result}
        for query in outputs.queries
    ]
    return event


def _build_outputs_url(credentials: Credentials, run: Run, number: int | None) -> str:
    reference = number if number is not None else run.report_uid
    if reference is None:
        raise PushMetricsParameterError(
            f"PushMetrics does not say of which report run {run.id} is, so its outputs cannot be found. Set"
            " 'report_id', or the extras 'receiver_url' and 'receiver_token' of the connection."
        )
    return calls.build_outputs_url(credentials.base_url, reference, run.id)


def _describe_run(credentials: Credentials, run: Run, number: int | None) -> FeedEvent:
    """Build the event of a run that has ended, as far as it is known without its outputs."""
    body: dict[str, Any] = {
        "event": "report.run",
        "report_id": number,
        "report_name": run.name,
        "report_notebook_outputs": _build_outputs_url(credentials, run, number),
        "queries": [],
    }
    if run.end_time is not None:
        body["timestamp"] = run.end_time
    return _build_event(run.id, body)


def _build_event(run_id: int, body: dict[str, Any]) -> FeedEvent:
    return FeedEvent(id=run_id, source=API_SOURCE, body=body)
