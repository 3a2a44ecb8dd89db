"""The feed: pages of events, and the wait for the first one that matches."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from airflow_provider_pushmetrics.event_matching import EventFilter
from airflow_provider_pushmetrics.receiver.feed.waiters import Notifier
from airflow_provider_pushmetrics.receiver.feed.watcher import InboxWatch
from airflow_provider_pushmetrics.receiver.inbox.records import EventPage
from airflow_provider_pushmetrics.receiver.inbox.store import Inbox

RunBlocking = Callable[..., Awaitable[Any]]


class Feed:
    """
    Serves the readers of one inbox.

    Events of this process wake a waiting reader at their commit; those of other processes when the database
    signals them. Concurrent readers with the same request share one query.

    :param inbox: The inbox.
    :param notifier: The waiting readers.
    :param watch: Watches the database while there are waiting readers.
    :param run_blocking: Runs a function off the event loop.
    """

    def __init__(
        self, inbox: Inbox, notifier: Notifier, watch: InboxWatch, run_blocking: RunBlocking
    ) -> None:
        self._inbox = inbox
        self._notifier = notifier
        self._watch = watch
        self._run_blocking = run_blocking
        self._under_way: dict[tuple[Any, ...], asyncio.Task[EventPage]] = {}

    async def fetch(self, wanted: EventFilter, *, after: int, limit: int, wait_seconds: float) -> EventPage:
        """Fetch the events after a cursor; if there are none, wait for the first one."""
        if wait_seconds <= 0:
            return await self._fetch_page(wanted, after, limit)
        deadline = time.monotonic() + wait_seconds
        with self._notifier.wait_for(wanted) as waiter:
            self._watch.ask()
            while True:
                waiter.clear()
                page = await self._fetch_shared_page(wanted, after, limit)
                if page.events or page.cursor < after or self._notifier.is_closed:
                    return page
                if not await waiter.wait(deadline - time.monotonic()):
                    return page
                after = page.cursor

    async def _fetch_page(self, wanted: EventFilter, after: int, limit: int) -> EventPage:
        page: EventPage = await self._run_blocking(self._inbox.fetch_page, wanted, after=after, limit=limit)
        return page

    async def _fetch_shared_page(self, wanted: EventFilter, after: int, limit: int) -> EventPage:
        """
        Fetch a page together with all concurrent readers of the same request.

        The generation excludes a reader who was just woken from a query that began before.
        """
        generation = self._notifier.get_generation()
        key = (asyncio.get_running_loop(), generation, wanted, after, limit)
        task = self._under_way.get(key)
        if task is None:
            task = asyncio.ensure_future(self._fetch_page(wanted, after, limit))
            self._under_way[key] = task
            task.add_done_callback(lambda _: self._under_way.pop(key))
        return await asyncio.shield(task)  # a reader who disconnects does not end it for the others
