"""The health and the figures of a standalone worker, on a port of its own, for probes and Prometheus."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from airflow_provider_pushmetrics.service.runtime import ServiceParts
from airflow_provider_pushmetrics.service.storage.clock import read_database_clock
from airflow_provider_pushmetrics.serving.http.connections import LimitedServer, build_config
from airflow_provider_pushmetrics.serving.metrics import CONTENT_TYPE

DATABASE_AWAY = "The database does not answer"
HEARTBEAT_LATE = "The last heartbeat of this worker is older than its lease"

Found = TypeVar("Found")


class SharedCall(Generic[Found]):
    """
    Calls a function in a thread; all that ask during a call share its result.

    Anybody in the network may ask, and must not take the threads and the connections of runs.

    :param function: The function; it may block.
    """

    def __init__(self, function: Callable[[], Found]) -> None:
        self._function = function
        self._running: asyncio.Future[Found] | None = None

    async def get(self) -> Found:
        """Get the result of the running call, or of a new one."""
        if self._running is None or self._running.done():
            self._running = asyncio.ensure_future(run_in_threadpool(self._function))
        return await asyncio.shield(self._running)


def build_health_app(parts: ServiceParts) -> Starlette:
    """Build the app. Its answers contain no names, so it asks for no token."""
    fault = SharedCall(lambda: _find_fault(parts))
    figures = SharedCall(lambda: _render_figures(parts))

    async def answer_live(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def answer_ready(request: Request) -> Response:
        found = await fault.get()
        return JSONResponse({"message": found} if found else {"status": "ok"}, 503 if found else 200)

    async def answer_metrics(request: Request) -> Response:
        text = await figures.get()
        if text is None:
            return JSONResponse({"message": DATABASE_AWAY}, 503)
        return Response(text, media_type=CONTENT_TYPE)

    return Starlette(
        routes=[
            Route("/health/live", answer_live),
            Route("/health/ready", answer_ready),
            Route("/metrics", answer_metrics),
        ]
    )


def _render_figures(parts: ServiceParts) -> bytes | None:
    """Render the figures; None if the database does not answer."""
    try:
        return parts.render_metrics()
    except SQLAlchemyError:
        return None


def _find_fault(parts: ServiceParts) -> str | None:
    """Find why the worker does not execute work now; None if it does."""
    try:
        with parts.database.reading() as session:
            read_database_clock(session)
    except SQLAlchemyError:
        return DATABASE_AWAY
    return None if parts.engine is not None and parts.engine.is_alive() else HEARTBEAT_LATE


@contextmanager
def serve_health(parts: ServiceParts, listener: socket.socket | None) -> Iterator[None]:
    """Serve on a listening socket during the block; without one, do nothing."""
    if listener is None:
        yield
        return
    config = build_config(build_health_app(parts), lifespan="off", graceful_seconds=1)
    server = LimitedServer(config)  # it handles no signals, since it is not in the main thread
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="health", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()
