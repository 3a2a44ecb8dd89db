"""The feed: pages of events, and the wait for the first one that matches."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from airflow_provider_pushmetrics.receiver.inbox import EventFilter, Inbox, Page
from airflow_provider_pushmetrics.receiver.notifier import Notifier

log = logging.getLogger(__name__)

CHECK_INTERVAL_SECONDS = 0.25
"""How late an event of another process may wake a reader of this one."""

MAX_ANNOUNCED = 1000
"""More new events than this, and it is cheaper to let every waiter look for itself."""

RunBlocking = Callable[..., Awaitable[Any]]


class Feed:
    """
    Serves readers of one inbox.

    Events of this process wake a waiting reader at their commit. Those of other processes are found by a look
    at the newest id, four times a second for all waiters together, and only while somebody waits.

    :param inbox: The inbox.
    :param notifier: Announces this process's commits.
    :param run_blocking: Runs a function off the event loop.
    """

    def __init__(self, inbox: Inbox, notifier: Notifier, run_blocking: RunBlocking) -> None:
        self._inbox = inbox
        self._notifier = notifier
        self._run_blocking = run_blocking
        self._watches: dict[asyncio.AbstractEventLoop, asyncio.Task[None]] = {}

    async def fetch(self, wanted: EventFilter, *, after: int, limit: int, wait_seconds: float) -> Page:
        """Fetch the events after a cursor; when there are none, wait for the first, so long and no longer."""
        if wait_seconds <= 0:
            return await self._fetch_page(wanted, after, limit)
        deadline = time.monotonic() + wait_seconds
        with self._notifier.wait_for(wanted) as waiter:
            async with self._watch_others():
                while True:
                    waiter.clear()
                    page = await self._fetch_page(wanted, after, limit)
                    if page.events or page.cursor < after or self._notifier.is_closed:
                        return page
                    if not await waiter.wait(deadline - time.monotonic()):
                        return page
                    after = page.cursor

    async def _fetch_page(self, wanted: EventFilter, after: int, limit: int) -> Page:
        page: Page = await self._run_blocking(self._inbox.fetch_page, wanted, after=after, limit=limit)
        return page

    @contextlib.asynccontextmanager
    async def _watch_others(self) -> AsyncIterator[None]:
        """Have one task of this loop look for other processes' events while anybody waits on it."""
        loop = asyncio.get_running_loop()
        if loop not in self._watches or self._watches[loop].done():
            self._watches[loop] = loop.create_task(self._watch())
        try:
            yield
        finally:
            if self._notifier.count_waiters(loop) <= 1:  # this one leaves next
                self._watches.pop(loop).cancel()

    async def _watch(self) -> None:
        last_id = None
        while True:
            try:
                last_id = await self._announce_others(last_id)
            except SQLAlchemyError as error:
                log.debug("The inbox cannot be looked at: %s", getattr(error, "orig", error))
            await asyncio.sleep(CHECK_INTERVAL_SECONDS)

    async def _announce_others(self, last_id: int | None) -> int:
        newest: int = await self._run_blocking(self._inbox.fetch_last_id)
        if last_id is None or newest - last_id > MAX_ANNOUNCED:
            # At the first look nobody knows what came since the waiters looked themselves.
            self._notifier.wake_all()
        elif newest > last_id:
            subjects = await self._run_blocking(
                self._inbox.fetch_subjects, after=last_id, limit=MAX_ANNOUNCED
            )
            self._notifier.announce(subjects)
        return newest
