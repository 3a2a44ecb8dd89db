"""Send one request with retries, and decide what is safe to repeat."""

from __future__ import annotations

import logging

from airflow_provider_pushmetrics.client.errors import build_error
from airflow_provider_pushmetrics.client.protocol import Call, NetworkError, Pause, Request, Response
from airflow_provider_pushmetrics.client.retry_policy import RetryPolicy
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsApiError,
    PushMetricsDeliveryUnknownError,
    PushMetricsUnavailableError,
)

log = logging.getLogger(__name__)

DEFAULT_POLICY = RetryPolicy()


def send(request: Request, policy: RetryPolicy = DEFAULT_POLICY) -> Call[Response]:
    """
    Send a request, retry if it is safe and may help, and return the 2xx response.

    A request that is not repeatable is retried only if it cannot have arrived, or was rejected with 429.

    :raises PushMetricsDeliveryUnknownError: if such a request may have arrived.
    :raises PushMetricsApiError: for any other response than 2xx, and for none.
    """
    attempt = 0
    while True:
        attempt += 1
        error: PushMetricsApiError | None
        may_have_arrived = False
        try:
            response: Response = yield request
        except NetworkError as failure:
            may_have_arrived = failure.was_sent
            error = PushMetricsUnavailableError(f"{request.describe()} got no response: {failure}")
        else:
            error = build_error(request, response)
            if error is None:
                return response
            may_have_arrived = error.status_code != 429
        wait_seconds = _decide_wait(error, request, policy, attempt, may_have_arrived)
        log.warning("%s; retrying in %.1f s (attempt %d)", error, wait_seconds, attempt)
        yield Pause(wait_seconds)


def _decide_wait(
    error: PushMetricsApiError, request: Request, policy: RetryPolicy, attempt: int, may_have_arrived: bool
) -> float:
    """Compute how long to wait for the next attempt, or raise the final error."""
    if not isinstance(error, PushMetricsUnavailableError):
        raise error
    if may_have_arrived and not request.is_repeatable:
        raise PushMetricsDeliveryUnknownError(
            f"{error}. It may have arrived, and sending it again could start a second run, so it was not"
            " repeated. Check in PushMetrics whether the run was started.",
            retry_after_seconds=error.retry_after_seconds,
        ) from None  # its message contains the cause
    wait_seconds = policy.compute_wait(attempt, error.retry_after_seconds)
    if wait_seconds is None:
        raise error
    return wait_seconds
