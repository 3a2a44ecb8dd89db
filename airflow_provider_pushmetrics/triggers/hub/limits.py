"""The limits of a hub: what one poll asks for, and how many failures are tolerated."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_pushmetrics.client.retry_policy import RetryPolicy
from airflow_provider_pushmetrics.client.wait_budget import DEFAULT_FAILURE_POLICY


@dataclass(frozen=True)
class HubLimits:
    """
    The limits of one hub.

    :param rewind_events: How many events the feed rewinds for a new wait: ten pages. A wait that begins
        earlier reads those events itself.
    :param few_runs: How many runs are polled one by one; for more, the list of the newest runs is polled
        first.
    :param listed_runs: How many runs that list has.
    :param single_runs: How many runs missing in the list are polled in one round; the others are polled in
        the next rounds.
    :param failures: How failures in a row are spaced, and how many are tolerated.
    """

    rewind_events: int = 1000
    few_runs: int = 3
    listed_runs: int = 1000
    single_runs: int = 100
    failures: RetryPolicy = DEFAULT_FAILURE_POLICY


DEFAULT_LIMITS = HubLimits()
