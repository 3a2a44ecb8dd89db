"""
The page "PushMetrics events" in Airflow: Airflow authenticates every request.

Airflow does not authenticate requests to a plugin's app, so the app itself has the check, for all
routes. If Airflow's check cannot be imported, there is no page.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import AccessView
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_asset, requires_access_view
from airflow.utils.session import create_session
from fastapi import Depends, FastAPI, Query, Request
from fastapi.exceptions import HTTPException
from fastapi.responses import JSONResponse, Response
from sqlalchemy.exc import SQLAlchemyError

from airflow_provider_pushmetrics.event_matching import EventFilter
from airflow_provider_pushmetrics.exceptions import PushMetricsError
from airflow_provider_pushmetrics.plugins.event_facts import EventRunFacts, EventSubject, read_subject
from airflow_provider_pushmetrics.plugins.event_runs import InboxEvent, describe_outcomes
from airflow_provider_pushmetrics.plugins.pages import SECURITY_HEADERS, SHARED_FILES, add_files
from airflow_provider_pushmetrics.receiver.endpoints.query import (
    parse_before,
    parse_event_id,
    parse_feed_query,
)
from airflow_provider_pushmetrics.receiver.endpoints.reader import render_event, replay_events
from airflow_provider_pushmetrics.receiver.errors import NotFound, Refusal
from airflow_provider_pushmetrics.receiver.inbox.records import Consumer, EventSummary
from airflow_provider_pushmetrics.receiver.runtime import UNAVAILABLE, ReceiverRuntime
from airflow_provider_pushmetrics.serving.process_start import describe_driver_error

log = logging.getLogger(__name__)

EVENTS_PAGE_SIZE = 50
MAX_READ_BODY_BYTES = 16 * 1024
"""The report's name and the run of larger events are not shown in the list."""

PAGE_HEADER = "x-pushmetrics-page"
"""A header that only the page's own script sets: another site could send the user's cookie, but not this."""

FILES = {
    "": ("events.html", "text/html"),
    "events.js": ("events.js", "text/javascript"),
    "events.css": ("events.css", "text/css"),
    **SHARED_FILES,
}
GetRuntime = Callable[[], Awaitable[ReceiverRuntime]]


def build_page(get_runtime: GetRuntime) -> FastAPI:
    """
    Build the page's app.

    :param get_runtime: Returns the receiver's open inbox, or raises the error to respond with.
    """
    page = EventsPage(get_runtime)
    app = FastAPI(
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        dependencies=[Depends(requires_access_view(AccessView.PLUGINS))],
        exception_handlers={
            Refusal: _answer_refusal,
            PushMetricsError: _answer_unconfigured,
            SQLAlchemyError: _answer_database_error,
        },
    )
    add_files(app, FILES)
    app.add_api_route("/events", page.list_events, methods=["GET"])
    app.add_api_route("/runs", page.list_runs, methods=["GET"])
    app.add_api_route("/events/{event_id}", page.get_event, methods=["GET"])
    app.add_api_route(
        "/events/{event_id}/replay",
        page.replay,
        methods=["POST"],
        dependencies=[Depends(requires_access_asset(method="POST"))],
    )
    return app


class EventsPage:
    """
    The endpoints of the page's script.

    :param get_runtime: Returns the receiver's open inbox.
    """

    def __init__(self, get_runtime: GetRuntime) -> None:
        self._get_runtime = get_runtime
        self._facts = EventRunFacts()

    async def list_events(self, request: Request, user: GetUserDep) -> Response:
        """Return the newest events, or those older than one, and the Dag runs that they started."""
        query, before = parse_feed_query(request.query_params), parse_before(request.query_params)
        runtime = await self._get_runtime()
        found, total, consumers = await asyncio.gather(
            runtime.run_blocking(
                runtime.inbox.fetch_newest, query.wanted, before=before, limit=EVENTS_PAGE_SIZE
            ),
            runtime.run_blocking(runtime.inbox.count_events),
            runtime.run_blocking(runtime.inbox.fetch_consumers),
        )
        outcomes = await asyncio.to_thread(fetch_outcomes, found, consumers, user)
        subjects = await self._read_subjects(runtime, [row.id for row in found])
        events = [
            {
                **_write_summary(row),
                "report_name": subjects.get(row.id, EventSubject()).report_name,
                "dag_runs": outcomes.get(row.id),
            }
            for row in found
        ]
        content = {"events": events, "total": total}
        return JSONResponse(content, headers=SECURITY_HEADERS)

    async def list_runs(self, event_id: Annotated[list[int], Query(max_length=EVENTS_PAGE_SIZE)]) -> Response:
        """Return the link and the status of the runs of some events, as far as PushMetrics says them."""
        subjects = await self._read_subjects(await self._get_runtime(), event_id)
        return JSONResponse({"runs": await self._facts.fetch(subjects)}, headers=SECURITY_HEADERS)

    async def _read_subjects(self, runtime: ReceiverRuntime, ids: Sequence[int]) -> dict[int, EventSubject]:
        bodies = await runtime.run_blocking(runtime.inbox.fetch_bodies, ids, max_bytes=MAX_READ_BODY_BYTES)
        return {number: read_subject(body) for number, body in bodies.items()}

    async def get_event(self, request: Request, user: GetUserDep) -> Response:
        """Return one event, its payload, the consumers that have read it, and its Dag runs."""
        event_id = parse_event_id(request.path_params["event_id"])
        runtime = await self._get_runtime()
        event = await runtime.run_blocking(runtime.inbox.find_event, event_id)
        if event is None:
            raise NotFound(f"There is no event {event_id} in the inbox.")
        newest, consumers = await asyncio.gather(
            runtime.run_blocking(runtime.inbox.fetch_newest, EventFilter(), before=event_id + 1, limit=1),
            runtime.run_blocking(runtime.inbox.fetch_consumers),
        )
        if not newest or newest[0].id != event_id:  # deleted just now, as too old
            raise NotFound(f"There is no event {event_id} in the inbox.")
        read_by = [
            _write_reader(consumer, event_id) for consumer in consumers if consumer.position >= event_id
        ]
        outcomes = await asyncio.to_thread(fetch_outcomes, newest, consumers, user)
        content = {
            **json.loads(render_event(event)),
            "read_by": read_by,
            "dag_runs": outcomes.get(event_id),
        }
        return JSONResponse(content, headers=SECURITY_HEADERS)

    async def replay(self, request: Request) -> Response:
        """Append an event again."""
        if PAGE_HEADER not in request.headers:
            raise HTTPException(403, "Replay from the page itself.")
        event_id = parse_event_id(request.path_params["event_id"])
        ids = await replay_events(await self._get_runtime(), [event_id])
        if not ids:
            raise NotFound(f"There is no event {event_id} in the inbox.")
        return JSONResponse({"id": ids[0], "replay_of": event_id}, 201)


def _write_summary(row: EventSummary) -> dict[str, Any]:
    return {**vars(row), "received_at": row.received_at.isoformat()}


def _write_reader(consumer: Consumer, event_id: int) -> dict[str, Any]:
    """Describe who has read an event; who claimed it is known only for the event at its position."""
    return {"name": consumer.name, "taken_by": consumer.taken_by if consumer.position == event_id else None}


def fetch_outcomes(
    events: Sequence[InboxEvent], consumers: Sequence[Consumer], user: BaseUser
) -> dict[int, list[dict[str, Any]]]:
    """Fetch the effects of events that a user may see; nothing if Airflow's database fails."""
    try:
        with create_session(scoped=False) as session:
            readable = get_auth_manager().get_authorized_dag_ids(user=user, session=session)
            positions = {consumer.name: consumer.position for consumer in consumers}
            return describe_outcomes(session, events, readable=readable, positions=positions)
    except SQLAlchemyError as error:
        log.warning("Which Dag runs the events have started cannot be read: %s", type(error).__name__)
        return {}


async def _answer_refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)  # what it is registered for
    return JSONResponse({"message": str(error)}, error.status_code, headers=dict(error.headers))


async def _answer_database_error(request: Request, error: Exception) -> Response:
    log.warning("The inbox cannot be used: %s", describe_driver_error(error))
    return JSONResponse({"message": UNAVAILABLE}, 503)


async def _answer_unconfigured(request: Request, error: Exception) -> Response:
    return JSONResponse({"message": str(error)}, 503)
