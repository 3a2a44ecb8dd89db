"""The events of runs that succeeded: for assets that only such runs update."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from airflow_provider_pushmetrics.client.models import FeedEvent
from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.hooks.async_client import PushMetricsAsyncClient, open_async_transport
from airflow_provider_pushmetrics.hooks.masking import aread_settings
from airflow_provider_pushmetrics.plugins.source_connections import find_connection
from airflow_provider_pushmetrics.receiver.endpoints.reader import render_event
from airflow_provider_pushmetrics.receiver.inbox.records import StoredEvent
from airflow_provider_pushmetrics.triggers.event_outcomes import has_succeeded, require_api_token


def read_event(event: StoredEvent) -> FeedEvent:
    """Convert an event of the inbox to the form of the feed."""
    # Not by pydantic, whose parser rejects the lone surrogates that Python reads and the cleaning replaces.
    return FeedEvent.model_validate(json.loads(render_event(event)))


async def choose_successful(conn_id: str, events: Sequence[StoredEvent]) -> list[StoredEvent]:
    """
    Choose the events of runs that are known to have succeeded.

    :raises PushMetricsError: if PushMetrics is unavailable. The events are then not skipped.
    """
    if not events:
        return []
    async with open_client(conn_id) as client:
        require_api_token(client)
        return [
            event
            for event in events
            if await has_succeeded(client, await asyncio.to_thread(read_event, event))
        ]


@asynccontextmanager
async def open_client(conn_id: str) -> AsyncIterator[PushMetricsAsyncClient]:
    """
    Open a client in the API server, where connections are read without a supervisor.

    :raises PushMetricsConfigurationError: if there is no such connection.
    """
    connection = await asyncio.to_thread(find_connection, conn_id)
    if connection is None:
        raise PushMetricsConfigurationError(
            f"connection {conn_id!r} does not exist, so the outcome of a run is unknown: create it, with an"
            " API token as its password."
        )
    settings = await aread_settings(connection)
    async with open_async_transport(settings) as transport:
        yield PushMetricsAsyncClient(settings, transport)
