"""The list of runs of a connection: one poll for all watchers in an event loop."""

from __future__ import annotations

import asyncio
import copy
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import partial
from weakref import WeakKeyDictionary, WeakSet

from airflow_provider_pushmetrics.client import calls
from airflow_provider_pushmetrics.client.models import FeedEvent, Run
from airflow_provider_pushmetrics.client.protocol import Call, T
from airflow_provider_pushmetrics.client.retry_policy import ONE_ATTEMPT, RetryPolicy
from airflow_provider_pushmetrics.client.run_polling import RunListing, build_report_event, fetch_runs_after
from airflow_provider_pushmetrics.exceptions import PushMetricsApiError, PushMetricsUnavailableError
from airflow_provider_pushmetrics.hooks.async_client import PushMetricsAsyncClient
from airflow_provider_pushmetrics.hooks.settings import PushMetricsSettings
from airflow_provider_pushmetrics.storable import describe_error

LIST_BACKOFF = RetryPolicy(attempts=1_000_000, base_seconds=2.0, max_seconds=120.0)
LONGEST_RETRY_AFTER_SECONDS = 3600.0
"""The longest ``Retry-After`` that is honoured."""

MAX_SINGLE_RUNS = 100
"""How many runs that are not in the list are requested in one round; the others follow in the next ones."""

KEPT_EVENTS = 1000


class RunList:
    """
    What the API of a connection has returned, for all watchers that poll it.

    After a failure it sends no request until the pause is over; until then every watcher gets the same error.

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
        self._requested_at: dict[int, float] = {}
        self._events: OrderedDict[int, FeedEvent] = OrderedDict()
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
        self, client: PushMetricsAsyncClient, run_ids: Iterable[int]
    ) -> dict[int, Run | None]:
        """
        Fetch runs by their numbers, those first that were not requested for the longest time.

        :return: The runs; None for one that PushMetrics no longer has, or hides from the API token.
        """
        found: dict[int, Run | None] = {}
        oldest_first = sorted(run_ids, key=lambda run_id: (self._requested_at.get(run_id, 0.0), run_id))
        for run_id in oldest_first[:MAX_SINGLE_RUNS]:
            self._requested_at[run_id] = self._clock()
            answer = await self._call_about_run(client, partial(calls.fetch_run, client.credentials, run_id))
            found[run_id] = None if isinstance(answer, PushMetricsApiError) else answer
            if not isinstance(answer, Run) or answer.status.is_finished:
                del self._requested_at[run_id]
        return found

    async def fetch_event(self, client: PushMetricsAsyncClient, run: Run) -> FeedEvent | str | None:
        """
        Fetch the event of a run that has ended.

        :return: The event; None if its outputs are not available yet; the reason, as a text, if PushMetrics
            has no such run or hides it from the API token.
        :raises PushMetricsApiError: if PushMetrics does not answer.
        """
        async with self._turn:
            if run.id in self._events:
                return self._events[run.id]
            build = partial(build_report_event, client.credentials, run, needs_outputs=True)
            answer = await self._call_about_run(client, build)
            if isinstance(answer, PushMetricsApiError):
                return describe_error(answer)
            if answer is None:
                return None
            event = answer.model_copy(update={"received_at": datetime.now(UTC).isoformat()})
            self._events[run.id] = event
            if len(self._events) > KEPT_EVENTS:
                self._events.popitem(last=False)
            return event

    async def _call_about_run(
        self, client: PushMetricsAsyncClient, build: Callable[[], Call[T]]
    ) -> T | PushMetricsApiError:
        """
        Make a request for one run; return the error if it is about this run.

        A proxy returns 404 or a page while PushMetrics is unavailable. So a refusal counts only if
        PushMetrics returns the list of runs and refuses again.
        """
        for _ in range(2):
            try:
                return await self._call(client, build(), counts=False)
            except PushMetricsUnavailableError as error:
                self._pause(error)
                raise
            except PushMetricsApiError as error:
                refusal = error
            await self._call(client, calls.fetch_newest_runs(client.credentials, 1, ONE_ATTEMPT))
        return refusal

    async def _call(self, client: PushMetricsAsyncClient, call: Call[T], *, counts: bool = True) -> T:
        if self._failure is not None and self._clock() < self._resumes_at:
            call.close()
            raise copy.copy(self._failure)
        try:
            answer = await client.call(call)
        except PushMetricsApiError as error:
            if counts:
                self._pause(error)
            raise
        self._failures, self._failure = 0, None
        return answer

    def _pause(self, error: PushMetricsApiError) -> None:
        self._failures += 1
        self._failure = copy.copy(error)
        requested = error.retry_after_seconds if isinstance(error, PushMetricsUnavailableError) else None
        seconds = LIST_BACKOFF.compute_wait(self._failures) or 0.0
        self._resumes_at = self._clock() + max(seconds, min(requested or 0.0, LONGEST_RETRY_AFTER_SECONDS))


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
