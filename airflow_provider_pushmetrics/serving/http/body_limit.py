"""The limit on the size of request bodies."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

TOO_LARGE = "The body is too large"


class BodyLimit:
    """
    Rejects large bodies, with and without ``Content-Length``, before they are in memory.

    :param app: The app.
    :param max_body_bytes: The largest accepted body.
    """

    def __init__(self, app: ASGIApp, max_body_bytes: int) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and count its body as it arrives."""
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
        # The rest of the body is not read: the connection is closed after this response.
        return JSONResponse({"message": self._describe()}, 413, headers={"Connection": "close"})

    def _describe(self) -> str:
        return f"{TOO_LARGE}: at most {self._max_body_bytes} bytes are accepted"
