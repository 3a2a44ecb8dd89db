"""A stand-in for the receiver at the wire: an inbox in memory, with its feed and its consumers' positions."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from airflow_provider_pushmetrics.event_ids import read_event_ids

READER_TOKEN = "reader-token-0123456789+/="


@dataclass
class FakeInbox:
    """
    The feed of the receiver.

    :param takers: Who took the event at a consumer's position.
    :param is_old: Do not know the field ``only_forwards``, as receivers of earlier versions.
    :param refuses_positions: Answer 400 to whoever stores a position.
    :param hold_seconds: How long a request for events is held at most.
    :param outages: How many requests for events are answered 503 from now on.
    :param position_outages: How many requests for the position of a consumer are answered so.
    :param waiting: How many requests for events are being answered.
    :param peak: How many were at most at once.
    :param asked: The queries of all of them.
    :param reader_token: The token that it accepts.
    :param refused: How many requests had another one.
    """

    events: list[dict[str, Any]] = field(default_factory=list)
    positions: dict[str, int] = field(default_factory=dict)
    takers: dict[str, str | None] = field(default_factory=dict)
    stored: list[int] = field(default_factory=list)
    is_old: bool = False
    refuses_positions: bool = False
    hold_seconds: float = 60.0
    outages: int = 0
    position_outages: int = 0
    waiting: int = 0
    peak: int = 0
    asked: list[dict[str, str]] = field(default_factory=list)
    reader_token: str = READER_TOKEN
    refused: int = 0

    def build_app(self) -> Starlette:
        """Build the ASGI application."""
        return Starlette(
            routes=[
                Route("/cursor", self._show_cursor),
                Route("/events", self._list_events),
                Route("/consumers/{name}", self._show_consumer),
                Route("/consumers/{name}", self._store_consumer, methods=["PUT"]),
            ]
        )

    @property
    def cursor(self) -> int:
        """The newest id."""
        return len(self.events)

    def add(self, body: dict[str, Any]) -> int:
        """Let an event arrive; return its id."""
        self.events.append(
            {
                "id": len(self.events) + 1,
                "source": "demo",
                "received_at": "2026-01-01T00:00:00+00:00",
                "body": body,
            }
        )
        return len(self.events)

    async def _show_cursor(self, request: Request) -> Response:
        return self._refuse(request) or JSONResponse({"cursor": self.cursor})

    async def _list_events(self, request: Request) -> Response:
        if refusal := self._refuse(request):
            return refusal
        query = dict(request.query_params)
        self.asked.append(query)
        if self.outages > 0:
            self.outages -= 1
            return JSONResponse({"message": "Maintenance"}, 503, {"Retry-After": "0"})
        deadline = time.monotonic() + min(float(query["wait"]), self.hold_seconds)
        self.waiting += 1
        self.peak = max(self.peak, self.waiting)
        try:
            while not (found := self._find(query)) and time.monotonic() < deadline:
                if int(query["after"]) > self.cursor:
                    break  # of another inbox
                if await request.is_disconnected():
                    break
                await asyncio.sleep(0.005)
        finally:
            self.waiting -= 1
        page = found[: int(query["limit"])]
        cursor = page[-1]["id"] if len(page) == int(query["limit"]) else self.cursor
        text = json.dumps({"events": page, "cursor": cursor})  # in ASCII: lone surrogates can be written so
        return Response(text, media_type="application/json")

    def _refuse(self, request: Request) -> Response | None:
        if request.headers.get("authorization") == f"Bearer {self.reader_token}":
            return None
        self.refused += 1
        return JSONResponse({"message": "Not authorized"}, 401)

    def _find(self, query: dict[str, str]) -> list[dict[str, Any]]:
        return [
            event
            for event in self.events
            if event["id"] > int(query["after"]) and _matches(event["body"], query)
        ]

    async def _show_consumer(self, request: Request) -> Response:
        if self.position_outages > 0:
            self.position_outages -= 1
            return JSONResponse({"message": "Maintenance"}, 503, {"Retry-After": "0"})
        name = request.path_params["name"]
        place = {"name": name, "position": self.positions.get(name, 0), "taken_by": self.takers.get(name)}
        return self._refuse(request) or JSONResponse(place)

    async def _store_consumer(self, request: Request) -> Response:
        body = await request.json()
        position = body["position"]
        if self.refuses_positions:
            return JSONResponse({"message": "The position is beyond the newest event"}, 400)
        if refusal := self._refuse(request):
            return refusal
        name, taken_by = request.path_params["name"], body.get("taken_by")
        if body.get("only_forwards") and not self.is_old:
            stored = self.positions.get(name, 0)
            if stored > position or (stored == position and taken_by not in (None, self.takers.get(name))):
                return JSONResponse({"message": f"The position is {stored} already"}, 409)
        self.positions[name] = position
        self.takers[name] = taken_by
        self.stored.append(position)
        return JSONResponse({"name": name, "position": position})


def _matches(body: dict[str, Any], query: dict[str, str]) -> bool:
    ids = read_event_ids(body)
    found = {"event": body.get("event"), **{name: getattr(ids, name) for name in ids.__slots__}}
    return all(str(found[name]) == query[name] for name in found if name in query)
