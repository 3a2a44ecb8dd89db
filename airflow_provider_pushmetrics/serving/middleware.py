"""Limits of bodies, answers that are not stored on their way, and a log line that holds no token."""

from __future__ import annotations

import logging
import time
from urllib.parse import quote

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

access_log = logging.getLogger("airflow_provider_pushmetrics.service.access")

TOO_LARGE = "The body is too large"


class BodyLimit:
    """
    Refuses long bodies, with and without ``Content-Length``, before they are in memory.

    :param max_body_bytes: The longest that is taken.
    """

    def __init__(self, app: ASGIApp, max_body_bytes: int) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, its body counted as it comes."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._declares_too_much(scope):
            await self._build_refusal()(scope, receive, send)
            return
        received = 0

        async def receive_counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._max_body_bytes:
                raise HTTPException(413, self._describe())
            return message

        await self._app(scope, receive_counted, send)

    def _declares_too_much(self, scope: Scope) -> bool:
        for name, value in scope["headers"]:
            if name == b"content-length":
                return bool(value.isdigit() and (len(value) > 18 or int(value) > self._max_body_bytes))
        return False

    def _build_refusal(self) -> JSONResponse:
        # The rest of the body is not read: the connection ends with this answer.
        return JSONResponse({"message": self._describe()}, 413, headers={"Connection": "close"})

    def _describe(self) -> str:
        return f"{TOO_LARGE}: at most {self._max_body_bytes} bytes are taken"


class NoStore:
    """
    Forbids that an answer is stored on its way, unless the answer says something else.

    Tokens and secrets are shown by several calls: a default cannot be forgotten by the next one.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and complete the head of its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_completed(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, send_completed)


class AccessLog:
    """Logs each request's method, path, status and time; not the query string, where a token may be."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and log its end."""
        if scope["type"] != "http" or not access_log.isEnabledFor(logging.INFO):
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 500

        async def send_noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_noting)
        finally:
            milliseconds = (time.perf_counter() - began) * 1000
            # Quoted again, so that a path cannot forge a line of the log.
            access_log.info("%s %s %d %.1f ms", scope["method"], quote(scope["path"]), status, milliseconds)
