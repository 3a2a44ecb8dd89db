"""Whether the run of which an event tells has ended well: for assets that only such runs update."""

from __future__ import annotations

import logging

from airflow_provider_pushmetrics.client.calls import fetch_newest_runs
from airflow_provider_pushmetrics.client.models import FeedEvent
from airflow_provider_pushmetrics.client.outcomes import GOING_ON, EventOutcome, fetch_event_outcome
from airflow_provider_pushmetrics.client.protocol import Call
from airflow_provider_pushmetrics.client.wait_budget import WaitBudget, until
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsApiError,
    PushMetricsAuthError,
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
    Require what can say how runs ended.

    :raises PushMetricsConfigurationError: without an API token.
    """
    if not client.settings.api_token:
        raise PushMetricsConfigurationError(
            f"only_successful is set, but connection {client.settings.conn_id!r} has no API token, so nobody"
            " could say how a run ended: set its password. Until then no event updates the asset."
        )


async def has_succeeded(client: PushMetricsAsyncClient, event: FeedEvent) -> bool:
    """
    Ask how the run of an event ended, and again while PushMetrics is away; False also if nobody can say.

    :raises PushMetricsApiError: if PushMetrics refuses to answer, is away for too long, or somebody else
        answers; the event stays in the inbox.
    """
    try:
        return await _has_succeeded(client, event)
    except PushMetricsUnavailableError:
        raise
    except PushMetricsApiError as error:
        await _check_server(client, error)
    try:  # once more: what answered for PushMetrics may have gone away between the two requests
        return await _has_succeeded(client, event)
    except PushMetricsUnavailableError:
        raise
    except PushMetricsApiError as error:
        return _skip(event, describe_error(error))


async def _has_succeeded(client: PushMetricsAsyncClient, event: FeedEvent) -> bool:
    try:
        outcome = await client.call(until(WaitBudget(), lambda: _fetch_outcome(client, event)))
    except (PushMetricsRunError, PushMetricsUntrustedUrlError) as error:
        return _skip(event, describe_error(error))
    assert outcome is not None  # without a deadline there is always one
    reason = outcome.failure or outcome.unknown
    return reason is None or _skip(event, reason)


def _fetch_outcome(client: PushMetricsAsyncClient, event: FeedEvent) -> Call[EventOutcome]:
    """Fetch how a run ended; one that its event calls over and that goes on is not waited for."""
    try:
        return (yield from fetch_event_outcome(client.credentials, event.body))
    except PushMetricsUnavailableError as error:
        if error.status_code != GOING_ON:
            raise
        return EventOutcome(unknown=describe_error(error))


async def _check_server(client: PushMetricsAsyncClient, error: PushMetricsApiError) -> None:
    """
    Check that it is PushMetrics that answers, and takes the API token, by a request that no event has chosen.

    A proxy answers 404, with a page or with a redirect while PushMetrics is away or has another address.

    :param error: What the run of the event was answered with.
    :raises PushMetricsApiError: if that says nothing of the run; the event stays in the inbox.
    """
    try:
        await client.call(fetch_newest_runs(client.credentials, 1))
    except PushMetricsAuthError:
        if isinstance(error, PushMetricsAuthError):
            raise
        # Who may not list runs may still see each one.


def _skip(event: FeedEvent, reason: str) -> bool:
    log.warning(
        "Event %d updates no asset, since its run is not known to have succeeded: %s", event.id, reason
    )
    return False
