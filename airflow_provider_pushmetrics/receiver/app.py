"""The receiver as one ASGI app: served alone, or mounted in another, which sends it no lifespan events."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from airflow_provider_pushmetrics.receiver.endpoints.access import AGES, Access, Ages, CurrentAccess
from airflow_provider_pushmetrics.receiver.endpoints.ingest import Ingest
from airflow_provider_pushmetrics.receiver.endpoints.paths import find_route_path, find_source
from airflow_provider_pushmetrics.receiver.endpoints.reader import Reader
from airflow_provider_pushmetrics.receiver.errors import Refusal, Unavailable
from airflow_provider_pushmetrics.receiver.metrics import DeliveryCounter
from airflow_provider_pushmetrics.receiver.runtime import UNAVAILABLE, RuntimeOpener
from airflow_provider_pushmetrics.receiver.settings import ReceiverSettings
from airflow_provider_pushmetrics.serving.logs import ThrottledLog

log = logging.getLogger(__name__)

RECEIVED_PATH = "pushmetrics.received_path"
"""The key of the original path in the scope."""


class ReceiverApp(Starlette):
    """
    The receiver.

    A webhook bypasses the framework: routing, middleware and request objects cost
    more than everything else.
    """

    ingest: Ingest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a webhook to the ingest, and every other request to the routes."""
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        path = find_route_path(scope["path"], scope.get("root_path", ""))
        source = find_source(path) if scope["method"] == "POST" else None
        if source is None:
            routed = {**scope, "path": path, "root_path": "", RECEIVED_PATH: scope["path"]}
            await super().__call__(routed, receive, send)
        else:
            await self.ingest({**scope, "path_params": {"source": source}}, receive, send)


def create_app(
    settings: ReceiverSettings, reload: Callable[[], Access] | None = None, *, ages: Ages = AGES
) -> ReceiverApp:
    """
    Build the receiver. The inbox is opened at the first request, or when the server starts.

    :param settings: The receiver's settings.
    :param reload: Reads the credentials again; None if they do not change.
    :param ages: How old credentials may become.
    :return: The app; its ``state.runtime`` opens and closes the inbox.
    :raises PushMetricsConfigurationError: if a signing secret is invalid.
    """
    runtime = RuntimeOpener(settings.inbox, settings.keep_days, settings.listen_url)
    counter = DeliveryCounter()
    access = CurrentAccess(Access(settings.sources, settings.reader_token), reload, ages=ages)

    @asynccontextmanager
    async def live(_app: Starlette) -> AsyncIterator[None]:
        await runtime.get()
        yield
        await asyncio.to_thread(runtime.close)

    ingest = Ingest(settings, access, runtime, counter)
    app = ReceiverApp(
        routes=_build_routes(ingest, Reader(settings, access, runtime, counter)),
        exception_handlers={
            Refusal: _answer_refusal,
            HTTPException: _answer_http_exception,
            SQLAlchemyError: _answer_database_error,
            ClientDisconnect: _answer_disconnected,
        },
        lifespan=live,
    )
    app.ingest = ingest
    app.router.redirect_slashes = False  # a redirect would forward the token
    app.state.runtime = runtime
    app.state.outage = ThrottledLog(log)
    return app


def _build_routes(ingest: Ingest, reader: Reader) -> list[Route]:
    guard = reader.guard
    return [
        Route("/webhooks/{source}", ingest, methods=["POST"]),
        Route("/events", guard(reader.list_events), methods=["GET"]),
        Route("/events/replay", guard(reader.replay_range), methods=["POST"]),
        Route("/events/{id}", guard(reader.get_event), methods=["GET"]),
        Route("/events/{id}/replay", guard(reader.replay), methods=["POST"]),
        Route("/cursor", guard(reader.get_cursor), methods=["GET"]),
        Route("/consumers/{name}", guard(reader.get_consumer), methods=["GET"]),
        Route("/consumers/{name}", guard(reader.put_consumer), methods=["PUT"]),
        Route("/rejections", guard(reader.list_rejections), methods=["GET"]),
        Route("/metrics", guard(reader.get_metrics), methods=["GET"]),
        Route("/health/ready", reader.check_ready, methods=["GET"]),
        Route("/health/live", _answer_live, methods=["GET"]),
    ]


async def _answer_live(request: Request) -> Response:
    return JSONResponse({"status": "live"})


async def _answer_refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)  # registered for this class
    return JSONResponse({"message": str(error)}, error.status_code, headers=dict(error.headers))


async def _answer_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # registered for this class
    if request.method not in ("GET", "HEAD", "OPTIONS"):
        request.app.ingest.record_unknown_path(request.scope, request.scope[RECEIVED_PATH], error.status_code)
    return JSONResponse({"message": f"{error.detail}."}, error.status_code, headers=error.headers)


async def _answer_database_error(request: Request, error: Exception) -> Response:
    reason = getattr(error, "orig", None) or type(error).__name__
    request.app.state.outage.error("The inbox could not be used: %s", reason)
    return await _answer_refusal(request, Unavailable(UNAVAILABLE))


async def _answer_disconnected(request: Request, error: Exception) -> Response:
    return Response(status_code=499)  # the sender disconnected before its body was complete
