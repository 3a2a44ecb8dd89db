"""Which events of the inbox are about runs that have succeeded: for assets that only such runs update."""

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
    """Read an event of the inbox as a reader of the feed does."""
    # Not by pydantic, whose parser refuses the lone surrogates that Python reads and the cleaning replaces.
    return FeedEvent.model_validate(json.loads(render_event(event)))


async def choose_successful(conn_id: str, events: Sequence[StoredEvent]) -> list[StoredEvent]:
    """
    Choose the events of runs that are known to have succeeded.

    :raises PushMetricsError: if PushMetrics cannot be asked. The events are not passed over then.
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
    Open a client in the API server, where connections are not asked from a supervisor.

    :raises PushMetricsConfigurationError: if there is no such connection.
    """
    connection = await asyncio.to_thread(find_connection, conn_id)
    if connection is None:
        raise PushMetricsConfigurationError(
            f"connection {conn_id!r} does not exist, so nobody can say how a run ended: create it, with an"
            " API token as its password."
        )
    settings = await aread_settings(connection)
    async with open_async_transport(settings) as transport:
        yield PushMetricsAsyncClient(settings, transport)
