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

from airflow_provider_pushmetrics.client import calls
from airflow_provider_pushmetrics.client.credentials import Credentials
from airflow_provider_pushmetrics.client.protocol import Call, Pause, T
from airflow_provider_pushmetrics.client.retry_policy import MAX_PAUSE_SECONDS, RetryPolicy
from airflow_provider_pushmetrics.client.retrying import DEFAULT_POLICY
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsApiError,
    PushMetricsAuthError,
    PushMetricsLastLookError,
    PushMetricsNotFoundError,
    PushMetricsProtocolError,
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


def tolerate_refusals(
    call: Call[T], has_answered: bool, kind: type[PushMetricsApiError] = PushMetricsApiError
) -> Call[T]:
    """
    Make a request of a wait to a server that may have answered such a request: a refusal is then an outage.

    A proxy refuses everything while a server is replaced, and a token is changed on both sides one after the
    other.

    :param has_answered: Whether it has; else the refusal is about the settings of the task.
    :param kind: Which refusals are meant.
    :raises PushMetricsUnavailableError: in place of such a refusal.
    """
    try:
        return (yield from call)
    except PushMetricsUnavailableError:
        raise
    except kind as error:
        if not has_answered:
            raise
        raise PushMetricsUnavailableError(str(error), status_code=error.status_code) from None


def ask_about_run(
    credentials: Credentials,
    build: Callable[[], Call[T]],
    refused: Callable[[PushMetricsApiError], T],
    policy: RetryPolicy = DEFAULT_POLICY,
) -> Call[T]:
    """
    Make a request about one run, whose refusal counts only if PushMetrics answers another request.

    A proxy returns 404, a page or a redirect while PushMetrics is unavailable or has moved.

    :param build: Builds the request.
    :param refused: Returns the result if the request is refused, from the error.
    :param policy: How the other request is retried.
    :raises PushMetricsApiError: if PushMetrics is unavailable, rejects the API token, or another server
        answers.
    """
    try:
        return (yield from build())
    except PushMetricsUnavailableError:
        raise
    except PushMetricsApiError as error:
        yield from check_server(credentials, error, policy)
    try:  # once more: PushMetrics may have become available between the two requests
        return (yield from build())
    except PushMetricsUnavailableError:
        raise
    except PushMetricsApiError as error:
        return refused(error)


def ask_for_run(
    credentials: Credentials, build: Callable[[], Call[T]], policy: RetryPolicy = DEFAULT_POLICY
) -> Call[T]:
    """
    Make a request about one run; PushMetrics is unavailable while another server answers in its place.

    :param policy: How the requests are retried meanwhile.
    :raises PushMetricsUnavailableError: if it does not become available.
    :raises PushMetricsApiError: if it refuses the request although it answers another one, or if it rejects
        the API token.
    """
    refusals: list[PushMetricsApiError] = []

    def refuse(error: PushMetricsApiError) -> T:
        refusals.append(error)
        raise error

    attempt = 0
    while True:
        attempt += 1
        try:
            return (yield from ask_about_run(credentials, build, refuse, policy))
        except (PushMetricsNotFoundError, PushMetricsProtocolError) as error:
            if refusals:
                raise
            seconds = policy.compute_wait(attempt)
            if seconds is None:
                raise PushMetricsUnavailableError(str(error), status_code=error.status_code) from None
        yield Pause(seconds)


def check_server(credentials: Credentials, error: PushMetricsApiError, policy: RetryPolicy) -> Call[None]:
    """
    Check that PushMetrics answers and accepts the API token, by a request that is not about one run.

    :param error: The answer to the request for the run.
    :param policy: How the other request is retried.
    :raises PushMetricsApiError: if it does not, or rejects the API token both times.
    """
    try:
        yield from calls.fetch_newest_runs(credentials, 1, policy)
    except PushMetricsAuthError:
        if isinstance(error, PushMetricsAuthError):
            raise
        # A token that may not list runs may still read each one.


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
