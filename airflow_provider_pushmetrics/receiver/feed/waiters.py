"""
Waking readers at the moment of a commit.

Commits are announced from other threads; readers wait on event loops, and several loops may serve one app.
Each reader is woken on its own loop, and found by its filter: ten thousand others cost nothing.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from airflow_provider_pushmetrics.event_matching import EventFilter, FilterIndex, Subject
from airflow_provider_pushmetrics.receiver.inbox.records import IncomingWebhook


class Waiter:
    """
    One waiting reader; belongs to the running event loop.

    :param wanted: The events that wake it.
    """

    def __init__(self, wanted: EventFilter) -> None:
        self.wanted = wanted
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """End the current wait, or the next one; called on the reader's loop."""
        self._woken.set()

    def clear(self) -> None:
        """Clear earlier wakes. Call this, then read the inbox, then wait: nothing is missed in this order."""
        self._woken.clear()

    async def wait(self, timeout_seconds: float) -> bool:
        """Wait to be woken; return whether it was."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._woken.wait()
        except TimeoutError:
            return False
        return True


class LoopWaiters:
    """
    The waiting readers of one event loop, indexed by their filters.

    Used only on that loop, and so without a lock.
    """

    def __init__(self) -> None:
        self._waiters: FilterIndex[Waiter] = FilterIndex()
        self.count = 0

    def add(self, waiter: Waiter) -> None:
        """Add a reader."""
        self._waiters.add(waiter.wanted, waiter)
        self.count += 1

    def remove(self, waiter: Waiter) -> None:
        """Remove a reader."""
        self._waiters.remove(waiter.wanted, waiter)
        self.count -= 1

    def wake_wanting(self, committed: Sequence[Subject | IncomingWebhook]) -> None:
        """Wake all readers whose filters match one of these events."""
        for waiter in self._waiters.find(committed):
            waiter.wake()

    def wake_everyone(self) -> None:
        """Wake all readers of this loop."""
        for waiter in self._waiters:
            waiter.wake()


class Notifier:
    """The waiting readers on every event loop of this process."""

    def __init__(self) -> None:
        self._loops: dict[asyncio.AbstractEventLoop, LoopWaiters] = {}
        self._lock = threading.Lock()
        self._generation = 0
        self.is_closed = False

    @contextmanager
    def wait_for(self, wanted: EventFilter) -> Iterator[Waiter]:
        """Add a reader of the running loop while the block lasts."""
        waiter, loop = Waiter(wanted), asyncio.get_running_loop()
        with self._lock:
            waiters = self._loops.setdefault(loop, LoopWaiters())
            waiters.add(waiter)
        try:
            yield waiter
        finally:
            with self._lock:
                waiters.remove(waiter)
                if not waiters.count:
                    del self._loops[loop]

    def count_waiters(self, loop: asyncio.AbstractEventLoop | None = None) -> int:
        """Count the readers on one loop or on all."""
        with self._lock:
            if loop is not None:
                return self._loops[loop].count if loop in self._loops else 0
            return sum(waiters.count for waiters in self._loops.values())

    def get_generation(self) -> int:
        """
        Get the number of announcements, whether or not there was a reader.

        A page that was read before an announcement may lack the announced events.
        """
        return self._generation

    def announce(self, committed: Sequence[Subject | IncomingWebhook]) -> None:
        """Wake all readers that match one of the committed events; called from any thread."""
        for loop, waiters in self._begin_announcement():
            _call_soon(loop, waiters.wake_wanting, committed)

    def wake_all(self) -> None:
        """Wake all readers: the committed events are unknown, or the receiver stops."""
        for loop, waiters in self._begin_announcement():
            _call_soon(loop, waiters.wake_everyone)

    def close(self) -> None:
        """End every wait, now and from now on."""
        self.is_closed = True
        self.wake_all()

    def _begin_announcement(self) -> list[tuple[asyncio.AbstractEventLoop, LoopWaiters]]:
        with self._lock:
            self._generation += 1
            return list(self._loops.items())


def _call_soon(loop: asyncio.AbstractEventLoop, function: Callable[..., None], *args: object) -> None:
    try:
        loop.call_soon_threadsafe(function, *args)
    except RuntimeError:
        return  # the loop is closed
