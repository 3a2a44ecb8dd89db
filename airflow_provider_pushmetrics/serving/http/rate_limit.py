"""Rate limits by token buckets, one for each caller, in the memory of this process."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from starlette.exceptions import HTTPException

MAX_CALLERS = 10_000
"""The maximum number of buckets; the least recently used one is dropped first."""

TOO_MANY = "Too many requests: try again later"


class RateLimit:
    """
    Limits the requests of each caller a minute, all at once or evenly: a token bucket.

    :param per_minute: The limit; 0 for none.
    :param clock: Gives seconds that never go back.
    """

    def __init__(self, per_minute: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[float, float]] = {}

    def acquire(self, caller: str) -> float:
        """
        Acquire one token of a caller.

        :return: 0 if there was one; otherwise the seconds until there is.
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
        Acquire one token of a caller.

        :raises HTTPException: 429 with ``Retry-After``, if there was none.
        """
        wait_seconds = self.acquire(caller)
        if wait_seconds > 0:
            raise HTTPException(429, TOO_MANY, headers={"Retry-After": str(math.ceil(wait_seconds))})
