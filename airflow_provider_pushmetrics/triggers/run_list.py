"""The list of runs of a connection: one poll for all watchers in an event loop."""

from __future__ import annotations

import asyncio
import copy
import logging
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar
from weakref import WeakKeyDictionary, WeakSet

from airflow_provider_pushmetrics.client import calls, reports
from airflow_provider_pushmetrics.client.models import FeedEvent, Report, Run
from airflow_provider_pushmetrics.client.protocol import Call, T
from airflow_provider_pushmetrics.client.retry_policy import ONE_ATTEMPT, RetryPolicy
from airflow_provider_pushmetrics.client.run_polling import RunListing, build_report_event, fetch_runs_after
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsApiError,
    PushMetricsProtocolError,
    PushMetricsUnavailableError,
)
from airflow_provider_pushmetrics.hooks.async_client import PushMetricsAsyncClient
from airflow_provider_pushmetrics.hooks.settings import PushMetricsSettings
from airflow_provider_pushmetrics.serving.logs import ThrottledLog
from airflow_provider_pushmetrics.storable import describe_error

log = logging.getLogger(__name__)

K = TypeVar("K")
V = TypeVar("V")

LIST_BACKOFF = RetryPolicy(attempts=1_000_000, base_seconds=2.0, max_seconds=120.0)
LONGEST_RETRY_AFTER_SECONDS = 3600.0
"""The longest ``Retry-After`` that is honored."""

MAX_SINGLE_RUNS = 100
"""How many runs that are not in the list are requested in one round; the others follow in the next ones."""

KEPT_EVENTS = 1000
KEPT_RUNS = 10_000

TOO_MANY_REQUESTS = 429
REFUSALS = frozenset({402, 403, 404, 410})
"""The answers that may mean that PushMetrics no longer has a run, or hides it from the API token."""


@dataclass(frozen=True)
class RunRefusal:
    """
    An answer that may mean that PushMetrics no longer has a run, or hides it from the API token.

    :param reason: The last answer.
    :param since: When it was refused first, with no other answer since then.
    :param seconds: How much later the last refusal was; infinite if no other answer is possible.
    """

    reason: str
    since: float = -math.inf
    seconds: float = math.inf


@dataclass(frozen=True)
class RunTrouble:
    """
    The failures of requests about one run.

    :param failures: How many there were, one after the other.
    :param resumes_at: When the next request may be sent.
    :param refusal: Since when it is refused; None if the last failure was another one.
    """

    failures: int = 0
    resumes_at: float = -math.inf
    refusal: RunRefusal | None = None


class RunList:
    """
    What the API of a connection has returned, for all watchers that poll it.

    After a failure of the list it sends no request until the pause is over; until then every watcher gets the
    same error. If only the requests about one run fail, this run has a pause of its own.

    :param settings: The connection.
    :param clock: Gives seconds that never go back.
    """

    def __init__(self, settings: PushMetricsSettings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.settings = settings
        self._clock = clock
        self._turn = asyncio.Lock()
        self._listings: dict[
            bool, tuple[float, RunListing]
        ] = {}  # by whether it is the beginning of a watcher
        self._asked_at: dict[int, float] = {}
        self._single_runs: dict[int, Run | RunRefusal | None] = {}
        self._events: dict[int, FeedEvent] = {}
        self._reports: dict[str, Report] = {}
        self._troubles: dict[tuple[str, int | str], RunTrouble] = {}
        self._log = ThrottledLog(log)
        self._failures = 0
        self._failure: PushMetricsApiError | None = None
        self._resumes_at = 0.0

    async def fetch(
        self, client: PushMetricsAsyncClient, after: int | None, *, max_age_seconds: float
    ) -> tuple[RunListing, float]:
        """
        Fetch the runs after a run, or return those of another watcher's poll.

        :return: The runs, and when they were fetched.
        :raises PushMetricsApiError: if they cannot be fetched.
        """
        async with self._turn:
            fetched_at, known = self._listings.get(after is None, (-math.inf, RunListing((), after)))
            is_new = self._clock() - fetched_at < max_age_seconds
            if is_new and (known.after is None or after is None or known.after <= after):
                return known, fetched_at
            now = self._clock()
            listing = await self._call(client, fetch_runs_after(client.credentials, after))
            self._listings[after is None] = (now, listing)
            return listing, now

    async def fetch_single_runs(
        self, client: PushMetricsAsyncClient, run_ids: Iterable[int], *, max_age_seconds: float
    ) -> dict[int, Run | RunRefusal]:
        """
        Fetch runs by their numbers, those first that were not requested for the longest time.

        :return: What is known; a run that was not requested, or not answered, is left out.
        :raises PushMetricsApiError: if PushMetrics does not answer at all.
        """
        found: dict[int, Run | RunRefusal] = {}
        async with self._turn:
            numbers = sorted(run_ids, key=lambda run_id: (self._asked_at.get(run_id, -math.inf), run_id))
            for run_id in [number for number in numbers if not self._is_known(number, max_age_seconds)][
                :MAX_SINGLE_RUNS
            ]:
                _keep(self._asked_at, run_id, self._clock())
                build = partial(calls.fetch_run, client.credentials, run_id)
                answer = await self._ask(client, ("run", run_id), build)
                _keep(self._single_runs, run_id, answer)
            for run_id in numbers:
                answer = self._single_runs.get(run_id)
                if answer is not None:
                    found[run_id] = answer
        return found

    def _is_known(self, run_id: int, max_age_seconds: float) -> bool:
        known = self._single_runs.get(run_id)
        has_ended = isinstance(known, Run) and known.status.is_finished
        return has_ended or self._clock() - self._asked_at.get(run_id, -math.inf) < max_age_seconds

    async def fetch_report(self, client: PushMetricsAsyncClient, uid: str) -> Report | RunRefusal | None:
        """
        Fetch a report by its uid, once for all its runs.

        :return: The report; None if it cannot be found out at the moment.
        :raises PushMetricsApiError: if PushMetrics does not answer at all.
        """
        async with self._turn:
            if uid in self._reports:
                return self._reports[uid]
            build = partial(reports.fetch_report, client.credentials, uid, ONE_ATTEMPT)
            answer = await self._ask(client, ("report", uid), build)
            if isinstance(answer, Report):
                _keep(self._reports, uid, answer)
            return answer

    async def fetch_event(self, client: PushMetricsAsyncClient, run: Run) -> FeedEvent | RunRefusal | None:
        """
        Fetch the event of a run that has ended.

        :return: The event; None if its outputs are not available yet, or if that cannot be found out at the
            moment: another run may be answered nevertheless.
        :raises PushMetricsApiError: if PushMetrics does not answer at all.
        """
        async with self._turn:
            if run.id in self._events:
                return self._events[run.id]
            build = partial(build_report_event, client.credentials, run)
            answer = await self._ask(client, ("outputs", run.id), build)
            if not isinstance(answer, FeedEvent):
                return answer
            event = answer.model_copy(update={"received_at": datetime.now(UTC).isoformat()})
            _keep(self._events, run.id, event, limit=KEPT_EVENTS)
            return event

    async def _ask(
        self, client: PushMetricsAsyncClient, about: tuple[str, int | str], build: Callable[[], Call[T]]
    ) -> T | RunRefusal | None:
        """
        Make a request about one run or one report, unless the pause after its last failure is not over.

        :return: The answer; None, or since when it is refused, if there is none.
        :raises PushMetricsApiError: if PushMetrics returns no list of runs either.
        """
        self._raise_in_pause()
        trouble = self._troubles.get(about)
        if trouble is not None and self._clock() < trouble.resumes_at:
            return trouble.refusal
        try:
            answer = await client.call(build())
        except Exception as error:  # whatever it is, the other runs must not wait for this one
            return await self._pause_run(client, about, error)
        self._troubles.pop(about, None)
        return answer

    async def _pause_run(
        self, client: PushMetricsAsyncClient, about: tuple[str, int | str], error: Exception
    ) -> RunRefusal | None:
        """Remember a failure that is about one run or report: PushMetrics still returns the list of runs."""
        if getattr(error, "status_code", None) != TOO_MANY_REQUESTS:
            await self._call(client, calls.fetch_newest_runs(client.credentials, 1, ONE_ATTEMPT))
        before = self._troubles.get(about, RunTrouble())
        failures = before.failures + 1
        resumes_at = self._clock() + _compute_pause(error, failures)
        trouble = RunTrouble(failures, resumes_at, self._find_refusal(before.refusal, error))
        _keep(self._troubles, about, trouble)
        if isinstance(error, PushMetricsApiError) and error.status_code == TOO_MANY_REQUESTS:
            self._failure, self._resumes_at = copy.copy(error), resumes_at  # it counts all requests
            raise error
        name = f"Report {about[1]}" if about[0] == "report" else f"Run {about[1]}"
        self._log.warning("%s cannot be read, and is tried again: %s", name, describe_error(error))
        return trouble.refusal

    def _find_refusal(self, before: RunRefusal | None, error: Exception) -> RunRefusal | None:
        """
        Find out since when a run is refused; None for a failure that says nothing about the run.

        A proxy returns 403, 404 or a page for a while, so only a refusal that lasts is one of the run.
        """
        is_refusal = isinstance(error, PushMetricsApiError) and error.status_code in REFUSALS
        if not is_refusal or isinstance(error, PushMetricsProtocolError):
            return None
        since = self._clock() if before is None else before.since
        return RunRefusal(describe_error(error), since, self._clock() - since)

    async def _call(self, client: PushMetricsAsyncClient, call: Call[T]) -> T:
        """Make a request that no run has chosen; if it fails, all watchers pause."""
        try:
            self._raise_in_pause()
        except PushMetricsApiError:
            call.close()
            raise
        try:
            answer = await client.call(call)
        except PushMetricsApiError as error:
            self._failures += 1
            self._failure = copy.copy(error)
            self._resumes_at = self._clock() + _compute_pause(error, self._failures)
            raise
        self._failures, self._failure = 0, None
        return answer

    def _raise_in_pause(self) -> None:
        if self._failure is not None and self._clock() < self._resumes_at:
            raise copy.copy(self._failure)


def _compute_pause(error: Exception, failures: int) -> float:
    requested = error.retry_after_seconds if isinstance(error, PushMetricsUnavailableError) else None
    seconds = LIST_BACKOFF.compute_wait(failures) or 0.0
    return max(seconds, min(requested or 0.0, LONGEST_RETRY_AFTER_SECONDS))


def _keep(kept: dict[K, V], key: K, value: V, *, limit: int = KEPT_RUNS) -> None:
    """Add a value to those that are kept, and drop the oldest of too many."""
    kept.pop(key, None)
    kept[key] = value
    if len(kept) > limit:
        del kept[next(iter(kept))]


# Each watcher builds its own source, so the shared list can only be kept here.
_lists: WeakKeyDictionary[asyncio.AbstractEventLoop, WeakSet[RunList]] = WeakKeyDictionary()


def find_run_list(settings: PushMetricsSettings) -> RunList:
    """Find the list of a connection in this event loop; create it if there is none."""
    known = _lists.setdefault(asyncio.get_running_loop(), WeakSet())
    found = next((runs for runs in known if runs.settings == settings), None)
    if found is None:
        found = RunList(settings)
        known.add(found)
    return found
