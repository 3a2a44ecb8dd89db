"""Servers on loopback, in threads: a real HTTP server for ASGI apps, and one that says what it is told to."""

from __future__ import annotations

import os
import re
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager, suppress
from typing import Any

import uvicorn

from tests.fakes.waiting import wait_until

ASGIApp = Callable[..., Any]


class LoopbackServer:
    """An HTTP server whose app each test may replace: starting one is what takes time."""

    def __init__(self) -> None:
        self.url = ""
        self.app: ASGIApp | None = None

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        assert self.app is not None
        await self.app(scope, receive, send)


@contextmanager
def serve_http() -> Iterator[LoopbackServer]:
    """Serve over HTTP on a free port of loopback."""
    front = LoopbackServer()
    config = uvicorn.Config(
        front, log_level="critical", lifespan="off", ws="none", timeout_graceful_shutdown=1, access_log=False
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        front.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            wait_until(lambda: server.started, "the server")
            yield front
        finally:
            server.should_exit = True
            thread.join()


class RawServer(socketserver.ThreadingTCPServer):
    """
    A server that reads one request of each connection, sends some bytes and hangs up.

    :param reply: What it sends; None to say nothing until the test is over.
    :param tls: Speak TLS.
    :param breaks_tls: Send the reply past the TLS layer, so that it is no TLS record.
    """

    daemon_threads = True
    block_on_close = True

    def __init__(
        self,
        reply: bytes | None,
        *,
        tls: ssl.SSLContext | None = None,
        breaks_tls: bool = False,
        host: str = "127.0.0.1",
    ) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, 0), _RawHandler)
        self.reply = reply
        self.tls = tls
        self.breaks_tls = breaks_tls
        self.requests: list[bytes] = []
        self.is_over = threading.Event()

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.server_address[1]}"


class _RawHandler(socketserver.BaseRequestHandler):
    server: RawServer

    def handle(self) -> None:
        connection: socket.socket = self.request
        if self.server.tls:
            try:
                connection = self.server.tls.wrap_socket(connection, server_side=True)
            except (ssl.SSLError, OSError):
                return  # the client does not trust us
        with connection:
            request = _read_request(connection)
            if not request:
                return
            self.server.requests.append(request)
            if self.server.reply is None:
                self.server.is_over.wait()
            elif self.server.breaks_tls:
                os.write(connection.fileno(), self.server.reply)
            else:
                connection.sendall(self.server.reply)


def _read_request(connection: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        chunk = connection.recv(65536)
        if not chunk:
            return received
        received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    while length and len(body) < int(length[1]):
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


@contextmanager
def serve_raw(
    reply: bytes | None,
    *,
    tls: ssl.SSLContext | None = None,
    breaks_tls: bool = False,
    host: str = "127.0.0.1",
) -> Iterator[RawServer]:
    """Serve some bytes on a free port of loopback."""
    with RawServer(reply, tls=tls, breaks_tls=breaks_tls, host=host) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.is_over.set()
            server.shutdown()
            thread.join()


@contextmanager
def serve_connection(answer: Callable[[socket.socket, threading.Event], None]) -> Iterator[int]:
    """
    Serve one connection in a thread, and give the port.

    :param answer: Answers; it returns when the event is set, or when the connection is closed.
    """
    stopping = threading.Event()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            answer(connection, stopping)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            stopping.set()
            thread.join(120)
