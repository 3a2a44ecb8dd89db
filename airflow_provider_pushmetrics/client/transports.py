"""The two drivers that run a call: one on ``requests``, one on ``aiohttp``."""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from urllib.parse import urlsplit

import aiohttp
import requests
import urllib3
from requests.structures import CaseInsensitiveDict
from requests.utils import get_environ_proxies, select_proxy
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from airflow_provider_pushmetrics.client.credentials import parse_origin
from airflow_provider_pushmetrics.client.protocol import Call, NetworkError, Pause, Request, Response, T
from airflow_provider_pushmetrics.redaction import redact

MAX_RESPONSE_BYTES = 256 * 1024 * 1024
"""What is read into memory at the most; larger results are streamed to a file instead."""

DOWNLOAD_CHUNK_BYTES = 1024 * 1024
TIMEOUTS_FOR_AN_ANSWER = 5
"""How many timeouts an answer kept in memory may take: a server that drips would hold a task for ever."""

MAX_CAUSES = 10
"""How deep to look for the reason of a failure; chains of errors may go in circles."""


@dataclass
class SyncTransport:
    """
    Run calls on a ``requests`` session, in the calling thread.

    :param session: With proxies and TLS as the connection says; these count before the environment's.
    :param timeout_seconds: The connection's own timeout; None leaves each request its own.
    :param max_body_bytes: What is read into memory at the most.
    """

    session: requests.Session
    timeout_seconds: float | None = None
    max_body_bytes: int = MAX_RESPONSE_BYTES
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)

    def run(self, call: Call[T]) -> T:
        """Run a call to its end and return what it found out."""
        return self._drive(call, self._send)

    @contextmanager
    def run_streaming(self, call: Call[Response]) -> Iterator[tuple[Response, Iterator[bytes]]]:
        """
        Run a call whose last request is streamed, and leave the body of a 200 to be read piece by piece.

        :raises NetworkError: if the answer breaks off while it is read.
        """
        with ExitStack() as opened:
            chunks: Iterator[bytes] = iter(())

            def send(request: Request) -> Response:
                nonlocal chunks
                opened.close()  # the answer before this one has been dealt with
                response, chunks = opened.enter_context(self.stream(request))
                if request.is_streamed and response.status_code == 200:
                    return response
                return replace(response, body=self._join(chunks))

            yield self._drive(call, send), chunks

    def _drive(self, call: Call[T], send: Callable[[Request], Response]) -> T:
        try:
            step = next(call)
            while True:
                step = self._answer(call, step, send)
        except StopIteration as end:
            result: T = end.value
            return result

    def _answer(
        self, call: Call[T], step: Request | Pause, send: Callable[[Request], Response]
    ) -> Request | Pause:
        if isinstance(step, Pause):
            self.sleep(step.seconds)
            return call.send(None)
        try:
            response = send(step)
        except NetworkError as error:
            failure = error
        else:
            return call.send(response)
        return call.throw(failure)  # from here, so that its traceback is not in that of what the call raises

    def _send(self, request: Request) -> Response:
        with self.stream(request) as (response, chunks):
            if request.is_streamed and response.status_code == 200:
                return response  # who runs it this way wants to know only whether it is there
            return replace(response, body=self._join(chunks))

    @contextmanager
    def stream(self, request: Request) -> Iterator[tuple[Response, Iterator[bytes]]]:
        """
        Send a request and read the answer's body piece by piece; the response's own body is empty.

        :raises NetworkError: if there is no answer, or it breaks off.
        """
        seconds = self.timeout_seconds or request.timeout_seconds
        with _translate_requests_errors(request.url):
            answer = self.session.request(
                request.method,
                request.url,
                headers=dict(request.headers),
                json=request.json_body,
                timeout=(seconds, seconds + request.held_seconds),
                auth=_keep_authorization,
                proxies=_list_proxy(request.url, self.session.proxies, self.session.trust_env),
                verify=self.session.verify,
                allow_redirects=False,
                stream=True,
            )
        with answer, _translate_requests_errors(request.url):
            headers = {name.lower(): value for name, value in CaseInsensitiveDict(answer.headers).items()}
            response = Response(answer.status_code, headers, b"")
            is_file = request.is_streamed and response.status_code == 200
            chunks = (
                answer.iter_content(DOWNLOAD_CHUNK_BYTES) if is_file else _iterate_in_time(answer, seconds)
            )
            yield response, chunks

    def _join(self, chunks: Iterator[bytes]) -> bytes:
        body = bytearray()
        for chunk in chunks:
            body += chunk
            _refuse_oversize(len(body), self.max_body_bytes)
        return bytes(body)


@dataclass
class AsyncTransport:
    """
    Run calls on an ``aiohttp`` session, in its event loop.

    :param session: The session; it must not trust the environment itself, because it would put a password of
        a ``.netrc`` file in the token's place.
    :param tls: Which servers are trusted, as ``aiohttp`` takes it.
    :param proxies: Proxy by scheme, as ``requests`` takes it.
    :param trust_env: Whether the proxies of the environment count where there is none of ours.
    :param timeout_seconds: The connection's own timeout; None leaves each request its own.
    :param max_body_bytes: What is read into memory at the most.
    """

    session: aiohttp.ClientSession
    tls: ssl.SSLContext | bool = True
    proxies: Mapping[str, str] = field(default_factory=dict)
    trust_env: bool = False
    timeout_seconds: float | None = None
    max_body_bytes: int = MAX_RESPONSE_BYTES

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
            _translate_aiohttp_errors(request.url),
            self.session.request(
                request.method,
                request.url,
                headers=dict(request.headers),
                json=request.json_body,
                timeout=aiohttp.ClientTimeout(sock_connect=seconds, sock_read=seconds + request.held_seconds),
                proxy=choose_proxy(request.url, self.proxies, self.trust_env),
                ssl=self.tls,
                skip_auto_headers=() if request.json_body is not None else ("Content-Type",),
                allow_redirects=False,
            ) as answer,
        ):
            headers = {name.lower(): value for name, value in answer.headers.items()}
            if request.is_streamed and answer.status == 200:
                answer.close()  # nobody reads the rest
                return Response(answer.status, headers, b"")
            body = bytearray()
            async with asyncio.timeout(seconds * TIMEOUTS_FOR_AN_ANSWER):
                async for chunk in answer.content.iter_chunked(DOWNLOAD_CHUNK_BYTES):
                    body += chunk
                    _refuse_oversize(len(body), self.max_body_bytes)
            return Response(answer.status, headers, bytes(body))


def choose_proxy(url: str, proxies: Mapping[str, str], trust_env: bool) -> str | None:
    """Choose the proxy for a URL: ours, else that of the environment, if it counts; None for none."""
    ours: str | None = select_proxy(url, dict(proxies))
    if ours is None and trust_env:
        ours = select_proxy(url, get_environ_proxies(url))
    return ours


def _list_proxy(url: str, proxies: Mapping[str, str], trust_env: bool) -> dict[str, str]:
    proxy = choose_proxy(url, proxies, trust_env)
    return {} if proxy is None else {urlsplit(url).scheme: proxy}


def _keep_authorization(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Leave the request alone; without this, ``requests`` puts what ``.netrc`` says in the token's place."""
    return request


def _iterate_in_time(answer: requests.Response, timeout_seconds: float) -> Iterator[bytes]:
    """Read an answer as it comes; ``iter_content`` would wait for a whole chunk, however slowly it fills."""
    deadline = time.monotonic() + timeout_seconds * TIMEOUTS_FOR_AN_ANSWER
    while chunk := answer.raw.read1(DOWNLOAD_CHUNK_BYTES, decode_content=True):
        yield chunk
        if time.monotonic() > deadline:
            raise requests.ReadTimeout(f"the answer was not complete after {TIMEOUTS_FOR_AN_ANSWER} timeouts")


def _refuse_oversize(size: int, max_body_bytes: int) -> None:
    if size > max_body_bytes:
        raise NetworkError(
            f"the answer has more than {max_body_bytes} bytes. Save the result to a file instead.",
            was_sent=True,
        )


@contextmanager
def _translate_requests_errors(url: str) -> Iterator[None]:
    """Turn the errors of ``requests``, whose texts hold whole URLs, into ours, which hold no token."""
    try:
        yield
    except requests.ConnectTimeout:
        raise NetworkError(_describe_unconnected(url, "it took too long"), was_sent=False) from None
    except requests.exceptions.ProxyError as error:
        # Also what a proxy's connection that breaks after the request is called.
        raise NetworkError(_describe(error), was_sent=not _is_connect_failure(error)) from None
    except requests.exceptions.SSLError as error:
        raise NetworkError(_describe(error), was_sent=not _is_distrust(error)) from None
    except requests.ConnectionError as error:
        if _is_connect_failure(error):
            raise NetworkError(_describe_unconnected(url, _find_reason(error)), was_sent=False) from None
        raise NetworkError(_describe(error), was_sent=True) from None
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise NetworkError(_describe(error), was_sent=True) from None


@asynccontextmanager
async def _translate_aiohttp_errors(url: str) -> AsyncIterator[None]:
    try:
        yield
    except (aiohttp.ClientSSLError, aiohttp.ClientProxyConnectionError) as error:
        raise NetworkError(_describe(error), was_sent=False) from None
    except aiohttp.ClientConnectorError as error:
        raise NetworkError(_describe_unconnected(url, _find_reason(error)), was_sent=False) from None
    except aiohttp.ConnectionTimeoutError:
        raise NetworkError(_describe_unconnected(url, "it took too long"), was_sent=False) from None
    except (aiohttp.ClientError, TimeoutError) as error:
        raise NetworkError(_describe(error), was_sent=True) from None


def _describe_unconnected(url: str, reason: str) -> str:
    """Say with whom there was no connection: libraries say it in nested errors, three lines long."""
    origin = parse_origin(url)
    whom = "the server" if origin is None else f"{origin[1]!r} at port {origin[2]}"
    return f"no connection to {whom} came about: {reason}"


def _find_reason(error: BaseException) -> str:
    """Find what the operating system says, at the bottom of a chain of errors."""
    reason, cause = type(error).__name__, error
    for _ in range(MAX_CAUSES):
        if isinstance(cause, OSError) and cause.strerror:
            number = cause.errno or 0  # name servers have numbers of their own, below zero
            reason = os.strerror(number) if number > 0 else cause.strerror
        below = getattr(cause, "reason", None) or cause.__cause__ or cause.__context__
        below = below or (cause.args[0] if cause.args else None)
        if not isinstance(below, BaseException):
            break
        cause = below
    return redact(reason)


def _is_connect_failure(error: requests.ConnectionError) -> bool:
    """Tell a connection that never came about from one that broke: only urllib3's reason says which."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    reason = getattr(reason, "original_error", reason)  # what went wrong with a proxy
    return isinstance(reason, (NewConnectionError, ConnectTimeoutError))


def _is_distrust(error: requests.exceptions.SSLError) -> bool:
    """Tell a server that was not trusted, and so never sent anything, from TLS that broke at any time."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return bool(reason and reason.args and isinstance(reason.args[0], ssl.SSLCertVerificationError))


def _describe(error: Exception) -> str:
    return redact(f"{type(error).__name__}: {error}")[:500]
