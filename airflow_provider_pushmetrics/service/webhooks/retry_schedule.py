"""When a delivery is tried again, and when an endpoint is given up: a table and arithmetic."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta

DELIVERY_DELAYS_SECONDS = (0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
"""
The wait before each attempt, counted from the one before: the ten of the Standard Webhooks specification.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

JITTER = 0.2
"""By how much a wait differs from the table, at most: what failed together shall not come back together."""

MAX_DELIVERY_DELAY_SECONDS = 86_400.0
"""What an endpoint may ask to wait at most; it is also the table's longest wait."""

DISABLE_AFTER = timedelta(days=5)
"""An endpoint that took nothing for this long is disabled."""

CERTAIN_ATTEMPTS = 4
"""So many failures of one event, in half an hour at least, are more than a moment's trouble."""

Spread = Callable[[float, float], float]
"""Chooses between two numbers, as ``random.uniform`` does."""


def compute_delay(
    attempts_made: int, retry_after_seconds: float | None = None, *, spread: Spread = random.uniform
) -> float | None:
    """
    Compute the wait before the next attempt.

    An endpoint that asks for more time gets it; one that asks for less does not: the table is for everybody.

    :param attempts_made: How many have been made since the delivery began, or was sent again.
    :return: Seconds; None after the last attempt.
    """
    if attempts_made >= len(DELIVERY_DELAYS_SECONDS):
        return None
    delay = DELIVERY_DELAYS_SECONDS[attempts_made] * spread(1 - JITTER, 1 + JITTER)
    return max(delay, min(retry_after_seconds or 0.0, MAX_DELIVERY_DELAY_SECONDS))


def is_given_up(failing_since: datetime | None, now: datetime) -> bool:
    """Tell whether an endpoint has failed for too long."""
    return failing_since is not None and now - failing_since >= DISABLE_AFTER
