"""
The standalone receiver's access log: one line for each request.

The query string is left out, since a token may be in it.
"""

from __future__ import annotations

import logging
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airflow_provider_pushmetrics.redaction import redact

log = logging.getLogger(__name__)

MAX_PATH_LENGTH = 200


class AccessLog:
    """
    Logs method, path, status and time of each request to an app.

    :param app: The app.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and log it when it is answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, started = 0, time.perf_counter()

        async def note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, note_status)
        finally:
            elapsed_ms = (time.perf_counter() - started) * 1000
            log.info(
                "%s %s %s %.1f ms", scope["method"], describe_path(scope["path"]), status or "-", elapsed_ms
            )


def describe_path(path: str) -> str:
    """Write a path on one line, shortened, and without what looks like a credential."""
    return redact(ascii(path[:MAX_PATH_LENGTH])[1:-1])
