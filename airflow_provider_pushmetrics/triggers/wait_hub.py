"""
All deferred waits of one triggerer on one connection, behind one long poll and one poll of the API.

A wait looks by itself once at its end only; before that, it is told. Whoever comes late is first told what
the inbox already has.
"""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Callable, Collection
from typing import Any
from weakref import WeakKeyDictionary

from airflow_provider_pushmetrics.client import calls, feed, waits
from airflow_provider_pushmetrics.client.feed import Receiver
from airflow_provider_pushmetrics.client.models import FeedPage, Run
from airflow_provider_pushmetrics.client.retry_policy import ONE_ATTEMPT
from airflow_provider_pushmetrics.client.wait_budget import (
    DEFAULT_POLL_INTERVAL_SECONDS,
    FailureBackoff,
    WaitBudget,
)
from airflow_provider_pushmetrics.event_matching import EventFilter
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsApiError,
    PushMetricsLastLookError,
    PushMetricsParameterError,
    PushMetricsUnavailableError,
)
from airflow_provider_pushmetrics.hooks.async_client import PushMetricsAsyncClient, open_async_transport
from airflow_provider_pushmetrics.hooks.settings import PushMetricsSettings
from airflow_provider_pushmetrics.triggers.wait_index import Waiter, Waiters

LAST_LOOK_SECONDS = 60.0
"""How long the last looks of all whose deadline passes at once may take together."""

REWIND_EVENTS = 1000
"""The feed goes back for a newcomer by so many events, ten pages, at the most; beyond, he asks by himself."""

FEW_RUNS = 3
"""So many runs are asked for one by one; of more, the list of the newest runs is asked first."""

LISTED_RUNS = 1000
SINGLE_RUNS = 100
"""How many runs that the list does not show are asked for in one round; the others have the next ones."""


class SharedWaits:
    """
    One feed for all who wait on a connection, in one event loop; it lives as long as somebody waits.

    :param settings: The connection.
    """

    def __init__(self, settings: PushMetricsSettings) -> None:
        self.settings = settings
        self._waiters = Waiters()
        self._newcomers: dict[Waiter, None] = {}  # in their order, and left at once
        self._newcomer_came = asyncio.Event()
        self._new_runs: set[int] = set()
        self._run_came = asyncio.Event()
        self._position: int | None = None
        self._event_name: str | None = None
        self._opened: asyncio.Future[PushMetricsAsyncClient] = asyncio.get_running_loop().create_future()
        self._last_looks = asyncio.Semaphore(1)
        self._failure: PushMetricsUnavailableError | None = None
        # An empty context: what is logged here is not about the trigger that happened to come first.
        self._task = asyncio.create_task(self._run(), context=contextvars.Context())
        self._task.add_done_callback(self._tell_end)

    def count_waiters(self) -> int:
        """Count those who wait."""
        return len(self._waiters)

    async def wait(self, waiter: Waiter) -> Any | None:
        """Wait until somebody is told what he wants; None if his deadline passed."""
        self._join(waiter)
        remaining = waiter.budget.compute_remaining()
        try:
            async with asyncio.timeout(None if remaining == float("inf") else max(0.0, remaining)):
                return await waiter.found
        except TimeoutError:
            return await self._look_at_last(waiter)
        finally:
            await self._leave(waiter)

    async def _look_at_last(self, waiter: Waiter) -> Any | None:
        """
        Look once more, so that what came in the last moment is not called late.

        :raises PushMetricsLastLookError: if that failed, or took too long after others had failed.
        """
        try:
            async with asyncio.timeout(LAST_LOOK_SECONDS), self._last_looks:
                client = await asyncio.shield(self._opened)
                return await client.call(waiter.look(client.credentials))
        except TimeoutError:
            if self._failure is None:
                return None
            raise PushMetricsLastLookError(str(self._failure)) from None
        except PushMetricsUnavailableError as error:
            raise PushMetricsLastLookError(str(error), status_code=error.status_code) from None

    def _join(self, waiter: Waiter) -> None:
        self._waiters.add(waiter)
        if waiter.run_id is not None:
            self._new_runs.add(waiter.run_id)
            self._run_came.set()
        if waiter.poll is not None:
            self._run_came.set()
            return
        is_covered = self._event_name in (None, waiter.wanted.event)
        if self._position is None or waiter.after < self._position or not is_covered:
            self._newcomers[waiter] = None
            self._newcomer_came.set()

    async def _leave(self, waiter: Waiter) -> None:
        self._waiters.remove(waiter)
        self._newcomers.pop(waiter, None)
        waiter.close()
        if not self._waiters:
            _forget(self)
            await _end([self._task])

    def _tell_end(self, task: asyncio.Task[None]) -> None:
        """Let nobody wait for what has ended by a fault of its own."""
        _forget(self)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):
            for waiter in self._waiters:
                waiter.fail(error)
            if not self._opened.done():
                self._opened.set_exception(error)
                self._opened.exception()  # whoever still wants it is told; nobody need

    async def _run(self) -> None:
        async with open_async_transport(self.settings) as transport:
            client = PushMetricsAsyncClient(self.settings, transport)
            self._opened.set_result(client)
            followers = [self._ask_api(client)]
            if self.settings.receiver is not None:
                followers.append(self._follow_inbox(client, self.settings.receiver))
            tasks = [asyncio.ensure_future(follower) for follower in followers]
            try:
                await asyncio.gather(*tasks)
            finally:
                await _end(tasks)

    # The inbox

    async def _follow_inbox(self, client: PushMetricsAsyncClient, receiver: Receiver) -> None:
        backoff = FailureBackoff(WaitBudget())
        while True:
            try:
                if self._position is None:
                    self._position = await client.call(feed.fetch_cursor(receiver, ONE_ATTEMPT))
                await self._greet(client, receiver)
                page = await self._poll(client, receiver)
            except PushMetricsUnavailableError as error:
                await self._back_off(backoff, error, lambda waiter: waiter.run_id is None)
                continue
            backoff.reset()
            self._failure = None
            if page is not None:
                self._waiters.dispatch(page.events)
                self._position = page.cursor

    async def _greet(self, client: PushMetricsAsyncClient, receiver: Receiver) -> None:
        """Let the feed begin where newcomers want it, or tell them one by one what the inbox has."""
        assert self._position is not None
        self._newcomer_came.clear()
        self._event_name = self._waiters.find_common_event()
        start = self._position
        while self._newcomers:
            waiter = next(iter(self._newcomers))
            if start - waiter.after <= REWIND_EVENTS:
                self._position = min(self._position, waiter.after)
            elif not waiter.found.done():
                await self._catch_up(client, receiver, waiter, until=start)
            self._newcomers.pop(waiter, None)

    async def _catch_up(
        self, client: PushMetricsAsyncClient, receiver: Receiver, waiter: Waiter, *, until: int
    ) -> None:
        while waiter.after < until and not waiter.found.done():
            call = feed.fetch_events(receiver, waiter.wanted, after=waiter.after, limit=1, policy=ONE_ATTEMPT)
            page = await client.call(call)
            for event in page.events:
                waiter.offer(event)
            if page.cursor <= waiter.after:
                return
            waiter.after = page.cursor

    async def _poll(self, client: PushMetricsAsyncClient, receiver: Receiver) -> FeedPage | None:
        """Fetch the next page; None if a newcomer wants to be greeted first."""
        assert self._position is not None
        wanted = EventFilter(self._event_name)
        call = waits.poll_page(receiver, wanted, after=self._position, budget=WaitBudget(), limit=100)
        poll = asyncio.ensure_future(client.call(call))
        newcomer = asyncio.ensure_future(self._newcomer_came.wait())
        try:
            await asyncio.wait((poll, newcomer), return_when=asyncio.FIRST_COMPLETED)
            return poll.result() if poll.done() else None
        finally:
            await _end((poll, newcomer))

    # The API

    async def _ask_api(self, client: PushMetricsAsyncClient) -> None:
        backoff = FailureBackoff(WaitBudget())
        next_round = time.monotonic()
        while True:
            is_round = await self._wait_for_round(next_round)
            asked, self._new_runs = self._new_runs, set()
            try:
                await self._look_at_runs(client, self._waiters.list_runs() if is_round else asked)
                if is_round:
                    await self._look_at_polls(client)
            except PushMetricsUnavailableError as error:
                self._new_runs |= asked
                await self._back_off(backoff, error, lambda waiter: self.settings.receiver is None)
                self._run_came.set()
                continue
            backoff.reset()
            self._failure = None
            if is_round:
                next_round = time.monotonic() + self._compute_interval()

    async def _wait_for_round(self, next_round: float) -> bool:
        """Wait for a newcomer, or until all are due; tell whether they are."""
        try:
            async with asyncio.timeout(max(0.0, next_round - time.monotonic())):
                await self._run_came.wait()
        except TimeoutError:
            if not self._waiters.list_runs() and not self._waiters.list_polls():
                await self._run_came.wait()
        self._run_came.clear()
        return time.monotonic() >= next_round

    def _compute_interval(self) -> float:
        """Ask as often as the most impatient wants; rarely where webhooks tell."""
        if self.settings.receiver is not None:
            return feed.LONG_POLL_SECONDS
        intervals = (
            waiter.budget.poll_interval_seconds
            for waiter in self._waiters
            if waiter.run_id is not None or waiter.poll is not None
        )
        return min(intervals, default=DEFAULT_POLL_INTERVAL_SECONDS)

    async def _look_at_runs(self, client: PushMetricsAsyncClient, run_ids: set[int]) -> None:
        """Ask how runs stand: by the list of the newest first, then for those that it does not show."""
        remaining = run_ids & self._waiters.list_runs()
        if len(remaining) > FEW_RUNS:
            listed = await self._list_runs(client)
            remaining -= {run.id for run in listed}
            for run in listed:
                self._tell_run(run)
        for run_id in sorted(remaining, key=self._find_last_asked)[:SINGLE_RUNS]:
            await self._look_at_run(client, run_id)

    async def _look_at_polls(self, client: PushMetricsAsyncClient) -> None:
        """Ask for those who know no run: one list for all who look at the same one."""
        lists: dict[int | None, tuple[Run, ...]] = {}
        for waiter in self._waiters.list_polls():
            poll, listed = waiter.poll, None
            assert poll is not None
            try:
                if poll.needs_list:
                    report_id = poll.wanted.report_id
                    if report_id not in lists:
                        lists[report_id] = await client.call(poll.fetch_list(client.credentials))
                    listed = lists[report_id]
                waiter.tell(await client.call(poll.look(client.credentials, listed)))
            except PushMetricsUnavailableError:
                raise
            except (PushMetricsApiError, PushMetricsParameterError) as error:
                waiter.fail(error)

    async def _list_runs(self, client: PushMetricsAsyncClient) -> tuple[Run, ...]:
        try:
            return await client.call(calls.fetch_newest_runs(client.credentials, LISTED_RUNS, ONE_ATTEMPT))
        except PushMetricsUnavailableError:
            raise
        except PushMetricsApiError:
            return ()  # who may not list runs may still see each one; if not, that says why

    async def _look_at_run(self, client: PushMetricsAsyncClient, run_id: int) -> None:
        for waiter in self._waiters.find_by_run(run_id):
            waiter.asked_at = time.monotonic()
        try:
            self._tell_run(await client.call(calls.fetch_run(client.credentials, run_id, ONE_ATTEMPT)))
        except PushMetricsUnavailableError:
            raise
        except PushMetricsApiError as error:
            for waiter in self._waiters.find_by_run(run_id):
                waiter.fail(error)

    def _tell_run(self, run: Run) -> None:
        for waiter in self._waiters.find_by_run(run.id):
            waiter.tell(waiter.read_run(run))

    def _find_last_asked(self, run_id: int) -> float:
        return min((waiter.asked_at for waiter in self._waiters.find_by_run(run_id)), default=0.0)

    async def _back_off(
        self,
        backoff: FailureBackoff,
        error: PushMetricsUnavailableError,
        depends: Callable[[Waiter], bool],
    ) -> None:
        """Pause after a failure; after too many in a row, end the waits that nobody else can end."""
        self._failure = error
        try:
            pause = backoff.compute_pause(error)
        except PushMetricsUnavailableError:
            backoff.reset()
            for waiter in self._waiters:
                if depends(waiter):
                    waiter.fail(error)
        else:
            await asyncio.sleep(pause.seconds)


async def _end(tasks: Collection[asyncio.Future[Any]]) -> None:
    """End tasks and wait until they have let go of their connections."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # seen: asyncio would report one that nobody has asked for


# Triggers are built anew for each wait and know nothing of each other: what they share can only be kept here.
_shared: WeakKeyDictionary[asyncio.AbstractEventLoop, list[SharedWaits]] = WeakKeyDictionary()


def find_shared(settings: PushMetricsSettings) -> SharedWaits:
    """Find what waits on a connection, as it is now, in this event loop; make it if there is none."""
    known = _shared.setdefault(asyncio.get_running_loop(), [])
    found = next((shared for shared in known if shared.settings == settings), None)
    if found is None:
        found = SharedWaits(settings)
        known.append(found)
    return found


def list_shared() -> tuple[SharedWaits, ...]:
    """List what waits in this event loop, by connection."""
    return tuple(_shared.get(asyncio.get_running_loop(), ()))


def _forget(shared: SharedWaits) -> None:
    known = _shared.get(asyncio.get_running_loop(), [])
    if shared in known:
        known.remove(shared)
