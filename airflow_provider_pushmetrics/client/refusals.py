"""Whether a refusal is PushMetrics' own answer, or that of a server in front of it."""

from __future__ import annotations

from collections.abc import Callable

from airflow_provider_pushmetrics.client.calls import fetch_newest_runs
from airflow_provider_pushmetrics.client.credentials import Credentials
from airflow_provider_pushmetrics.client.protocol import Call, T
from airflow_provider_pushmetrics.client.retry_policy import RetryPolicy
from airflow_provider_pushmetrics.client.retrying import DEFAULT_POLICY
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsApiError,
    PushMetricsAuthError,
    PushMetricsUnavailableError,
)


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
        yield from _check_server(credentials, error, policy)
    try:  # once more: PushMetrics may have become available between the two requests
        return (yield from build())
    except PushMetricsUnavailableError:
        raise
    except PushMetricsApiError as error:
        return refused(error)


def _check_server(credentials: Credentials, error: PushMetricsApiError, policy: RetryPolicy) -> Call[None]:
    """
    Check that PushMetrics answers and accepts the API token, by a request that is not about one run.

    :param error: The answer to the request for the run.
    """
    try:
        yield from fetch_newest_runs(credentials, 1, policy)
    except PushMetricsAuthError:
        if isinstance(error, PushMetricsAuthError):
            raise
        # A token that may not list runs may still read each one.
