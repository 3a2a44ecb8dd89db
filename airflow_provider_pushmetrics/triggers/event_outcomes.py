"""Whether the run of an event succeeded: for assets that only successful runs update."""

from __future__ import annotations

import logging

from airflow_provider_pushmetrics.client.models import FeedEvent
from airflow_provider_pushmetrics.client.outcomes import GOING_ON, EventOutcome, fetch_event_outcome
from airflow_provider_pushmetrics.client.protocol import Call
from airflow_provider_pushmetrics.client.wait_budget import WaitBudget, ask_about_run, until
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsConfigurationError,
    PushMetricsRunError,
    PushMetricsUnavailableError,
    PushMetricsUntrustedUrlError,
)
from airflow_provider_pushmetrics.hooks.async_client import PushMetricsAsyncClient
from airflow_provider_pushmetrics.storable import describe_error

log = logging.getLogger(__name__)


def require_api_token(client: PushMetricsAsyncClient) -> None:
    """
    Require an API token to fetch outcomes.

    :raises PushMetricsConfigurationError: without an API token.
    """
    if not client.settings.api_token:
        raise PushMetricsConfigurationError(
            f"only_successful is set, but connection {client.settings.conn_id!r} has no API token, so the"
            " outcome of runs would be unknown: set its password. Until then no event updates the asset."
        )


async def has_succeeded(client: PushMetricsAsyncClient, event: FeedEvent) -> bool:
    """
    Fetch whether the run of an event succeeded; retries while PushMetrics is unavailable. False if unknown.

    :raises PushMetricsApiError: if PushMetrics rejects the request, is unavailable for too long, or another
        server responds; the event stays in the inbox.
    """
    return await client.call(
        ask_about_run(
            client.credentials,
            lambda: _has_succeeded(client, event),
            lambda error: _skip(event, describe_error(error)),
        )
    )


def _has_succeeded(client: PushMetricsAsyncClient, event: FeedEvent) -> Call[bool]:
    try:
        outcome = yield from until(WaitBudget(), lambda: _fetch_outcome(client, event))
    except (PushMetricsRunError, PushMetricsUntrustedUrlError) as error:
        return _skip(event, describe_error(error))
    assert outcome is not None  # always set without a deadline
    reason = outcome.failure or outcome.unknown
    return reason is None or _skip(event, reason)


def _fetch_outcome(client: PushMetricsAsyncClient, event: FeedEvent) -> Call[EventOutcome]:
    """Fetch the outcome of a run; a run that is unfinished despite its event is not waited for."""
    try:
        # The watcher asks again itself, after it has read the connection again.
        return (yield from fetch_event_outcome(client.credentials, event.body, is_patient=False))
    except PushMetricsUnavailableError as error:
        if error.status_code != GOING_ON:
            raise
        return EventOutcome(unknown=describe_error(error))


def _skip(event: FeedEvent, reason: str) -> bool:
    log.warning(
        "Event %d updates no asset, because its run is not known to have succeeded: %s", event.id, reason
    )
    return False
