"""The health and the figures of a standalone worker, on a port of its own, for probes and Prometheus."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from airflow_provider_pushmetrics.service.runtime import ServiceParts
from airflow_provider_pushmetrics.service.storage.clock import read_database_clock
from airflow_provider_pushmetrics.service.worker.backlog import Backlog
from airflow_provider_pushmetrics.serving.metrics import CONTENT_TYPE, render_metrics

DATABASE_AWAY = "The database does not answer"
HEARTBEAT_LATE = "The last heartbeat of this worker is older than its lease"
CONNECTIONS = 20
"""More connections at a time are answered 503: the port is for probes."""


def build_health_app(parts: ServiceParts) -> Starlette:
    """Build the app. Its answers contain no names, so it asks for no token."""

    async def answer_live(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    def answer_ready(request: Request) -> Response:
        fault = _find_fault(parts)
        return JSONResponse({"message": fault} if fault else {"status": "ok"}, 503 if fault else 200)

    def answer_metrics(request: Request) -> Response:
        try:
            figures = render_metrics(Backlog(parts.database, parts.settings.worker_lease_seconds))
        except SQLAlchemyError:
            return JSONResponse({"message": DATABASE_AWAY}, 503)
        return Response(figures, media_type=CONTENT_TYPE)

    return Starlette(
        routes=[
            Route("/health/live", answer_live),
            Route("/health/ready", answer_ready),
            Route("/metrics", answer_metrics),
        ]
    )


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
    config = uvicorn.Config(
        build_health_app(parts),
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=CONNECTIONS,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)  # it handles no signals, since it is not in the main thread
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="health", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()
