"""The service as an ASGI application."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import cached_property
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError, ResponseValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from sqlalchemy.exc import DataError, IntegrityError, NoResultFound
from sqlalchemy.orm.exc import ObjectDeletedError, StaleDataError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Lifespan

from airflow_provider_pushmetrics import __version__
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsConflictError,
    PushMetricsEndpointError,
    PushMetricsParameterError,
    PushMetricsUnavailableError,
)
from airflow_provider_pushmetrics.service.api import (
    blocks,
    catalogs,
    databases,
    deliveries,
    health,
    messages,
    metrics,
    notifications,
    report_configs,
    reports,
    results,
    roles,
    run_logs,
    runs,
    schedules,
    subscriptions,
    token_exchange,
    tokens,
    trigger_calls,
    triggers,
    user_tokens,
    users,
    workspaces,
)
from airflow_provider_pushmetrics.service.api.conventions.document import (
    CONTACT,
    DESCRIPTION,
    LICENSE,
    SUMMARY,
    TAGS,
    TITLE,
    complete,
)
from airflow_provider_pushmetrics.service.api.conventions.lookup import NOT_FOUND
from airflow_provider_pushmetrics.service.api.conventions.methods import list_methods
from airflow_provider_pushmetrics.service.api.conventions.routers import add_routes
from airflow_provider_pushmetrics.service.reports.block_graph import PlanError
from airflow_provider_pushmetrics.service.reports.block_types import ContentError
from airflow_provider_pushmetrics.service.results.stored_result import ResultError, ResultGoneError
from airflow_provider_pushmetrics.service.runtime import ServiceParts, assemble
from airflow_provider_pushmetrics.service.settings import ServiceSettings
from airflow_provider_pushmetrics.service.web import (
    activity,
    block_results,
    folders,
    live,
    notebook,
    pages,
    redirects,
    sessions,
    unsaved_blocks,
)
from airflow_provider_pushmetrics.serving.http.access_log import AccessLog
from airflow_provider_pushmetrics.serving.http.body_limit import BodyLimit
from airflow_provider_pushmetrics.serving.http.compression import Compression
from airflow_provider_pushmetrics.serving.http.headers import NoStore
from airflow_provider_pushmetrics.serving.http.request_spans import RequestSpans
from airflow_provider_pushmetrics.serving.logs import ThrottledLog
from airflow_provider_pushmetrics.serving.parameter_types import ParameterValueError
from airflow_provider_pushmetrics.serving.process_start import DEADLOCK, UNAVAILABLE, find_sqlstate

ROUTERS = (
    health.router, metrics.router, trigger_calls.router, results.router, token_exchange.router,
    users.router, user_tokens.router, roles.router, workspaces.router, tokens.router, report_configs.router,
    reports.router, runs.router, run_logs.router, blocks.router, databases.router, catalogs.router,
    schedules.router, triggers.router, subscriptions.router, deliveries.router, messages.router,
    notifications.router,
    redirects.router, sessions.router, block_results.router, activity.router, live.router, notebook.router,
    unsaved_blocks.router, folders.router, pages.router,
)  # fmt: skip
"""The pages are last: they match every URL that the others do not."""

ACCESS_LOGGER = "airflow_provider_pushmetrics.service.access"

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 1024 * 1024
"""A longer request body is refused."""

UNFIT = "an answer does not fit its schema"

outages = ThrottledLog(logging.getLogger(__name__))

Handler = Callable[[Request, Any], Coroutine[Any, Any, Response]]


class ServiceApp(FastAPI):
    """Describes itself in an OpenAPI document."""

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document, built on first use."""
        if self.openapi_schema is None:
            self.openapi_schema = complete(super().openapi())
        return self.openapi_schema

    def setup(self) -> None:
        """Add the route of the document. FastAPI's own writes it anew for each request, without a token."""
        self.add_route("/openapi.json", self._send_document, include_in_schema=False)

    async def _send_document(self, request: Request) -> Response:
        return Response(self._document, media_type="application/json")

    @cached_property
    def _document(self) -> bytes:
        return bytes(JSONResponse(self.openapi()).body)


def create_app(settings: ServiceSettings) -> FastAPI:
    """Build the application; its lifespan starts and stops its parts."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # In threads: all of it takes its time.
        parts = await asyncio.to_thread(assemble, settings)
        await asyncio.to_thread(parts.start)
        app.state.parts = parts
        try:
            yield
        finally:
            await asyncio.to_thread(parts.stop)

    return _make_app(settings, lifespan)


def build_app(parts: ServiceParts) -> FastAPI:
    """Build the application around parts that the caller starts and stops."""
    app = _make_app(parts.settings, None)
    app.state.parts = parts
    return app


def _make_app(settings: ServiceSettings, lifespan: Lifespan[FastAPI] | None) -> FastAPI:
    app = ServiceApp(
        title=TITLE,
        summary=SUMMARY,
        description=DESCRIPTION,
        version=__version__,
        contact=CONTACT,
        license_info=LICENSE,
        servers=[{"url": settings.base_url, "description": "This service"}],
        openapi_tags=[{"name": name, "description": text} for name, text in TAGS.items()],
        lifespan=lifespan,
        # Those pages would load external scripts, which could use the session's cookie.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers=HANDLERS,
    )
    add_routes(app, *ROUTERS)
    app.add_middleware(BodyLimit, max_body_bytes=MAX_BODY_BYTES)
    app.add_middleware(Compression, is_reading=lambda path: path.startswith(f"{results.router.prefix}/"))
    app.add_middleware(NoStore)
    app.add_middleware(AccessLog, logger=ACCESS_LOGGER)
    app.add_middleware(RequestSpans)
    return app


async def _answer_http(request: Request, error: HTTPException) -> JSONResponse:
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = ", ".join(list_methods(request.app.routes, request.scope))
    return JSONResponse({"message": str(error.detail)}, error.status_code, headers=headers)


async def _answer_invalid(request: Request, error: RequestValidationError) -> JSONResponse:
    faults = error.errors()
    if any(fault["type"] == "json_invalid" for fault in faults):
        return JSONResponse({"message": "Request is not JSON"}, 400)
    message = "; ".join(
        f"{'.'.join(str(part) for part in fault['loc'][1:]) or 'body'}: {fault['msg']}"
        for fault in faults[:5]
    )
    return JSONResponse({"message": message}, 422)


async def _answer_unfit(request: Request, error: ResponseValidationError) -> Response:
    """
    Send a response that does not match its schema, and log the mismatch; tests fail on that log line.

    The operation is already done. An error would make the client repeat it.
    """
    route: APIRoute = request.scope["route"]
    meant: Response = request.state.response
    faults = "; ".join(f"{fault['loc'][1:]}: {fault['msg']}" for fault in error.errors()[:5])
    log.error("%s of %s %s: %s", UNFIT, request.method, route.path, faults)
    answer = JSONResponse(jsonable_encoder(error.body), meant.status_code or route.status_code or 200)
    answer.raw_headers.extend(meant.raw_headers)
    return answer


def _answer_with(status: int, message: str | None = None) -> Handler:
    """Build a handler that responds with a fixed message, by default that of the error."""

    async def answer(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"message": message or str(error)}, status)

    return answer


async def _answer_unavailable(request: Request, error: Exception) -> JSONResponse:
    """Respond with 503 and ``Retry-After``; log the driver's message without the statement."""
    if find_sqlstate(error) == DEADLOCK:
        return JSONResponse({"message": "It conflicts with another request: send it again"}, 409)
    outages.warning("the database does not answer: %s", getattr(error, "orig", None) or type(error).__name__)
    headers = {"Retry-After": str(health.UNREADY_RETRY_SECONDS)}
    return JSONResponse({"message": health.DATABASE_AWAY}, 503, headers=headers)


async def _answer_busy(request: Request, error: PushMetricsUnavailableError) -> JSONResponse:
    headers = {"Retry-After": f"{error.retry_after_seconds:.0f}"}
    return JSONResponse({"message": str(error)}, error.status_code or 503, headers=headers)


HANDLERS: dict[int | type[Exception], Handler] = {
    HTTPException: _answer_http,
    RequestValidationError: _answer_invalid,
    ResponseValidationError: _answer_unfit,
    **dict.fromkeys((ContentError, ParameterValueError, PlanError), _answer_with(422)),
    PushMetricsParameterError: _answer_with(400),
    PushMetricsEndpointError: _answer_with(422),
    PushMetricsConflictError: _answer_with(409),
    PushMetricsUnavailableError: _answer_busy,
    ResultGoneError: _answer_with(404, results.NO_LONGER_KEPT),
    ResultError: _answer_with(500),
    # Nobody reads it: the client left, or was too slow, before its body was complete.
    ClientDisconnect: _answer_with(408, "The body did not arrive"),
    # The database rejects a value; its message would contain the statement.
    DataError: _answer_with(400, "Arguments are not correct"),
    # Concurrent requests conflict, or a reference prevents a deletion.
    IntegrityError: _answer_with(409, "It conflicts with what is stored"),
    # A row, such as the workspace, was deleted after the request had found it.
    **dict.fromkeys((NoResultFound, ObjectDeletedError, StaleDataError), _answer_with(404, NOT_FOUND)),
    **dict.fromkeys(UNAVAILABLE, _answer_unavailable),
    # The log has the traceback.
    Exception: _answer_with(500, "Internal error"),
}
