"""
How long a wait lasts, how it polls, and how many failures in a row it tolerates.

A wait polls once more after its deadline before it gives up. It counts failures in a row, not in all. Its
deadline is on the wall clock, because the wait may move from one process to another.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from airflow_provider_pushmetrics.client.protocol import Call, Pause, T
from airflow_provider_pushmetrics.client.retry_policy import MAX_PAUSE_SECONDS, RetryPolicy
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsApiError,
    PushMetricsLastLookError,
    PushMetricsUnavailableError,
)

log = logging.getLogger(__name__)

DEFAULT_POLL_INTERVAL_SECONDS = 5.0
DEFAULT_FAILURE_POLICY = RetryPolicy(attempts=30, base_seconds=1.0, max_seconds=30.0)
"""This tolerates an outage of about ten minutes."""


@dataclass(frozen=True)
class WaitBudget:
    """
    How long to wait, and how many failures to tolerate.

    :param deadline: When to give up, in Unix seconds; None for never.
    :param poll_interval_seconds: How often to poll what does not hold its answer back.
    :param failures: How failures in a row are spaced, and how many are tolerated.
    """

    deadline: float | None = None
    poll_interval_seconds: float = DEFAULT_POLL_INTERVAL_SECONDS
    failures: RetryPolicy = DEFAULT_FAILURE_POLICY
    clock: Callable[[], float] = field(default=time.time, repr=False, compare=False)

    def compute_remaining(self) -> float:
        """Compute how many seconds remain; infinite without a deadline."""
        return float("inf") if self.deadline is None else self.deadline - self.clock()


class FailureBackoff:
    """Counts failures in a row and computes the pause after each."""

    def __init__(self, budget: WaitBudget) -> None:
        self._budget = budget
        self._count = 0

    def reset(self) -> None:
        """Count from zero: a request succeeded."""
        self._count = 0

    def compute_pause(self, error: PushMetricsApiError) -> Pause:
        """
        Count a failure and compute the pause before the next request.

        :raises PushMetricsApiError: the same error, if it was one too many in a row.
        """
        self._count += 1
        requested = error.retry_after_seconds if isinstance(error, PushMetricsUnavailableError) else None
        # A wait has time: a server that asks for an hour is asked again sooner, but the wait continues.
        requested = None if requested is None else min(requested, MAX_PAUSE_SECONDS)
        seconds = self._budget.failures.compute_wait(self._count, requested)
        if seconds is None:
            raise error
        log.warning("%s; still waiting, failure %d in a row, next try in %.1f s", error, self._count, seconds)
        return Pause(max(0.0, min(seconds, self._budget.compute_remaining())))


def until(
    budget: WaitBudget,
    poll: Callable[[], Call[T | None]],
    *,
    backoff: FailureBackoff | None = None,
    pauses: bool = True,
) -> Call[T | None]:
    """
    Poll until there is a result.

    :param poll: Builds the call of one poll, which gives None as long as there is no result.
    :param backoff: Counts the failures, where a poll of several requests also resets it.
    :param pauses: Whether to pause between polls; without it, the server holds its answers back.
    :return: The result; None if the deadline passed.
    :raises PushMetricsLastLookError: if the deadline passed, and the last poll failed.
    :raises PushMetricsApiError: if a poll is refused, or if too many fail in a row.
    """
    backoff = backoff or FailureBackoff(budget)
    while True:
        remaining = budget.compute_remaining()
        try:
            found = yield from poll()
        except PushMetricsUnavailableError as error:
            if remaining <= 0:
                raise PushMetricsLastLookError(str(error), status_code=error.status_code) from None
            yield backoff.compute_pause(error)
            continue
        backoff.reset()
        if found is not None or remaining <= 0:
            return found
        if pauses:
            yield Pause(min(budget.poll_interval_seconds, remaining))
