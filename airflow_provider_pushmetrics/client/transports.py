"""The two drivers that run a call: one on ``requests``, one on ``aiohttp``."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import aiohttp
import requests
from requests.structures import CaseInsensitiveDict

from airflow_provider_pushmetrics.client.messages import Call, NetworkError, Pause, Request, Response, T
from airflow_provider_pushmetrics.redaction import redact

MAX_BODY_BYTES = 256 * 1024 * 1024
"""What is read into memory at the most; larger results are streamed to a file instead."""

CHUNK_BYTES = 256 * 1024


@dataclass
class SyncTransport:
    """
    Run calls on a ``requests`` session, in the calling thread.

    :param session: With proxies and TLS as the connection says.
    :param timeout_seconds: The connection's own timeout; None leaves each request its own.
    """

    session: requests.Session
    timeout_seconds: float | None = None
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)

    def run(self, call: Call[T]) -> T:
        """Run a call to its end and return what it found out."""
        try:
            step = next(call)
            while True:
                step = self._answer(call, step)
        except StopIteration as end:
            result: T = end.value
            return result

    def _answer(self, call: Call[T], step: Request | Pause) -> Request | Pause:
        if isinstance(step, Pause):
            self.sleep(step.seconds)
            return call.send(None)
        try:
            with self.stream(step) as (response, chunks):
                body = _join(chunks)
        except NetworkError as error:
            return call.throw(error)
        return call.send(Response(response.status_code, response.headers, body))

    @contextmanager
    def stream(self, request: Request) -> Iterator[tuple[Response, Iterator[bytes]]]:
        """
        Send a request and read the answer's body piece by piece; the response's own body is empty.

        :raises NetworkError: if there is no answer, or it breaks off.
        """
        seconds = self.timeout_seconds or request.timeout_seconds
        with _translate_requests_errors():
            answer = self.session.request(
                request.method,
                request.url,
                headers=dict(request.headers),
                json=request.json_body,
                timeout=(seconds, seconds + request.held_seconds),
                allow_redirects=False,
                stream=True,
            )
        with answer, _translate_requests_errors():
            headers = {name.lower(): value for name, value in CaseInsensitiveDict(answer.headers).items()}
            yield Response(answer.status_code, headers, b""), answer.iter_content(CHUNK_BYTES)


@dataclass
class AsyncTransport:
    """
    Run calls on an ``aiohttp`` session, in its event loop.

    :param session: With proxies and TLS as the connection says.
    :param options: Further arguments of each request, such as ``proxy`` and ``ssl``.
    :param timeout_seconds: The connection's own timeout; None leaves each request its own.
    """

    session: aiohttp.ClientSession
    options: dict[str, Any] = field(default_factory=dict)
    timeout_seconds: float | None = None

    async def run(self, call: Call[T]) -> T:
        """Run a call to its end and return what it found out."""
        try:
            step = next(call)
            while True:
                resume = await self._answer(call, step)
                step = resume()
        except StopIteration as end:
            result: T = end.value
            return result

    async def _answer(self, call: Call[T], step: Request | Pause) -> Callable[[], Request | Pause]:
        """Do a step, and say how the call goes on: its end, StopIteration, cannot leave a coroutine."""
        if isinstance(step, Pause):
            await asyncio.sleep(step.seconds)
            return partial(call.send, None)
        try:
            response = await self._send(step)
        except NetworkError as error:
            return partial(call.throw, error)
        return partial(call.send, response)

    async def _send(self, request: Request) -> Response:
        seconds = self.timeout_seconds or request.timeout_seconds
        async with (
            _translate_aiohttp_errors(),
            self.session.request(
                request.method,
                request.url,
                headers=dict(request.headers),
                json=request.json_body,
                timeout=aiohttp.ClientTimeout(sock_connect=seconds, sock_read=seconds + request.held_seconds),
                allow_redirects=False,
                **self.options,
            ) as answer,
        ):
            body = bytearray()
            async for chunk in answer.content.iter_chunked(CHUNK_BYTES):
                body += chunk
                _refuse_oversize(len(body))
            headers = {name.lower(): value for name, value in answer.headers.items()}
            return Response(answer.status, headers, bytes(body))


def _join(chunks: Iterator[bytes]) -> bytes:
    body = bytearray()
    for chunk in chunks:
        body += chunk
        _refuse_oversize(len(body))
    return bytes(body)


def _refuse_oversize(size: int) -> None:
    if size > MAX_BODY_BYTES:
        raise NetworkError(
            f"the answer has more than {MAX_BODY_BYTES} bytes. Save the result to a file instead.",
            was_sent=True,
        )


@contextmanager
def _translate_requests_errors() -> Iterator[None]:
    """Turn the errors of ``requests``, whose texts hold whole URLs, into ours, which hold no token."""
    try:
        yield
    except (requests.ConnectTimeout, requests.exceptions.ProxyError, requests.exceptions.SSLError) as error:
        raise NetworkError(_describe(error), was_sent=False) from None
    except requests.ConnectionError as error:
        raise NetworkError(_describe(error), was_sent=not _is_connect_failure(error)) from None
    except requests.RequestException as error:
        raise NetworkError(_describe(error), was_sent=True) from None


@asynccontextmanager
async def _translate_aiohttp_errors() -> AsyncIterator[None]:
    try:
        yield
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
        raise NetworkError(_describe(error), was_sent=False) from None
    except (aiohttp.ClientError, TimeoutError) as error:
        raise NetworkError(_describe(error), was_sent=True) from None


def _is_connect_failure(error: requests.ConnectionError) -> bool:
    """Tell a connection that never came about from one that broke: only urllib3's reason says which."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return type(reason).__name__ in {"NewConnectionError", "ConnectTimeoutError", "NameResolutionError"}


def _describe(error: Exception) -> str:
    return redact(f"{type(error).__name__}: {error}")[:500]
