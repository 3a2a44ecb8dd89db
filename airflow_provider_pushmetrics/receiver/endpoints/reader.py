"""The endpoints for readers."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from airflow_provider_pushmetrics.receiver.endpoints.access import CurrentAccess
from airflow_provider_pushmetrics.receiver.endpoints.body import read_limited_body
from airflow_provider_pushmetrics.receiver.endpoints.deadline import Deadline
from airflow_provider_pushmetrics.receiver.endpoints.query import (
    FeedQuery,
    PositionChange,
    parse_consumer_name,
    parse_event_id,
    parse_feed_query,
    parse_position,
    parse_through,
)
from airflow_provider_pushmetrics.receiver.endpoints.request_head import read_head
from airflow_provider_pushmetrics.receiver.errors import BadRequest, Conflict, NotFound, Unavailable
from airflow_provider_pushmetrics.receiver.inbox.records import Consumer, EventPage, StoredEvent
from airflow_provider_pushmetrics.receiver.inbox.replays import replay
from airflow_provider_pushmetrics.receiver.metrics import (
    DeliveryCounter,
    InboxFigures,
)
from airflow_provider_pushmetrics.receiver.runtime import UNAVAILABLE, ReceiverRuntime, RuntimeOpener
from airflow_provider_pushmetrics.receiver.settings import ReceiverSettings
from airflow_provider_pushmetrics.serving.metrics import CONTENT_TYPE, render_metrics
from airflow_provider_pushmetrics.tracing import TRACEPARENT

MAX_POSITION_BODY_BYTES = 8192

CHECK_REUSE_SECONDS = 1.0
"""How long the result of a check of the inbox is used. The check may write, and needs no token."""

READY_TIMEOUT_SECONDS = 4.0
"""How long a check may take until the inbox counts as not ready: less than a balancer waits."""

Handler = Callable[[Request, ReceiverRuntime], Awaitable[Response]]


@dataclass(eq=False)
class Reader:
    """
    Responds to readers, after the check of their token.

    :param settings: The receiver's settings.
    :param access: The current credentials.
    :param runtime: Opens the inbox.
    :param counter: The counts of webhooks.
    """

    settings: ReceiverSettings
    access: CurrentAccess
    runtime: RuntimeOpener
    counter: DeliveryCounter
    _check: asyncio.Future[None] | None = field(default=None, init=False)
    _checked_at: float = field(default=0.0, init=False)

    def guard(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """Require the reader token for a handler."""

        async def check_then_handle(request: Request) -> Response:
            (await self.access.get()).reader.authenticate(read_head(request.scope))
            return await handler(request, await self.runtime.get())

        return check_then_handle

    async def list_events(self, request: Request, runtime: ReceiverRuntime) -> Response:
        """Answer ``GET /events``."""
        query = parse_feed_query(request.query_params)
        page = await _fetch_unless_gone(request, runtime, query)
        return Response(render_page(page), media_type="application/json")

    async def get_cursor(self, request: Request, runtime: ReceiverRuntime) -> Response:
        """Answer ``GET /cursor``."""
        return JSONResponse({"cursor": await runtime.run_blocking(runtime.inbox.fetch_last_id)})

    async def get_consumer(self, request: Request, runtime: ReceiverRuntime) -> Response:
        """Answer ``GET /consumers/{name}``."""
        name = parse_consumer_name(request.path_params["name"])
        return _answer_consumer(await runtime.run_blocking(runtime.inbox.fetch_consumer, name))

    async def put_consumer(self, request: Request, runtime: ReceiverRuntime) -> Response:
        """Answer ``PUT /consumers/{name}``."""
        name = parse_consumer_name(request.path_params["name"])
        declared = read_head(request.scope).get("content-length")
        with Deadline(self.settings.body_timeout_seconds) as deadline:
            body = await read_limited_body(request.receive, declared, max_bytes=MAX_POSITION_BODY_BYTES)
            deadline.complete_body()
            wanted = parse_position(body)
            consumer = await runtime.run_blocking(
                runtime.inbox.store_consumer,
                name,
                wanted.position,
                wanted.taken_by,
                only_forwards=wanted.only_forwards,
            )
        if consumer is None:
            raise BadRequest(f"The position {wanted.position} is beyond the newest event.")
        if not _is_moved(consumer, wanted):
            raise Conflict(f"The position is {consumer.position} already, and moves forwards only.")
        return _answer_consumer(consumer)

    async def replay(self, request: Request, runtime: ReceiverRuntime) -> Response:
        """Answer ``POST /events/{id}/replay``."""
        event_id = parse_event_id(request.path_params["id"])
        ids = await replay_events(runtime, [event_id])
        if not ids:
            raise NotFound(f"There is no event {event_id} in the inbox.")
        return JSONResponse({"id": ids[0], "outcome": "accepted", "replay_of": event_id}, 201)

    async def replay_range(self, request: Request, runtime: ReceiverRuntime) -> Response:
        """Answer ``POST /events/replay?after=…&through=…``, with the filters of the feed: a page of them."""
        query = parse_feed_query(request.query_params)
        through = parse_through(request.query_params)
        newest = await runtime.run_blocking(runtime.inbox.fetch_last_id)
        if through > newest:  # the next page would have what this one appends
            raise BadRequest(f"'through' is {through}, beyond the newest event, {newest}.")
        page = await runtime.feed.fetch(query.wanted, after=query.after, limit=query.limit, wait_seconds=0)
        chosen = [event.id for event in page.events if event.id <= through]
        ids = await replay_events(runtime, chosen)
        return JSONResponse({"ids": ids, "cursor": min(page.cursor, through)}, 201)

    async def get_event(self, request: Request, runtime: ReceiverRuntime) -> Response:
        """Answer ``GET /events/{id}``."""
        event_id = parse_event_id(request.path_params["id"])
        event = await runtime.run_blocking(runtime.inbox.find_event, event_id)
        if event is None:
            raise NotFound(f"There is no event {event_id} in the inbox.")
        return Response(render_event(event), media_type="application/json")

    async def list_rejections(self, request: Request, runtime: ReceiverRuntime) -> Response:
        """Answer ``GET /rejections``: the newest rejected webhooks."""
        limit = parse_feed_query(request.query_params).limit
        refused = await runtime.run_blocking(runtime.fetch_rejections, limit=limit)
        rows = [{**vars(row), "rejected_at": row.rejected_at.isoformat()} for row in refused]
        return JSONResponse({"rejections": rows})

    async def check_ready(self, request: Request) -> Response:
        """
        Answer ``GET /health/ready``: 200 when the credentials are known and webhooks can be stored.

        It requires no token, so requests share a check, its thread and, for a second, its result.
        """
        try:
            async with asyncio.timeout(READY_TIMEOUT_SECONDS):
                await asyncio.shield(self._begin_check())
        except TimeoutError:
            raise Unavailable(UNAVAILABLE) from None
        return JSONResponse({"status": "ready"})

    def _begin_check(self) -> asyncio.Future[None]:
        """Begin a check, unless one runs or has just ended."""
        is_old = time.monotonic() - self._checked_at > CHECK_REUSE_SECONDS
        if self._check is None or (self._check.done() and is_old):
            self._check, self._checked_at = asyncio.ensure_future(self._check_inbox()), time.monotonic()
        return self._check

    async def _check_inbox(self) -> None:
        await self.access.get()
        runtime = await self.runtime.get()
        await runtime.run_blocking(runtime.check)

    async def get_metrics(self, request: Request, runtime: ReceiverRuntime) -> Response:
        """Answer ``GET /metrics``."""
        consumers = await runtime.run_blocking(runtime.inbox.fetch_consumers)
        last_id = await runtime.run_blocking(runtime.inbox.fetch_last_id)
        figures = InboxFigures(
            events=await runtime.run_blocking(runtime.inbox.count_events),
            last_event_id=last_id,
            waiting_readers=runtime.notifier.count_waiters(),
            consumers=await runtime.run_blocking(runtime.inbox.count_unread),
            missed={consumer.name: consumer.missed for consumer in consumers},
        )
        text = render_metrics(self.counter, runtime.writer.commits, figures)
        return Response(text, headers={"content-type": CONTENT_TYPE})


async def replay_events(runtime: ReceiverRuntime, event_ids: Sequence[int]) -> list[int]:
    """Append events again, all or none; return the new ids of those that still exist."""
    new = await runtime.run_blocking(replay, runtime.inbox, event_ids)
    if new:
        runtime.watch.announce_own(new)
    return [item.id for item in new]


async def _fetch_unless_gone(request: Request, runtime: ReceiverRuntime, query: FeedQuery) -> EventPage:
    """Fetch a page; stop when the reader disconnects."""
    fetch = asyncio.ensure_future(
        runtime.feed.fetch(
            query.wanted, after=query.after, limit=query.limit, wait_seconds=query.wait_seconds
        )
    )
    if not query.wait_seconds:
        return await fetch
    gone = asyncio.ensure_future(_wait_for_disconnect(request))
    try:
        await asyncio.wait((fetch, gone), return_when=asyncio.FIRST_COMPLETED)
        return fetch.result() if fetch.done() else EventPage((), query.after)
    finally:
        for task in (fetch, gone):
            task.cancel()


async def _wait_for_disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        continue


def render_page(page: EventPage) -> bytes:
    """Write a page as JSON. The bodies are copied unchanged: they were validated when they arrived."""
    events = b", ".join(render_event(event) for event in page.events)
    return b'{"events": [%b], "cursor": %d}' % (events, page.cursor)


def render_event(event: StoredEvent) -> bytes:
    """Write one event as JSON, with its body unchanged."""
    facts = {"id": event.id, "source": event.source, "received_at": event.received_at.isoformat()}
    if event.replay_of is not None:
        facts["replay_of"] = event.replay_of
    if event.traceparent is not None:
        facts[TRACEPARENT] = event.traceparent
    return b'%b, "body": %b}' % (json.dumps(facts).encode("ascii")[:-1], event.body)


def _is_moved(consumer: Consumer, wanted: PositionChange) -> bool:
    """Return whether a consumer is where a request moves it; a repeated request finds it there."""
    is_there = consumer.position == wanted.position
    return is_there and wanted.taken_by in (None, consumer.taken_by)


def _answer_consumer(consumer: Consumer) -> Response:
    updated_at = consumer.updated_at.isoformat() if consumer.updated_at else None
    return JSONResponse(
        {
            "name": consumer.name,
            "position": consumer.position,
            "updated_at": updated_at,
            "taken_by": consumer.taken_by,
            "missed": consumer.missed,
        }
    )
