"""Waiting for runs and events, for the worker and the triggerer."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from airflow_provider_pushmetrics.client import calls, feed
from airflow_provider_pushmetrics.client.credentials import Credentials
from airflow_provider_pushmetrics.client.feed import Receiver
from airflow_provider_pushmetrics.client.models import FeedEvent, FeedPage, Run, RunStatus
from airflow_provider_pushmetrics.client.protocol import Call, Pause
from airflow_provider_pushmetrics.client.retry_policy import ONE_ATTEMPT
from airflow_provider_pushmetrics.client.wait_budget import (
    FailureBackoff,
    WaitBudget,
    ask_for_run,
    tolerate_refusals,
    until,
)
from airflow_provider_pushmetrics.event_matching import EventFilter
from airflow_provider_pushmetrics.events import ReportRun, parse_event
from airflow_provider_pushmetrics.exceptions import (
    InvalidEventError,
    PushMetricsAmbiguousRun,
    PushMetricsApiError,
    PushMetricsAuthError,
    PushMetricsConfigurationError,
    PushMetricsNotFoundError,
)
from airflow_provider_pushmetrics.redaction import redact, strip_query

log = logging.getLogger(__name__)

PAGE_EVENTS = 100

PROGRESS_SECONDS = 60.0
"""How often a wait logs its progress."""


SETTLE_SECONDS = 5.0
"""After how long the list of runs is read again, to find out whether there is only one new run."""


@dataclass(frozen=True)
class RunTarget:
    """
    The report run to wait for.

    :param report_id: The report.
    :param run_id: The run, if it is known; else the first one after ``after_cursor`` matches.
    :param after_cursor: The receiver's cursor before the run was started; None without a receiver.
    :param after_run_id: The newest run of the report before it was started; None if unknown.
    :param parameters_digest: The digest of the parameters that it was started with; None if unknown.
    """

    report_id: str
    run_id: int | None = None
    after_cursor: int | None = None
    after_run_id: int | None = None
    parameters_digest: str | None = None


@dataclass(frozen=True)
class FinishedRun:
    """
    A report run that has ended.

    :param outputs_url: The URL of its outputs, from its event; None if the API was polled.
    :param status: The final status, from the API; None if only its event is known, which does not contain it.
    """

    report_id: str
    run_id: int | None
    outputs_url: str | None = None
    status: RunStatus | None = None


class ProgressLog:
    """Logs the progress of a wait once a minute, not at each poll."""

    def __init__(self, target: RunTarget, budget: WaitBudget) -> None:
        self.status: RunStatus | None = None
        self._target = target
        self._clock = budget.clock
        self._began = self._logged_at = budget.clock()

    def log_if_due(self) -> None:
        """Log how long the wait has lasted, once a minute."""
        now = self._clock()
        if now - self._logged_at < PROGRESS_SECONDS:
            return
        self._logged_at = now
        run = "the run" if self._target.run_id is None else f"run {self._target.run_id}"
        status = f"is {self.status}" if self.status else "has not ended"
        log.info(
            "%s of report %s %s after %d s; still waiting",
            run,
            self._target.report_id,
            status,
            now - self._began,
        )


def wait_for_event(
    receiver: Receiver,
    wanted: EventFilter,
    *,
    after: int,
    budget: WaitBudget,
    accepts: Callable[[FeedEvent], bool] | None = None,
) -> Call[FeedEvent | None]:
    """
    Wait for the first matching event after a cursor; None if the deadline passed.

    Events that came before the wait began are included: the inbox keeps them.

    :param accepts: Returns whether an event matches, beyond the receiver's filter.
    :raises PushMetricsLastLookError: if the deadline passed and the last poll had failed.
    :raises PushMetricsApiError: if the receiver rejects the request, or fails too often in a row.
    """
    limit = 1 if accepts is None else PAGE_EVENTS
    while True:
        is_last_look = budget.compute_remaining() <= 0
        page = yield from fetch_next_page(receiver, wanted, after=after, budget=budget, limit=limit)
        if page is None or (is_last_look and not page.events):
            return None
        found = next((event for event in page.events if accepts is None or accepts(event)), None)
        if found is not None:
            return found
        after = page.cursor


def fetch_next_page(
    receiver: Receiver, wanted: EventFilter, *, after: int, budget: WaitBudget, limit: int = PAGE_EVENTS
) -> Call[FeedPage | None]:
    """
    Wait for the next page after a cursor; None if the deadline passed.

    A page without events says that there are others up to its cursor.

    :raises PushMetricsLastLookError: if the deadline passed and the last poll had failed.
    """

    def poll() -> Call[FeedPage | None]:
        page = yield from poll_page(receiver, wanted, after=after, budget=budget, limit=limit)
        return page if page.events or page.cursor != after else None

    return (yield from until(budget, poll, pauses=False))


def wait_for_run(
    target: RunTarget, *, credentials: Credentials, receiver: Receiver | None, budget: WaitBudget
) -> Call[FinishedRun | None]:
    """
    Wait for a report run to end; None if the deadline passed.

    With a receiver, its event ends the wait at once, and the API is polled rarely in case no webhook arrives.
    Without one, the API is polled.

    :raises PushMetricsConfigurationError: if there is neither a receiver nor an API token, or nothing that
        distinguishes the run from those of other reports.
    :raises PushMetricsLastLookError: if the deadline passed and the last poll had failed.
    :raises PushMetricsApiError: if either rejects a request, or fails too often in a row.
    """
    refuse_endless_wait(target, credentials, receiver)
    backoff, progress = FailureBackoff(budget), ProgressLog(target, budget)
    reader, after = RunReader(target, credentials), target.after_cursor or 0
    api_has_answered, receiver_has_answered = target.after_run_id is not None, target.after_cursor is not None

    def poll() -> Call[FinishedRun | None]:
        nonlocal after, api_has_answered, receiver_has_answered
        progress.log_if_due()
        if can_poll_api(target, credentials):
            run = yield from tolerate_refusals(
                _fetch_run(target, credentials), api_has_answered, PushMetricsAuthError
            )
            api_has_answered = True
            progress.status = run.status
            backoff.reset()  # if the receiver fails, the API still answers
            if (finished := reader.read_run(run)) is not None:
                return finished
        if receiver is None:
            return None
        page = _listen(receiver, reader, after, budget)
        finished, after = yield from tolerate_refusals(page, receiver_has_answered)
        receiver_has_answered = True
        return finished

    return (yield from until(budget, poll, backoff=backoff, pauses=receiver is None))


def can_poll_api(target: RunTarget, credentials: Credentials) -> bool:
    """Return whether the API can return the status of the run."""
    return bool(credentials.api_token) and target.run_id is not None


def refuse_endless_wait(target: RunTarget, credentials: Credentials, receiver: Receiver | None) -> None:
    """
    Refuse a wait that could never end.

    :raises PushMetricsConfigurationError: if there is neither a receiver nor an API token, or nothing that
        distinguishes the run from those of other reports.
    """
    if receiver is None and not can_poll_api(target, credentials):
        raise PushMetricsConfigurationError(
            "there is no way to wait for the run: the connection has no receiver, and no API token or no run"
            " id to ask for. Set the connection's password, or its extras 'receiver_url' and"
            " 'receiver_token'."
        )
    if target.run_id is None and not _is_number(target.report_id):
        raise PushMetricsConfigurationError(
            f"the run of report {target.report_id!r} cannot be distinguished from those of other reports: its"
            " number is unknown, and events identify reports by their numbers. Use the report's number as"
            " report_id, or set the connection's password."
        )


def find_new_run(
    target: RunTarget, *, credentials: Credentials, newest_wins: bool, budget: WaitBudget
) -> Call[Run | None]:
    """
    Find the run that was just started, in the API: the only one newer than ``after_run_id``.

    A run that somebody else started at the same time may be listed before it. So the list is read again a
    moment after it has shown one; if that fails, the one that was there counts.

    :param newest_wins: Return the newest of several candidates instead of raising an error.
    :return: The run; None if none appeared before the deadline.
    :raises PushMetricsAmbiguousRun: if there are several candidates.
    :raises PushMetricsApiError: if the API rejects the request, or fails until the deadline.
    """

    def poll() -> Call[Run | None]:
        listed = calls.fetch_runs(credentials, target.report_id, ONE_ATTEMPT)
        runs = yield from tolerate_refusals(listed, target.after_run_id is not None)
        candidates = [run for run in runs if run.id > (target.after_run_id or 0)]
        if candidates:
            _refuse_other_reports(target.report_id, runs)
        if len(candidates) > 1 and not newest_wins:
            raise PushMetricsAmbiguousRun(
                f"report {target.report_id!r} has {len(candidates)} runs that began after the trigger was"
                f" called ({', '.join(str(run.id) for run in candidates)}), and PushMetrics does not say"
                " which one belongs to this task. Run one at a time, or set on_ambiguous='newest'."
            )
        return candidates[0] if candidates else None

    settle_seconds = min(SETTLE_SECONDS, max(0.0, budget.compute_remaining()))
    found = yield from until(budget, poll)
    if found is None or newest_wins:
        return found
    yield Pause(settle_seconds)
    try:
        again = yield from until(replace(budget, deadline=budget.clock() + settle_seconds), poll)
    except PushMetricsApiError as error:  # the run was there: a retry would start another one
        log.warning("the runs of report %s could not be read a second time: %s", target.report_id, error)
        again = None
    return again or found


def _refuse_other_reports(report_id: str, runs: Sequence[Run]) -> None:
    """
    Refuse a list of several reports' runs that have no number of their report.

    :raises PushMetricsAmbiguousRun: if it is one.
    """
    uids = sorted({run.report_uid for run in runs if run.report_id is None and run.report_uid})
    if len(uids) > 1:
        raise PushMetricsAmbiguousRun(
            f"PushMetrics listed runs of {len(uids)} reports ({', '.join(uids)}) as those of report"
            f" {report_id!r}, and does not say which of them it is. Set report_id to its uid."
        )


def _fetch_run(target: RunTarget, credentials: Credentials) -> Call[Run]:
    assert target.run_id is not None
    build = partial(calls.fetch_run, credentials, target.run_id, ONE_ATTEMPT)
    return (yield from ask_for_run(credentials, build, ONE_ATTEMPT))


def read_run(target: RunTarget, run: Run) -> FinishedRun | None:
    """
    Read a run from the API; None while it is unfinished.

    :raises PushMetricsNotFoundError: if it is a run of another report.
    """
    if run.report_id is not None and _is_number(target.report_id) and int(target.report_id) != run.report_id:
        raise PushMetricsNotFoundError(
            f"report {target.report_id} has no run {run.id}: that is one of report {run.report_id}. Was"
            " PushMetrics restored from a backup since? Clear the task to start another run."
        )
    if not run.status.is_finished:
        return None
    return FinishedRun(str(run.report_id or target.report_id), run.id, status=run.status)


def poll_page(
    receiver: Receiver, wanted: EventFilter, *, after: int, budget: WaitBudget, limit: int
) -> Call[FeedPage]:
    """
    Fetch a page by a long poll.

    After an empty page that was not held, such as one from a proxy, pause here: else this would poll in a
    busy loop.
    """
    asked_at, remaining = budget.clock(), budget.compute_remaining()
    page = yield from feed.fetch_events(
        receiver, wanted, after=after, wait_seconds=max(0.0, remaining), limit=limit, policy=ONE_ATTEMPT
    )
    was_held = budget.clock() - asked_at >= min(remaining, feed.LONG_POLL_SECONDS) / 2
    if not page.events and page.cursor == after and not was_held:
        yield Pause(min(budget.poll_interval_seconds, remaining))
    return page


@dataclass
class RunReader:
    """
    Reads what may tell one wait that its run has ended. What it skips is logged once, not at each poll.

    :param target: The run.
    :param credentials: The PushMetrics that has started it.
    """

    target: RunTarget
    credentials: Credentials
    _has_logged_status: bool = False
    _skipped_id: int = 0

    def read_run(self, run: Run) -> FinishedRun | None:
        """
        Read a run from the API; None while it is unfinished.

        :raises PushMetricsNotFoundError: if it is a run of another report.
        """
        if run.status is RunStatus.UNKNOWN and not self._has_logged_status:
            self._has_logged_status = True
            log.warning(
                "run %s has a status that this version does not know: it counts as unfinished", run.id
            )
        return read_run(self.target, run)

    def read_event(self, found: FeedEvent) -> FinishedRun | None:
        """
        Read which run has ended, from an event; None if the event is not about a run of this PushMetrics.

        A receiver may have several senders, whose reports and runs have the same numbers. Only the URL of
        the outputs tells them apart.
        """
        try:
            event = parse_event(found.body)
        except InvalidEventError as error:
            self._skip(found, str(error))
            return None
        if not isinstance(event, ReportRun):
            return None
        if not self.credentials.is_trusted(url := event.report_notebook_outputs):
            shown = redact(strip_query(url))
            self._skip(
                found,
                f"its outputs, {shown!r}, are not at {self.credentials.base_url!r}. If it is the event"
                " of the run, add that origin to the connection's extra 'trusted_origins'",
            )
            return None
        return FinishedRun(str(event.report_id), event.run_id, url)

    def _skip(self, found: FeedEvent, reason: str) -> None:
        if found.id > self._skipped_id:  # the feed of several waits is read again for a new one
            self._skipped_id = found.id
            log.warning("event %d in the inbox is skipped: %s", found.id, reason)


def _listen(
    receiver: Receiver, reader: RunReader, after: int, budget: WaitBudget
) -> Call[tuple[FinishedRun | None, int]]:
    wanted = build_run_filter(reader.target)
    page = yield from poll_page(receiver, wanted, after=after, budget=budget, limit=PAGE_EVENTS)
    for event in page.events:
        if (finished := reader.read_event(event)) is not None:
            return finished, event.id
    return None, page.cursor


def build_run_filter(target: RunTarget) -> EventFilter:
    """Build the filter for a report run's event; a report known by its uid is matched by its run alone."""
    report_id = int(target.report_id) if _is_number(target.report_id) else None
    return EventFilter(event="report.run", report_id=report_id, run_id=target.run_id)


def _is_number(report_id: str) -> bool:
    return report_id.isascii() and report_id.isdigit()
