"""When a delivery is retried, and when an endpoint has failed for too long."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta

DELIVERY_DELAYS_SECONDS = (0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
"""
The delay of each attempt after the one before, as in the Standard Webhooks specification.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

JITTER = 0.2
"""The maximum random deviation of a delay: deliveries that failed together are retried apart."""

MAX_DELIVERY_DELAY_SECONDS = 86_400.0
"""The maximum delay that an endpoint can request; it is also the longest delay of the table."""

DISABLE_AFTER = timedelta(days=5)
"""An endpoint that has accepted nothing for this long is disabled."""

CERTAIN_ATTEMPTS = 4
"""The minimum number of failures of one event, over half an hour, before a subscription is disabled."""

Spread = Callable[[float, float], float]
"""Chooses between two numbers, as ``random.uniform`` does."""

SPREAD: Spread = random.SystemRandom().uniform
"""Not Python's shared generator: others seed it, as Hypothesis does in a user's tests."""


def compute_delay(
    attempts_made: int, retry_after_seconds: float | None = None, *, spread: Spread = SPREAD
) -> float | None:
    """
    Compute the delay of the next attempt.

    An endpoint can request a longer delay, but not a shorter one.

    :param attempts_made: The number of attempts since the delivery was created or resent.
    :return: Seconds; None after the last attempt.
    """
    if attempts_made >= len(DELIVERY_DELAYS_SECONDS):
        return None
    delay = DELIVERY_DELAYS_SECONDS[attempts_made] * spread(1 - JITTER, 1 + JITTER)
    return max(delay, min(retry_after_seconds or 0.0, MAX_DELIVERY_DELAY_SECONDS))


def is_given_up(failing_since: datetime | None, now: datetime) -> bool:
    """Return whether an endpoint has failed for too long."""
    return failing_since is not None and now - failing_since >= DISABLE_AFTER
