"""
Waking whoever waits, at the moment of a commit.

Commits are announced from other threads; waiters live on event loops, and several may serve one app. Each is
woken on its own loop, and found by what it asked for: ten thousand who wait for something else cost nothing.
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
    One reader that waits; belongs to the running event loop.

    :param wanted: The events that wake it.
    """

    def __init__(self, wanted: EventFilter) -> None:
        self.wanted = wanted
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """End the wait, or the next one; called on the waiter's loop."""
        self._woken.set()

    def clear(self) -> None:
        """Forget earlier wakes. Look into the inbox after this, then wait: nothing is missed that way."""
        self._woken.clear()

    async def wait(self, timeout_seconds: float) -> bool:
        """Wait to be woken; tell whether it was so."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._woken.wait()
        except TimeoutError:
            return False
        return True


class LoopWaiters:
    """
    The waiters of one event loop, by the fields that their filters name and by the values of these.

    Used on that loop alone, and so without a lock.
    """

    def __init__(self) -> None:
        self.generation = 0
        """Changes with every announcement: what was read under an older one may lack what was announced."""
        self._waiters: FilterIndex[Waiter] = FilterIndex()
        self.count = 0

    def add(self, waiter: Waiter) -> None:
        """Let a waiter be found."""
        self._waiters.add(waiter.wanted, waiter)
        self.count += 1

    def remove(self, waiter: Waiter) -> None:
        """Let it be found no more."""
        self._waiters.remove(waiter.wanted, waiter)
        self.count -= 1

    def wake_wanting(self, committed: Sequence[Subject | IncomingWebhook]) -> None:
        """Wake whoever wants one of these events."""
        self.generation += 1
        for waiter in self._waiters.find(committed):
            waiter.wake()

    def wake_everyone(self) -> None:
        """Wake everybody on this loop."""
        self.generation += 1
        for waiter in self._waiters:
            waiter.wake()


class Notifier:
    """Knows who waits, on every event loop of this process."""

    def __init__(self) -> None:
        self._loops: dict[asyncio.AbstractEventLoop, LoopWaiters] = {}
        self._lock = threading.Lock()
        self.is_closed = False

    @contextmanager
    def wait_for(self, wanted: EventFilter) -> Iterator[Waiter]:
        """Have a waiter of the running loop woken for as long as the block lasts."""
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
        """Count who waits, on one loop or on all."""
        with self._lock:
            if loop is not None:
                return self._loops[loop].count if loop in self._loops else 0
            return sum(waiters.count for waiters in self._loops.values())

    def get_generation(self) -> int:
        """Get the number of announcements that the running loop's waiters have heard."""
        waiters = self._loops.get(asyncio.get_running_loop())
        return waiters.generation if waiters else 0

    def announce(self, committed: Sequence[Subject | IncomingWebhook]) -> None:
        """Wake whoever wants one of the events that were just committed; called from any thread."""
        for loop, waiters in self._copy_loops():
            _call_soon(loop, waiters.wake_wanting, committed)

    def wake_all(self) -> None:
        """Wake everybody: nobody knows what was committed elsewhere, or the receiver ends."""
        for loop, waiters in self._copy_loops():
            _call_soon(loop, waiters.wake_everyone)

    def close(self) -> None:
        """End every wait, now and from now on."""
        self.is_closed = True
        self.wake_all()

    def _copy_loops(self) -> list[tuple[asyncio.AbstractEventLoop, LoopWaiters]]:
        with self._lock:
            return list(self._loops.items())


def _call_soon(loop: asyncio.AbstractEventLoop, function: Callable[..., None], *args: object) -> None:
    try:
        loop.call_soon_threadsafe(function, *args)
    except RuntimeError:
        return  # the loop is closed, and nobody waits on it any more
