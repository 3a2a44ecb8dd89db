"""
All deferred waits of one triggerer on one connection, with one long poll and one poll of the API.

A wait polls itself only after its deadline; until then the hub does. A new one first gets what the inbox has.

A rejected token or a 404 counts as an outage, and the connection is read again: a token is changed on both
sides one after the other, and a proxy returns 404 while PushMetrics is being replaced.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from airflow.providers.common.compat.connection import get_async_connection

from airflow_provider_pushmetrics.client import calls, feed, waits
from airflow_provider_pushmetrics.client.feed import Receiver
from airflow_provider_pushmetrics.client.models import FeedPage, Run
from airflow_provider_pushmetrics.client.protocol import Call, T
from airflow_provider_pushmetrics.client.retry_policy import ONE_ATTEMPT, RetryPolicy
from airflow_provider_pushmetrics.client.wait_budget import (
    DEFAULT_FAILURE_POLICY,
    DEFAULT_POLL_INTERVAL_SECONDS,
    FailureBackoff,
    WaitBudget,
    ask_about_run,
)
from airflow_provider_pushmetrics.event_matching import EventFilter
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsApiError,
    PushMetricsLastLookError,
    PushMetricsParameterError,
    PushMetricsRunError,
    PushMetricsUnavailableError,
)
from airflow_provider_pushmetrics.hooks.async_client import PushMetricsAsyncClient, open_async_transport
from airflow_provider_pushmetrics.hooks.masking import aread_settings
from airflow_provider_pushmetrics.hooks.settings import PushMetricsSettings
from airflow_provider_pushmetrics.storable import describe_error
from airflow_provider_pushmetrics.triggers.cancellation import end_tasks
from airflow_provider_pushmetrics.triggers.wait_index import ConnectionChangedError, PendingWait, WaitIndex

log = logging.getLogger(__name__)

LAST_POLLS_SECONDS = 60.0
"""How long the last polls of all waits whose deadlines pass at once may take in all."""


@dataclass(frozen=True)
class HubLimits:
    """
    The limits of one hub.

    :param rewind_events: How many events the feed rewinds for a new wait: ten pages. A wait that begins
        earlier reads those events itself.
    :param few_runs: How many runs are polled one by one; for more, the list of the newest runs is polled
        first.
    :param listed_runs: How many runs that list has.
    :param single_runs: How many runs missing in the list are polled in one round; the others are polled in
        the next rounds.
    :param failures: How failures in a row are spaced, and how many are tolerated.
    """

    rewind_events: int = 1000
    few_runs: int = 3
    listed_runs: int = 1000
    single_runs: int = 100
    failures: RetryPolicy = DEFAULT_FAILURE_POLICY


DEFAULT_LIMITS = HubLimits()


class WaitHub:
    """
    One feed for all waits on a connection, in one event loop; it exists as long as there is a wait.

    :param settings: The connection.
    :param limits: Its limits.
    """

    def __init__(self, settings: PushMetricsSettings, limits: HubLimits = DEFAULT_LIMITS) -> None:
        self.settings = settings
        self._limits = limits
        self._index = WaitIndex()
        self._new_waits: dict[PendingWait, None] = {}  # in their order, and left at once
        self._newcomer_came = asyncio.Event()
        self._new_runs: set[int] = set()
        self._run_came = asyncio.Event()
        self._position: int | None = None
        self._event_name: str | None = None
        self._opened: asyncio.Future[PushMetricsAsyncClient] = asyncio.get_running_loop().create_future()
        self._last_polls = asyncio.Semaphore(1)
        self._failure: PushMetricsApiError | None = None
        # An empty context: its logs do not belong to the trigger that happened to start it.
        self._task = asyncio.create_task(self._run(), context=contextvars.Context())
        self._task.add_done_callback(self._on_end)

    def count_waits(self) -> int:
        return len(self._index)

    async def wait(self, wait: PendingWait) -> Any | None:
        """Wait for the result, or a ``ConnectionChangedError``; None if the deadline passed."""
        self._join(wait)
        remaining = wait.budget.compute_remaining()
        try:
            async with asyncio.timeout(None if remaining == float("inf") else max(0.0, remaining)):
                return await wait.found
        except TimeoutError:
            return await self._poll_after_deadline(wait)
        finally:
            await self._leave(wait)

    async def _poll_after_deadline(self, wait: PendingWait) -> Any | None:
        """
        Poll once more, so that a result of the last moment is not a timeout.

        :raises PushMetricsLastLookError: if that failed, or took too long after others had failed.
        """
        try:
            async with asyncio.timeout(LAST_POLLS_SECONDS), self._last_polls:
                client = await asyncio.shield(self._opened)
                return await client.call(wait.poll_once(client.credentials))
        except TimeoutError:
            if self._failure is None:
                return None
            raise PushMetricsLastLookError(str(self._failure)) from None
        except PushMetricsApiError as error:
            if self._failure is None and not isinstance(error, PushMetricsUnavailableError):
                raise
            raise PushMetricsLastLookError(str(error), status_code=error.status_code) from None

    def _join(self, wait: PendingWait) -> None:
        self._index.add(wait)
        if wait.run_id is not None:
            self._new_runs.add(wait.run_id)
            self._run_came.set()
        if wait.run_poll is not None:
            self._run_came.set()
            return
        is_covered = self._event_name in (None, wait.wanted.event)
        if self._position is None or wait.after < self._position or not is_covered:
            self._new_waits[wait] = None
            self._newcomer_came.set()

    async def _leave(self, wait: PendingWait) -> None:
        self._index.remove(wait)
        self._new_waits.pop(wait, None)
        wait.close()
        if not self._index:
            _remove_hub(self)
            await end_tasks([self._task])

    def _on_end(self, task: asyncio.Task[None]) -> None:
        """Fail all waits if the hub ended by an error."""
        _remove_hub(self)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):
            _fail(self._index, error)
            if not self._opened.done():
                self._opened.set_exception(error)
                self._opened.exception()  # whoever awaits it gets it; asyncio need not report it

    async def _run(self) -> None:
        async with open_async_transport(self.settings) as transport:
            client = PushMetricsAsyncClient(self.settings, transport)
            self._opened.set_result(client)
            followers = [self._poll_api(client)]
            if self.settings.receiver is not None:
                followers.append(self._follow_inbox(client, self.settings.receiver))
            tasks = [asyncio.ensure_future(follower) for follower in followers]
            try:
                await asyncio.gather(*tasks)
            finally:
                await end_tasks(tasks)

    # The inbox

    async def _follow_inbox(self, client: PushMetricsAsyncClient, receiver: Receiver) -> None:
        backoff = FailureBackoff(WaitBudget(failures=self._limits.failures))
        while True:
            try:
                if self._position is None:
                    self._position = await client.call(feed.fetch_cursor(receiver, ONE_ATTEMPT))
                await self._add_new_waits(client, receiver)
                page = await self._poll(client, receiver)
            except PushMetricsApiError as error:
                await self._back_off(backoff, error, [wait for wait in self._index if wait.run_id is None])
                continue
            backoff.reset()
            self._failure = None
            if page is not None:
                self._index.dispatch(page.events)
                self._position = page.cursor

    async def _add_new_waits(self, client: PushMetricsAsyncClient, receiver: Receiver) -> None:
        """Rewind the feed for new waits; for those far behind, read the inbox separately."""
        assert self._position is not None
        self._newcomer_came.clear()
        self._event_name = self._index.find_common_event()
        start = self._position
        while self._new_waits:
            wait = next(iter(self._new_waits))
            if start - wait.after <= self._limits.rewind_events:
                self._position = min(self._position, wait.after)
            elif not wait.found.done():
                await client.call(wait.catch_up(receiver, until=start))
            self._new_waits.pop(wait, None)

    async def _poll(self, client: PushMetricsAsyncClient, receiver: Receiver) -> FeedPage | None:
        """Fetch the next page; None if a new wait must be added first."""
        assert self._position is not None
        wanted = EventFilter(self._event_name)
        call = waits.poll_page(receiver, wanted, after=self._position, budget=WaitBudget(), limit=100)
        poll = asyncio.ensure_future(client.call(call))
        newcomer = asyncio.ensure_future(self._newcomer_came.wait())
        try:
            await asyncio.wait((poll, newcomer), return_when=asyncio.FIRST_COMPLETED)
            return poll.result() if poll.done() else None
        finally:
            await end_tasks((poll, newcomer))

    # The API

    async def _poll_api(self, client: PushMetricsAsyncClient) -> None:
        backoff = FailureBackoff(WaitBudget(failures=self._limits.failures))
        next_round = time.monotonic()
        while True:
            is_round = await self._wait_for_round(next_round)
            asked, self._new_runs = self._new_runs, set()
            try:
                await self._poll_runs(client, self._index.list_runs() if is_round else asked)
                if is_round:
                    await self._poll_lists(client)
            except PushMetricsApiError as error:
                self._new_runs |= asked
                has_other = self.settings.receiver and isinstance(error, PushMetricsUnavailableError)
                dependents = [] if has_other else [wait for wait in self._index if wait.polls_api]
                await self._back_off(backoff, error, dependents)
                self._run_came.set()
                continue
            backoff.reset()
            self._failure = None
            if is_round:
                next_round = time.monotonic() + self._compute_interval()

    async def _wait_for_round(self, next_round: float) -> bool:
        """Wait for a new run, or until all runs are due; return whether they are."""
        try:
            async with asyncio.timeout(max(0.0, next_round - time.monotonic())):
                await self._run_came.wait()
        except TimeoutError:
            if not self._index.list_runs() and not self._index.list_polls():
                await self._run_came.wait()
        self._run_came.clear()
        return time.monotonic() >= next_round

    def _compute_interval(self) -> float:
        """Return the shortest interval of the waits; a long one if there is a receiver."""
        if self.settings.receiver is not None:
            return feed.LONG_POLL_SECONDS
        intervals = (
            wait.budget.poll_interval_seconds
            for wait in self._index
            if wait.run_id is not None or wait.run_poll is not None
        )
        return min(intervals, default=DEFAULT_POLL_INTERVAL_SECONDS)

    async def _poll_runs(self, client: PushMetricsAsyncClient, run_ids: set[int]) -> None:
        """Poll runs: first the list of the newest, then those that it does not contain."""
        remaining = run_ids & self._index.list_runs()
        if len(remaining) > self._limits.few_runs:
            listed = await self._list_runs(client)
            remaining -= {run.id for run in listed}
            for run in listed:
                self._resolve_run(run)
        for run_id in sorted(remaining, key=self._find_last_poll)[: self._limits.single_runs]:
            await self._poll_run(client, run_id)

    async def _poll_lists(self, client: PushMetricsAsyncClient) -> None:
        """Poll for the waits without a run id: one list for all that use the same one."""
        lists: dict[int | None, tuple[Run, ...]] = {}
        for wait in self._index.list_polls():
            try:
                await self._poll_list(client, wait, lists)
            except (PushMetricsParameterError, PushMetricsRunError) as error:
                wait.fail(error)

    async def _poll_list(
        self, client: PushMetricsAsyncClient, wait: PendingWait, lists: dict[int | None, tuple[Run, ...]]
    ) -> None:
        poll, listed = wait.run_poll, lists.get(wait.wanted.report_id)
        assert poll is not None
        if poll.needs_list and listed is None:
            after = self._index.find_reached(wait.wanted.report_id)
            listed = await self._ask(client, lambda: poll.fetch_list(client.credentials, after), wait.fail)
            if listed is None:
                return
            lists[wait.wanted.report_id] = listed
        wait.resolve(await self._ask(client, lambda: poll.poll(client.credentials, listed), wait.fail))

    async def _ask(
        self,
        client: PushMetricsAsyncClient,
        build: Callable[[], Call[T | None]],
        fail: Callable[[PushMetricsApiError], None],
    ) -> T | None:
        """
        Make a request for some waits; fail them if it is refused although PushMetrics answers others.

        :raises PushMetricsApiError: if PushMetrics does not answer, or rejects the API token.
        """
        return await client.call(ask_about_run(client.credentials, build, fail, ONE_ATTEMPT))

    async def _list_runs(self, client: PushMetricsAsyncClient) -> tuple[Run, ...]:
        try:
            return await client.call(
                calls.fetch_newest_runs(client.credentials, self._limits.listed_runs, ONE_ATTEMPT)
            )
        except PushMetricsUnavailableError:
            raise
        except PushMetricsApiError:
            return ()  # a token that may not list runs may still read each one

    async def _poll_run(self, client: PushMetricsAsyncClient, run_id: int) -> None:
        for wait in self._index.find_by_run(run_id):
            wait.asked_at = time.monotonic()
        build = partial(calls.fetch_run, client.credentials, run_id, ONE_ATTEMPT)
        run = await self._ask(client, build, lambda error: _fail(self._index.find_by_run(run_id), error))
        if run is not None:
            self._resolve_run(run)

    def _resolve_run(self, run: Run) -> None:
        for wait in self._index.find_by_run(run.id):
            wait.offer_run(run)

    def _find_last_poll(self, run_id: int) -> float:
        return min((wait.asked_at for wait in self._index.find_by_run(run_id)), default=0.0)

    async def _back_off(
        self, backoff: FailureBackoff, error: PushMetricsApiError, dependents: Iterable[PendingWait]
    ) -> None:
        """Pause after a failure; after too many in a row, fail the waits that depend on this server."""
        self._failure = error
        if not isinstance(error, PushMetricsUnavailableError) and await self._has_changed():
            _fail(self._index, ConnectionChangedError(str(error)))
        try:
            pause = backoff.compute_pause(error)
        except PushMetricsApiError:
            backoff.reset()
            _fail(dependents, error)
        else:
            await asyncio.sleep(pause.seconds)

    async def _has_changed(self) -> bool:
        """Return whether the connection has changed since the hub began; False if it cannot be read."""
        try:
            connection = await get_async_connection(self.settings.conn_id)
            return await aread_settings(connection) != self.settings
        except Exception as error:  # whatever Airflow raises: the refusal is tolerated for a while
            log.warning("The connection %r cannot be read: %s", self.settings.conn_id, describe_error(error))
            return False


def _fail(waits_to_fail: Iterable[PendingWait], error: Exception) -> None:
    for wait in waits_to_fail:
        wait.fail(error)


# Each wait builds its own trigger, so shared state can only be kept here.
_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, list[WaitHub]] = WeakKeyDictionary()


def find_hub(settings: PushMetricsSettings, limits: HubLimits = DEFAULT_LIMITS) -> WaitHub:
    """Find the hub of a connection in this event loop; create it if there is none or the settings changed."""
    known = _hubs.setdefault(asyncio.get_running_loop(), [])
    found = next((hub for hub in known if hub.settings == settings), None)
    if found is None:
        found = WaitHub(settings, limits)
        known.append(found)
    return found


def list_hubs() -> tuple[WaitHub, ...]:
    """List the hubs of this event loop."""
    return tuple(_hubs.get(asyncio.get_running_loop(), ()))


def _remove_hub(hub: WaitHub) -> None:
    known = _hubs.get(asyncio.get_running_loop(), [])
    if hub in known:
        known.remove(hub)
