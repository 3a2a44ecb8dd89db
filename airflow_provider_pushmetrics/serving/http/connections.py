"""
Limits of the connections of a server.

Uvicorn waits forever for a slow client, and takes heads of any size and any number of connections.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import sys
import termios
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address
from typing import Any, Literal

import uvicorn
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from airflow_provider_pushmetrics.serving.logs import ThrottledLog
from airflow_provider_pushmetrics.serving.options import CONNECTIONS_PER_ADDRESS

REQUEST_DEADLINE_SECONDS = 13.0
"""The maximum time of a request, from its first byte or from the connection to its last byte."""

STALL_SECONDS = 120.0
"""The maximum time in which a client reads nothing of a response that waits for it."""

TICKS_PER_SECOND = 10  # uvicorn's

MAX_HEAD_BYTES = 64 * 1024
"""The maximum size of a request line with all headers, and of all trailers."""

IPV6_NETWORK_BITS = 64
"""The size of a network that one client may have to itself (RFC 6177)."""

log = logging.getLogger(__name__)


def build_response(status: HTTPStatus, message: str, *headers: str) -> bytes:
    """Build a response that ends its connection, for a request that the app does not see."""
    body = json.dumps({"message": message})
    lines = (f"HTTP/1.1 {status.value} {status.phrase}", "connection: close", *headers)
    head = "\r\n".join((*lines, "content-type: application/json", f"content-length: {len(body)}"))
    return f"{head}\r\n\r\n{body}".encode("ascii")


HEAD_TOO_LARGE_MESSAGE = f"The headers are too large: at most {MAX_HEAD_BYTES} bytes are accepted"
TOO_SLOW = build_response(HTTPStatus.REQUEST_TIMEOUT, "The request did not arrive in time")
HEAD_TOO_LARGE = build_response(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, HEAD_TOO_LARGE_MESSAGE)
TOO_MANY_CONNECTIONS = build_response(
    HTTPStatus.TOO_MANY_REQUESTS, "Too many connections from this address: try again later", "retry-after: 1"
)


async def refuse_head(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request whose complete head is too large, instead of the app."""
    status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
    answer = JSONResponse({"message": HEAD_TOO_LARGE_MESSAGE}, status, headers={"Connection": "close"})
    await answer(scope, receive, send)


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


class LimitedState(ServerState):
    """
    Uvicorn's state of a server, with the number of connections of each address.

    :param connections_per_address: The limit; 0 for none.
    """

    def __init__(self, connections_per_address: int) -> None:
        super().__init__()
        self._limit = connections_per_address
        self._counts: Counter[str] = Counter()
        self._excess = ThrottledLog(log)

    def add(self, client: tuple[str, int] | None) -> bool:
        """Count a new connection, and return whether it is within the limit."""
        group = group_address(client)
        self._counts[group] += 1
        if not group or not 0 < self._limit < self._counts[group]:
            return True
        self._excess.warning(
            "refused a connection from %s, which has %s: the limit is set by --connections-per-address",
            group,
            self._limit,
        )
        return False

    def remove(self, client: tuple[str, int] | None) -> None:
        """Forget a connection that has ended."""
        group = group_address(client)
        self._counts[group] -= 1
        if self._counts[group] <= 0:
            del self._counts[group]


def group_address(client: tuple[str, int] | None) -> str:
    """
    Return what the connections of a client are counted by.

    :return: The address, or the network of an IPv6 address; empty if unknown, as of a Unix socket.
    """
    if client is None:
        return ""
    try:
        address = ip_address(client[0].partition("%")[0])
    except ValueError:
        return client[0]
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    rest = 128 - IPV6_NETWORK_BITS
    return f"{IPv6Address(int(address) >> rest << rest)}/{IPV6_NETWORK_BITS}"


class LimitedProtocol(HttpToolsProtocol):
    """
    Uvicorn's HTTP protocol, which limits heads, and records when a request began to arrive.

    One sweep a second checks all connections: a timer for each request would cost more.
    """

    _arriving_since: float | None = None
    _is_in_body = False
    _last_bytes = 0
    """The size of the last data."""
    _head_bytes = 0
    """The size of what belongs to a head, or to trailers, in the data before the last."""
    _new_bytes = 0
    """The same, in the last data."""
    _unread = 0
    """How much the client has not read, when that was last different."""
    _unread_since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timer: a connection that never sends a request is closed too."""
        self._arriving_since = self.loop.time()
        super().connection_made(JoinedWrites(transport, self.loop))  # type: ignore[arg-type]
        if isinstance(self.server_state, LimitedState) and not self.server_state.add(self.client):
            self._hang_up(TOO_MANY_CONNECTIONS)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        if isinstance(self.server_state, LimitedState):
            self.server_state.remove(self.client)
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Record that a head begins."""
        self._is_in_body = False
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Record that it is complete, and refuse it if it is too large."""
        self._is_in_body = True
        if self._head_bytes + self._last_bytes > MAX_HEAD_BYTES and self._measure_head() > MAX_HEAD_BYTES:
            self.app = refuse_head
        super().on_headers_complete()
        self.headers = []  # trailers follow, which the app must not take for headers

    def on_body(self, body: bytes) -> None:
        """Record that a part of the body is complete: trailers, which are counted, may follow."""
        self._head_bytes = self._new_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Stop the timer."""
        self._arriving_since = None
        self._head_bytes = self._new_bytes = 0
        super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        """Start the timer, and limit the size of the head."""
        if self._arriving_since is None:
            self._arriving_since = self.loop.time()
        self._last_bytes = self._new_bytes = len(data)
        super().data_received(data)
        self._head_bytes += self._new_bytes
        if self._head_bytes > MAX_HEAD_BYTES:
            self._hang_up(HEAD_TOO_LARGE)

    def hang_up_if_late(self, now: float, deadline_seconds: float) -> None:
        """Disconnect if the request is overdue."""
        since = self._arriving_since
        if since is not None and now - since > deadline_seconds:
            self._hang_up(TOO_SLOW)

    def abort_if_stalled(self, now: float, stall_seconds: float) -> None:
        """Disconnect a client that has read nothing of its response for some time; closing waits for it."""
        unread = _measure_unread(self.transport)
        if not unread or unread != self._unread:
            self._unread, self._unread_since = unread, now
        elif now - self._unread_since > stall_seconds:
            self.transport.abort()

    def _measure_head(self) -> int:
        """Measure the request line and the headers as they were sent, without optional white space."""
        return len(self.url) + sum(len(name) + len(value) + len(b": \r\n") for name, value in self.headers)

    def _hang_up(self, answer: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._may_answer():
            self.transport.write(answer)
        self.transport.close()

    def _may_answer(self) -> bool:
        """Return whether no other response is on its way on this connection."""
        if self.cycle is None:
            return True
        if self._is_in_body:
            return not self.pipeline and not self.cycle.response_started
        return self.cycle.response_complete


def _measure_unread(transport: Any) -> int:
    """Measure what a client has not read, if more is waiting than the system has room for; else 0."""
    waiting: int = transport.get_write_buffer_size()
    if not waiting:
        return 0
    sent = bytearray(4)
    # The system takes more only in large pieces: a slow reader would seem to read nothing for minutes.
    with suppress(OSError, AttributeError):
        fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, sent)
    return waiting + int.from_bytes(sent, sys.byteorder)


def sweep(
    connections: Iterable[Any],
    now: float,
    deadline_seconds: float = REQUEST_DEADLINE_SECONDS,
    stall_seconds: float = STALL_SECONDS,
) -> None:
    """Disconnect every connection whose request is overdue, or whose client does not read."""
    for connection in list(connections):
        if isinstance(connection, LimitedProtocol):
            connection.hang_up_if_late(now, deadline_seconds)
            connection.abort_if_stalled(now, stall_seconds)


class LimitedServer(uvicorn.Server):
    """
    Uvicorn, which limits its connections.

    :param config: What :func:`build_config` builds.
    :param request_deadline_seconds: The maximum time of a request until it has arrived.
    :param stall_seconds: The maximum time in which a client reads nothing of a response that waits for it.
    :param connections_per_address: The maximum number of connections from one address; 0 for no limit.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        request_deadline_seconds: float = REQUEST_DEADLINE_SECONDS,
        stall_seconds: float = STALL_SECONDS,
        connections_per_address: int = CONNECTIONS_PER_ADDRESS,
    ) -> None:
        super().__init__(config)
        self._request_deadline_seconds = request_deadline_seconds
        self._stall_seconds = stall_seconds
        self.server_state = LimitedState(connections_per_address)

    async def on_tick(self, counter: int) -> bool:
        """Check once a second for overdue connections."""
        if counter % TICKS_PER_SECOND == 0:
            now = asyncio.get_running_loop().time()
            sweep(self.server_state.connections, now, self._request_deadline_seconds, self._stall_seconds)
        return await super().on_tick(counter)


def build_config(
    app: ASGIApp, *, lifespan: Literal["on", "off"], graceful_seconds: int, trusted_proxies: str = ""
) -> uvicorn.Config:
    """
    Build the settings of uvicorn for a :class:`LimitedServer`.

    :param graceful_seconds: How long running requests may take after a signal to stop.
    :param trusted_proxies: The addresses whose ``X-Forwarded-For`` is believed, separated by commas; none by
        default. Uvicorn would believe those of this machine, or of ``FORWARDED_ALLOW_IPS``.
    """
    return uvicorn.Config(
        app,
        http=LimitedProtocol,
        lifespan=lifespan,
        log_config=None,
        access_log=False,  # it would contain tokens
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=graceful_seconds,
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=trusted_proxies,
    )
