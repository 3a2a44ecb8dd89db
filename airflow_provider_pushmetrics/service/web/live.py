"""Server-sent events for open pages: they say that runs have changed, and the page reads what it shows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator

from fastapi import HTTPException
from fastapi.responses import StreamingResponse

from airflow_provider_pushmetrics.service.api.conventions.access import Caller, Parts
from airflow_provider_pushmetrics.service.api.conventions.routers import make_router
from airflow_provider_pushmetrics.service.runs.run_watch import RunWatch

router = make_router("/app")

MAX_PAGES = 1000
"""More open pages of one process are refused; they read again by themselves later."""

STREAM_SECONDS = 60.0
"""The time after which a page connects again, and so proves again that it may."""

HEARTBEAT_SECONDS = 15.0
"""The maximum time without a byte, by which a page notices that the service is gone. Proxies need it too."""

MIN_PAUSE_SECONDS = 0.5
"""The minimum time between two events for a page, however many runs there are."""

HEARTBEAT = b": the service is there\n\n"

STREAM_HEADERS = {"X-Accel-Buffering": "no"}  # nginx would keep the events


@router.get("/changes")
async def stream_changes(parts: Parts, caller: Caller) -> StreamingResponse:
    """Send an event now, and whenever runs have changed; a waiting page has no thread and no connection."""
    if parts.run_watch.count_waiters() >= MAX_PAGES:
        raise HTTPException(503, "Too many pages are open", headers={"Retry-After": "30"})
    return StreamingResponse(
        write_changes(parts.run_watch), media_type="text/event-stream", headers=STREAM_HEADERS
    )


async def write_changes(watch: RunWatch) -> AsyncGenerator[bytes]:
    """Write the events of one page."""
    deadline = time.monotonic() + STREAM_SECONDS
    with watch.wait_for_changes() as waiter:
        yield HEARTBEAT
        while (seconds := deadline - time.monotonic()) > 0:
            is_woken = await waiter.wait(min(seconds, HEARTBEAT_SECONDS))
            if waiter.has_ended:
                return
            # With the version of all runs: a page that has read what it shows of it need not read it again.
            yield f"event: runs\ndata: {watch.version}\n\n".encode() if is_woken else HEARTBEAT
            if is_woken:
                await asyncio.sleep(MIN_PAUSE_SECONDS)
