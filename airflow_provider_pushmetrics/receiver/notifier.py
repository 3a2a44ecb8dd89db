"""
Waking whoever waits, at the moment of a commit.

Commits are announced from the writer's thread; waiters live on event loops, and several may serve one app.
Each waiter is woken on its own loop, and only for events that it asked for.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from airflow_provider_pushmetrics.receiver.deliveries import Delivery
from airflow_provider_pushmetrics.receiver.inbox import EventFilter, Subject


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


class Notifier:
    """Knows who waits, on every event loop of this process."""

    def __init__(self) -> None:
        self._waiters: dict[asyncio.AbstractEventLoop, set[Waiter]] = {}
        self._lock = threading.Lock()
        self.is_closed = False

    @contextmanager
    def wait_for(self, wanted: EventFilter) -> Iterator[Waiter]:
        """Have a waiter of the running loop woken for as long as the block lasts."""
        waiter, loop = Waiter(wanted), asyncio.get_running_loop()
        with self._lock:
            self._waiters.setdefault(loop, set()).add(waiter)
        try:
            yield waiter
        finally:
            with self._lock:
                self._waiters[loop].discard(waiter)
                if not self._waiters[loop]:
                    del self._waiters[loop]

    def count_waiters(self, loop: asyncio.AbstractEventLoop | None = None) -> int:
        """Count who waits, on one loop or on all."""
        with self._lock:
            if loop is not None:
                return len(self._waiters.get(loop, ()))
            return sum(len(waiters) for waiters in self._waiters.values())

    def announce(self, committed: Sequence[Subject | Delivery]) -> None:
        """Wake whoever wants one of the events that were just committed; called from any thread."""
        for loop, waiters in self._copy_waiters():
            _call_soon(loop, _wake_wanting, waiters, committed)

    def wake_all(self) -> None:
        """Wake everybody: something was committed elsewhere, or the receiver ends."""
        for loop, waiters in self._copy_waiters():
            _call_soon(loop, _wake_everyone, waiters)

    def close(self) -> None:
        """End every wait, now and from now on."""
        self.is_closed = True
        self.wake_all()

    def _copy_waiters(self) -> list[tuple[asyncio.AbstractEventLoop, list[Waiter]]]:
        with self._lock:
            return [(loop, list(waiters)) for loop, waiters in self._waiters.items()]


def _wake_wanting(waiters: Sequence[Waiter], committed: Sequence[Subject | Delivery]) -> None:
    for waiter in waiters:
        if any(waiter.wanted.matches(subject) for subject in committed):
            waiter.wake()


def _wake_everyone(waiters: Sequence[Waiter]) -> None:
    for waiter in waiters:
        waiter.wake()


def _call_soon(loop: asyncio.AbstractEventLoop, function: object, *args: object) -> None:
    try:
        loop.call_soon_threadsafe(function, *args)  # type: ignore[arg-type]
    except RuntimeError:
        return  # the loop is closed, and nobody waits on it any more
