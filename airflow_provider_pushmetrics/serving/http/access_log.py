"""One line of log for each request: method, path, status and time."""

from __future__ import annotations

import logging
import time
from urllib.parse import quote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airflow_provider_pushmetrics.redaction import REDACTED, redact

MAX_PATH_LENGTH = 200


class AccessLog:
    """
    Logs the requests to an app, without their query strings, which may contain tokens.

    :param app: The app.
    :param logger: The name of the logger.
    """

    def __init__(self, app: ASGIApp, logger: str) -> None:
        self._app = app
        self._log = logging.getLogger(logger)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and log it when the response is complete."""
        if scope["type"] != "http" or not self._log.isEnabledFor(logging.INFO):
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), "-"  # unchanged if the client disconnects

        async def send_and_record(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, send_and_record)
        except Exception:
            status = "500" if status == "-" else status  # the server's response to an exception of the app
            raise
        finally:
            milliseconds = (time.perf_counter() - started) * 1000
            self._log.info(
                "%s %s %s %.1f ms", scope["method"], describe_path(scope["path"]), status, milliseconds
            )


def describe_path(path: str) -> str:
    """Format a path as one word, shortened, and without anything that looks like a credential."""
    # Quoted, so that a path cannot forge a line of the log.
    return quote(redact(path[:MAX_PATH_LENGTH]), safe=f"/{REDACTED}", errors="replace")[:MAX_PATH_LENGTH]
