"""Retry rules, without waiting."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

RETRYABLE_STATUS_CODES = frozenset({408, 425, 429, 500, 502, 503, 504})
MAX_PAUSE_SECONDS = 300.0
"""A longer ``Retry-After`` is not waited for within one call; the error contains it instead."""


def choose_between(low: float, high: float) -> float:
    """
    Choose a number at random, without Python's shared generator.

    Others seed that one: Hypothesis, for example, which also refuses that it is used beside a test.
    """
    return random.SystemRandom().uniform(low, high)


@dataclass(frozen=True)
class RetryPolicy:
    """
    Exponential backoff with equal jitter, as AWS describes it: each wait is at least half of its maximum.

    See https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/.

    :param attempts: The maximum number of attempts.
    :param base_seconds: The first wait is up to this long, each later one up to twice the one before.
    :param max_seconds: No wait is longer, unless the server requests it.
    """

    attempts: int = 5
    base_seconds: float = 0.5
    max_seconds: float = 30.0
    choose: Callable[[float, float], float] = field(default=choose_between, repr=False, compare=False)

    def compute_wait(self, attempt: int, retry_after_seconds: float | None = None) -> float | None:
        """
        Compute how many seconds to wait after a failed attempt; None to give up.

        :param attempt: Which attempt failed, from 1.
        :param retry_after_seconds: The server's ``Retry-After``.
        """
        if attempt >= self.attempts:
            return None
        if retry_after_seconds is not None:
            return retry_after_seconds if retry_after_seconds <= MAX_PAUSE_SECONDS else None
        ceiling = min(self.max_seconds, self.base_seconds * 2.0 ** min(attempt - 1, 30))
        return self.choose(ceiling / 2, ceiling)


ONE_ATTEMPT = RetryPolicy(attempts=1)
"""For one poll of a wait. The wait has its own failure limit and deadline; retries would exceed both."""
