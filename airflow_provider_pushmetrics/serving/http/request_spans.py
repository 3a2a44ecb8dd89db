"""A span for each request, which continues the trace of its sender."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airflow_provider_pushmetrics.serving.traces import Span, span
from airflow_provider_pushmetrics.tracing import TRACEPARENT

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
UNTRACED = frozenset({"/health/live", "/health/ready", "/metrics", "/app/changes"})
"""What is asked all the time, and tells of no work."""


class RequestSpans:
    """
    Measures the requests to an app, without their URLs, which may contain tokens.

    :param app: The app.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, in a span."""
        if scope["type"] != "http" or scope["path"] in UNTRACED:
            await self._app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in METHODS else "_OTHER"
        facts = {"http.request.method": method, "url.scheme": scope.get("scheme", "http")}
        with span(method, parent=_find_parent(scope), kind="server", facts=facts) as request:

            async def send_and_record(message: Message) -> None:
                if message["type"] == "http.response.start":
                    record_status(request, message["status"])
                await send(message)

            try:
                await self._app(scope, receive, send_and_record)
            finally:
                if (route := getattr(scope.get("route"), "path", None)) is not None:
                    request.rename(f"{method} {route}")
                    request.add({"http.route": route})


def record_status(request: Span, status: int) -> None:
    """Record the status of the answer of a server."""
    request.add({"http.response.status_code": status})
    if status >= 500:
        request.fail(str(status))


def _find_parent(scope: Scope) -> str | None:
    name = TRACEPARENT.encode("ascii")
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), None)
