"""Giving up on answers that do not come."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from airflow_provider_pushmetrics.receiver.errors import Unavailable


class Expiry:
    """
    Fails the futures of one event loop that are not done in time.

    One timer in all, for the oldest: a timer for each delivery took 5 of the 115 µs that it cost the loop.

    It holds its loop by what it waits for alone, and so never longer than that.

    :param timeout_seconds: How long each future may take.
    """

    def __init__(self, timeout_seconds: float) -> None:
        self._timeout_seconds = timeout_seconds
        self._waiting: deque[tuple[float, asyncio.Future[Any]]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, answer: asyncio.Future[Any]) -> None:
        """Fail a future with ``Unavailable``, unless it is done by then."""
        self._forget_done()
        loop = answer.get_loop()
        deadline = loop.time() + self._timeout_seconds
        self._waiting.append((deadline, answer))
        if self._timer is None:
            self._timer = loop.call_at(deadline, self._expire, loop)

    def _forget_done(self) -> None:
        while self._waiting and self._waiting[0][1].done():
            self._waiting.popleft()

    def _expire(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        self._forget_done()
        while self._waiting and self._waiting[0][0] <= now:
            _, answer = self._waiting.popleft()
            if not answer.done():
                # It may be kept yet; then the sender's next attempt is a duplicate.
                answer.set_exception(Unavailable("The inbox did not answer in time. Send it again later."))
        self._forget_done()
        self._timer = loop.call_at(self._waiting[0][0], self._expire, loop) if self._waiting else None
