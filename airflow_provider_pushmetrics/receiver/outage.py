"""Saying that something is broken once, and not for each of the thousands whom it hits."""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections.abc import Callable

REPEAT_SECONDS = 60.0


class OutageLog:
    """
    Logs a failure at its first, then once a minute with the count since, and then that it is over.

    :param log: Where to.
    :param clock: Gives seconds that never go back.
    """

    def __init__(self, log: logging.Logger, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._lock = threading.Lock()
        self._said_at: float | None = None
        self._unsaid = 0
        self._is_on = False

    def report(self, message: str) -> None:
        """Report a failure; ``message`` says what and why."""
        with self._lock:
            self._is_on = True
            now = self._clock()
            if self._said_at is not None and now - self._said_at < REPEAT_SECONDS:
                self._unsaid += 1
                return
            more = f" ({self._unsaid} times more since the last such line)" if self._unsaid else ""
            self._said_at, self._unsaid = now, 0
        self._log.error("%s%s", message, more)

    def end(self, message: str) -> None:
        """Report that it works; says so only after a failure that was said."""
        if not self._is_on:
            return
        with self._lock:
            was_on, self._is_on = self._is_on, False
        if was_on:
            self._log.info("%s", message)


def describe_fault(error: Exception) -> str:
    """Say what nobody foresaw, and where; its text is left out, since it may hold what was delivered."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{where}"
