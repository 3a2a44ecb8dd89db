"""The events of runs that succeeded: for assets that only such runs update."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

from airflow_provider_pushmetrics.client.models import FeedEvent
from airflow_provider_pushmetrics.plugins.connections import open_client
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
