"""The compression of answers by gzip."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airflow_provider_pushmetrics.serving.http.headers import parse_accept

MINIMUM_BYTES = 1000
"""Shorter answers fit into one packet, compressed or not."""

LEVEL = 1
"""The fastest: for CSV, level 6 takes five times its time to save another tenth of the bytes."""

THREAD_BYTES = 64 * 1024
"""Longer pieces are compressed in a thread: the event loop would wait some milliseconds for each."""

MEDIA_TYPES = frozenset(
    {
        "application/json",
        "application/x-ndjson",
        "image/svg+xml",
        "text/csv",
        "text/plain",
    }
)
"""Text. XLSX and Parquet are compressed already, and server-sent events must not wait."""

GZIP_FORMAT = 16 + zlib.MAX_WBITS

NO_TRANSFORM = "no-transform"
"""The directive of ``Cache-Control`` by which an answer forbids it (RFC 9111, section 5.2.2.6)."""


class Compression:
    """
    Compresses the answers to GET requests, and to the requests that a condition names.

    The length of a compressed answer reveals whether a text that somebody else chose is equal to a secret in
    it (the attack BREACH). So answers to other requests, which may contain new tokens, are not compressed.
    Routes whose answers contain secrets forbid it by ``Cache-Control: no-transform``.

    :param app: The app.
    :param is_reading: Whether a request of another method only reads, by its path.
    """

    # Not starlette's GZipMiddleware: it gives one strong ETag to both representations, takes "gzip;q=0" for
    # gzip, and compresses answers to all methods.

    def __init__(self, app: ASGIApp, is_reading: Callable[[str], bool] = lambda path: False) -> None:
        self._app = app
        self._is_reading = is_reading

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and compress its answer."""
        if scope["type"] != "http" or not self._may_compress(scope):
            await self._app(scope, receive, send)
            return
        await self._app(scope, receive, _Answer(Headers(scope=scope), send).send)

    def _may_compress(self, scope: Scope) -> bool:
        return scope["method"] == "GET" or self._is_reading(scope["path"])


class _Answer:
    """An answer on its way to the client."""

    def __init__(self, request: Headers, send: Send) -> None:
        self._request = request
        self._send = send
        self._start: Message | None = None
        self._compressor = None if not _accepts_gzip(request) else zlib.compressobj(LEVEL, wbits=GZIP_FORMAT)

    async def send(self, message: Message) -> None:
        """Send a message of the app, compressed if it is a part of a body that can be."""
        if message["type"] == "http.response.start":
            await self._begin(message)
        elif message["type"] != "http.response.body" or self._compressor is None:
            await self._send(message)
        else:
            await self._continue(self._compressor, message)

    async def _begin(self, start: Message) -> None:
        headers = MutableHeaders(scope=start)
        if start["status"] == 304:
            _vary(headers)
            self._name_known_tag(headers)
        if not _is_text(start["status"], headers):
            self._compressor = None
        else:
            _vary(headers)
        if self._compressor is None:
            await self._send(start)
        else:
            self._start = start  # whether it is compressed depends on the first piece of the body

    async def _continue(self, compressor: zlib._Compress, message: Message) -> None:
        body, has_more = message.get("body", b""), message.get("more_body", False)
        start, self._start = self._start, None
        if start is not None and not has_more and len(body) < MINIMUM_BYTES:
            self._compressor = None
            await self._send(start)
            await self._send(message)
            return
        if len(body) < THREAD_BYTES:
            compressed = _compress(compressor, body, has_more)
        else:
            compressed = await asyncio.to_thread(_compress, compressor, body, has_more)
        if start is not None:
            _describe_compressed(MutableHeaders(scope=start), None if has_more else len(compressed))
            await self._send(start)
        if compressed or not has_more:
            await self._send({**message, "body": compressed})

    def _name_known_tag(self, headers: MutableHeaders) -> None:
        """Give the client the tag by which it knows what it has: of a compressed answer, the weak one."""
        weak = f"W/{headers.get('etag')}"
        if weak in (one.strip() for one in self._request.get("if-none-match", "").split(",", 64)):
            headers["ETag"] = weak


def _accepts_gzip(request: Headers) -> bool:
    return parse_accept(request.get("accept-encoding")).get_named_weight("gzip") > 0


def _is_text(status: int, headers: Headers) -> bool:
    """Return whether an answer may be compressed: text, whole, not compressed yet, and without secrets."""
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    return (
        media_type in MEDIA_TYPES
        and status not in (204, 206, 304)
        and "content-encoding" not in headers
        and NO_TRANSFORM not in headers.get("cache-control", "")
    )


def _vary(headers: MutableHeaders) -> None:
    known = headers.get("vary", "").lower()
    if "accept-encoding" not in known and known.strip() != "*":
        headers.add_vary_header("Accept-Encoding")


def _describe_compressed(headers: MutableHeaders, length: int | None) -> None:
    headers["Content-Encoding"] = "gzip"
    del headers["Content-Length"]
    del headers["Accept-Ranges"]
    if length is not None:
        headers["Content-Length"] = str(length)
    if (tag := headers.get("etag")) is not None and not tag.startswith("W/"):
        headers["ETag"] = f"W/{tag}"  # other bytes have the same meaning


def _compress(compressor: zlib._Compress, body: bytes, has_more: bool) -> bytes:
    compressed = compressor.compress(body)
    return compressed if has_more else compressed + compressor.flush()
