"""
All deferred waits of one triggerer on one connection, with one long poll and one poll of the API.

A wait polls itself only after its deadline; until then the hub does. A new one first gets what the inbox has.

A rejected token or a 404 counts as an outage, and the connection is read again: a token is changed on both
sides one after the other, and a proxy returns 404 while PushMetrics is being replaced.
"""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any
from weakref import WeakKeyDictionary

from airflow_provider_pushmetrics.client import feed, waits
from airflow_provider_pushmetrics.client.feed import Receiver
from airflow_provider_pushmetrics.client.models import FeedPage
from airflow_provider_pushmetrics.client.retry_policy import ONE_ATTEMPT
from airflow_provider_pushmetrics.client.wait_budget import FailureBackoff, WaitBudget
from airflow_provider_pushmetrics.event_matching import EventFilter
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsApiError,
    PushMetricsLastLookError,
    PushMetricsUnavailableError,
)
from airflow_provider_pushmetrics.hooks.async_client import PushMetricsAsyncClient, open_async_transport
from airflow_provider_pushmetrics.hooks.settings import PushMetricsSettings
from airflow_provider_pushmetrics.triggers.cancellation import end_tasks
from airflow_provider_pushmetrics.triggers.hub.api_polls import ApiPolls
from airflow_provider_pushmetrics.triggers.hub.failures import HubFailures, fail_waits
from airflow_provider_pushmetrics.triggers.hub.limits import DEFAULT_LIMITS, HubLimits
from airflow_provider_pushmetrics.triggers.hub.wait_index import PendingWait, WaitIndex

LAST_POLLS_SECONDS = 60.0
"""How long the last polls of all waits whose deadlines pass at once may take in all."""


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
        self._failures = HubFailures(settings, self._index)
        self._api_polls = ApiPolls(settings, self._index, limits, self._failures)
        self._position: int | None = None
        self._event_name: str | None = None
        self._opened: asyncio.Future[PushMetricsAsyncClient] = asyncio.get_running_loop().create_future()
        self._last_polls = asyncio.Semaphore(1)
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
            if (failure := self._find_failure(wait)) is None:
                return None
            raise PushMetricsLastLookError(str(failure)) from None
        except PushMetricsApiError as error:
            if self._find_failure(wait) is None and not isinstance(error, PushMetricsUnavailableError):
                raise
            raise PushMetricsLastLookError(str(error), status_code=error.status_code) from None

    def _find_failure(self, wait: PendingWait) -> PushMetricsApiError | None:
        """Find why the latest polls for a wait failed; None if they did not."""
        return wait.failure or self._failures.latest

    def _join(self, wait: PendingWait) -> None:
        self._index.add(wait)
        self._api_polls.add(wait)
        if wait.run_poll is not None:
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
            fail_waits(self._index, error)
            if not self._opened.done():
                self._opened.set_exception(error)
                self._opened.exception()  # whoever awaits it gets it; asyncio need not report it

    async def _run(self) -> None:
        async with open_async_transport(self.settings) as transport:
            client = PushMetricsAsyncClient(self.settings, transport)
            self._opened.set_result(client)
            followers = [self._api_polls.follow(client)]
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
                dependents = [wait for wait in self._index if wait.run_id is None]
                await self._failures.back_off(backoff, error, dependents)
                continue
            if page is not None:
                backoff.reset()
                self._failures.clear()
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
        finally:
            await end_tasks((poll, newcomer))
        page = None if poll.cancelled() else poll.result()
        # Not before: a wait that joins while the tasks end would get this page before its first event.
        return None if self._newcomer_came.is_set() else page


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
