"""How often something may be done: a limit for each caller, in memory of this process."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from fastapi import HTTPException

MAX_CALLERS = 10_000
"""How many callers are remembered; those who have been away longest are forgotten first."""

TOO_MANY = "Too many requests: try again later"


class RateLimit:
    """
    Lets each caller do something so many times a minute, evenly or all at once (a token bucket).

    :param per_minute: How many times; 0 for no limit.
    """

    def __init__(self, per_minute: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, caller: str) -> float:
        """
        Count one time of a caller.

        :return: 0 if it may be; else the seconds until it may.
        """
        if self._per_minute <= 0:
            return 0.0
        with self._lock:
            now = self._clock()
            left, then = self._buckets.pop(caller, (float(self._per_minute), now))
            left = min(float(self._per_minute), left + (now - then) * self._per_minute / 60)
            self._buckets[caller] = (left - 1 if left >= 1 else left, now)
            if len(self._buckets) > MAX_CALLERS:
                del self._buckets[next(iter(self._buckets))]
            return 0.0 if left >= 1 else (1 - left) * 60 / self._per_minute

    def check(self, caller: str) -> None:
        """
        Count one time of a caller.

        :raises HTTPException: 429, with when to try again, if it was one too many.
        """
        wait_seconds = self.take(caller)
        if wait_seconds > 0:
            raise HTTPException(429, TOO_MANY, headers={"Retry-After": str(math.ceil(wait_seconds))})
