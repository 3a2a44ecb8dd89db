"""Disconnecting clients that send requests too slowly, or endless heads: uvicorn waits forever."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

REQUEST_DEADLINE_SECONDS = 13.0
"""The maximum time of a request, from its first byte or from the connection to its last byte."""

TICKS_PER_SECOND = 10  # uvicorn's

MAX_HEAD_BYTES = 64 * 1024
TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
HEAD_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
)


class JoinedWrites:
    """
    A transport that sends the head of a response together with the body.

    Uvicorn writes them one after the other, and each would be a packet and a system call.

    :param transport: The transport.
    :param loop: Its event loop.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held = b""

    def write(self, data: bytes) -> None:
        """Send, or hold a head until the next write or until the loop is idle."""
        if self._held:
            data, self._held = self._held + data, b""
        elif data.startswith(b"HTTP/1.1 ") and data.endswith(b"\r\n\r\n"):
            self._held = data
            self._loop.call_soon(self._flush)
            return
        self._transport.write(data)

    def close(self) -> None:
        """Send the held data, then close."""
        self._flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def _flush(self) -> None:
        if self._held:
            data, self._held = self._held, b""
            self._transport.write(data)


class DeadlineProtocol(HttpToolsProtocol):
    """
    Uvicorn's HTTP protocol, which records when a request began to arrive.

    One sweep a second checks all connections: a timer for each request would cost more.
    """

    _arriving_since: float | None = None
    _head_bytes = 0
    _is_in_body = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timer: a connection that never sends a request is closed too."""
        self._arriving_since = self.loop.time()
        super().connection_made(JoinedWrites(transport, self.loop))  # type: ignore[arg-type]

    def on_message_begin(self) -> None:
        """Record that a head begins."""
        self._is_in_body = False
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Record that it is complete."""
        self._is_in_body = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Stop the timer."""
        self._arriving_since = None
        super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        """Start the timer, and limit the head's size."""
        if self._arriving_since is None:
            self._arriving_since = self.loop.time()
        super().data_received(data)
        if not self._is_in_body:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._hang_up(HEAD_TOO_LARGE)

    def hang_up_if_late(self, now: float, deadline_seconds: float) -> None:
        """Disconnect if the request is overdue."""
        since = self._arriving_since
        if since is not None and now - since > deadline_seconds:
            self._hang_up(TOO_SLOW)

    def _hang_up(self, answer: bytes) -> None:
        if self.transport.is_closing():
            return
        if not self._is_in_body:  # otherwise the app responds
            self.transport.write(answer)
        self.transport.close()


def sweep(connections: Iterable[Any], now: float, deadline_seconds: float = REQUEST_DEADLINE_SECONDS) -> None:
    """Disconnect every overdue connection."""
    for connection in list(connections):
        if isinstance(connection, DeadlineProtocol):
            connection.hang_up_if_late(now, deadline_seconds)


class DeadlineServer(uvicorn.Server):
    """
    Uvicorn, which disconnects overdue connections of :class:`DeadlineProtocol`.

    :param config: Uvicorn's settings; ``http`` is :class:`DeadlineProtocol`.
    :param request_deadline_seconds: The maximum time of a request until it has arrived.
    """

    def __init__(
        self, config: uvicorn.Config, *, request_deadline_seconds: float = REQUEST_DEADLINE_SECONDS
    ) -> None:
        super().__init__(config)
        self._request_deadline_seconds = request_deadline_seconds

    async def on_tick(self, counter: int) -> bool:
        """Check once a second for overdue connections."""
        if counter % TICKS_PER_SECOND == 0:
            now = asyncio.get_running_loop().time()
            sweep(self.server_state.connections, now, self._request_deadline_seconds)
        return await super().on_tick(counter)
