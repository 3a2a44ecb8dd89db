"""The two drivers that run a call: one on ``requests``, one on ``aiohttp``."""

from __future__ import annotations

import asyncio
import logging
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
from airflow_provider_pushmetrics.redaction import RedactingFilter, redact

for _name in ("urllib3.connectionpool", "urllib3.util.retry"):
    # At level DEBUG they log the paths of requests, and the URL of a trigger contains its token.
    logging.getLogger(_name).addFilter(RedactingFilter())

MAX_RESPONSE_BYTES = 256 * 1024 * 1024
"""The maximum size of a body in memory; larger results are streamed to a file."""

DOWNLOAD_CHUNK_BYTES = 1024 * 1024
TIMEOUTS_FOR_AN_ANSWER = 5
"""The maximum number of timeouts for a body in memory: a slow server would block a task indefinitely."""

MAX_CAUSES = 10
"""How deep to search for the reason of a failure; chains of errors may be circular."""


@dataclass
class SyncTransport:
    """
    Run calls on a ``requests`` session, in the calling thread.

    :param session: With the proxies and TLS settings of the connection, which override the environment's.
    :param timeout_seconds: The connection's timeout; None to use that of each request.
    :param max_body_bytes: The maximum size of a body in memory.
    """

    session: requests.Session
    timeout_seconds: float | None = None
    max_body_bytes: int = MAX_RESPONSE_BYTES
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)

    def run(self, call: Call[T]) -> T:
        """Run a call and return its result."""
        return self._drive(call, self._send)

    @contextmanager
    def run_streaming(self, call: Call[Response]) -> Iterator[tuple[Response, Iterator[bytes]]]:
        """
        Run a call whose last request is streamed; the caller reads the body of a 200 piece by piece.

        :raises NetworkError: if the response is interrupted while it is read.
        """
        with ExitStack() as opened:
            chunks: Iterator[bytes] = iter(())

            def send(request: Request) -> Response:
                nonlocal chunks
                opened.close()  # the previous response has been handled
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
        finally:
            call.close()  # at once, if it is left by an error or cancelled: other calls may wait for it

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
        return call.throw(failure)  # raised here, so that its traceback is not part of the call's error

    def _send(self, request: Request) -> Response:
        with self.stream(request) as (response, chunks):
            if request.is_streamed and response.status_code == 200:
                return response  # the caller of a streamed call only checks whether it exists
            head_bytes = request.head_bytes if response.status_code == 200 else None
            return replace(response, body=self._join(chunks, head_bytes))

    @contextmanager
    def stream(self, request: Request) -> Iterator[tuple[Response, Iterator[bytes]]]:
        """
        Send a request and read the response's body piece by piece; the response's own body is empty.

        :raises NetworkError: if there is no response, or it is interrupted.
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

    def _join(self, chunks: Iterator[bytes], head_bytes: int | None = None) -> bytes:
        body = bytearray()
        for chunk in chunks:
            body += chunk
            if head_bytes is not None and len(body) >= head_bytes:
                break
            _refuse_oversize(len(body), self.max_body_bytes)
        return bytes(body)


@dataclass
class AsyncTransport:
    """
    Run calls on an ``aiohttp`` session, in its event loop.

    :param session: The session. It must not trust the environment itself, because it would replace the token
        by a password of a ``.netrc`` file.
    :param tls: The trusted servers, as ``aiohttp`` accepts it.
    :param proxies: Proxy by scheme, as ``requests`` accepts it.
    :param trust_env: Whether the environment's proxies are used where the connection has none.
    :param timeout_seconds: The connection's timeout; None to use that of each request.
    :param max_body_bytes: The maximum size of a body in memory.
    """

    session: aiohttp.ClientSession
    tls: ssl.SSLContext | bool = True
    proxies: Mapping[str, str] = field(default_factory=dict)
    trust_env: bool = False
    timeout_seconds: float | None = None
    max_body_bytes: int = MAX_RESPONSE_BYTES

    async def run(self, call: Call[T]) -> T:
        """Run a call and return its result."""
        try:
            step = next(call)
            while True:
                resume = await self._answer(call, step)
                step = resume()
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            call.close()  # at once, if it is left by an error or cancelled: other calls may wait for it

    async def _answer(self, call: Call[T], step: Request | Pause) -> Callable[[], Request | Pause]:
        """Execute one step; return how to resume the call: StopIteration cannot leave a coroutine."""
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
                answer.close()  # the rest is not read
                return Response(answer.status, headers, b"")
            head_bytes = request.head_bytes if answer.status == 200 else None
            body = bytearray()
            async with asyncio.timeout(seconds * TIMEOUTS_FOR_AN_ANSWER):
                async for chunk in answer.content.iter_chunked(DOWNLOAD_CHUNK_BYTES):
                    body += chunk
                    if head_bytes is not None and len(body) >= head_bytes:
                        answer.close()
                        break
                    _refuse_oversize(len(body), self.max_body_bytes)
            return Response(answer.status, headers, bytes(body))


def choose_proxy(url: str, proxies: Mapping[str, str], trust_env: bool) -> str | None:
    """Choose the proxy for a URL: the connection's, else the environment's if trusted; None for none."""
    ours: str | None = select_proxy(url, dict(proxies))
    if ours is None and trust_env:
        ours = select_proxy(url, get_environ_proxies(url))
    return ours


def _list_proxy(url: str, proxies: Mapping[str, str], trust_env: bool) -> dict[str, str]:
    proxy = choose_proxy(url, proxies, trust_env)
    return {} if proxy is None else {urlsplit(url).scheme: proxy}


def _keep_authorization(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Keep the Authorization header; by default ``requests`` replaces it by a password of ``.netrc``."""
    return request


def _iterate_in_time(answer: requests.Response, timeout_seconds: float) -> Iterator[bytes]:
    """Read a response as it arrives; ``iter_content`` waits for a whole chunk, however slowly it arrives."""
    deadline = time.monotonic() + timeout_seconds * TIMEOUTS_FOR_AN_ANSWER
    while chunk := answer.raw.read1(DOWNLOAD_CHUNK_BYTES, decode_content=True):
        yield chunk
        if time.monotonic() > deadline:
            raise requests.ReadTimeout(f"the response was incomplete after {TIMEOUTS_FOR_AN_ANSWER} timeouts")


def _refuse_oversize(size: int, max_body_bytes: int) -> None:
    if size > max_body_bytes:
        raise NetworkError(
            f"the response has more than {max_body_bytes} bytes. Save the result to a file instead.",
            was_sent=True,
        )


@contextmanager
def _translate_requests_errors(url: str) -> Iterator[None]:
    """Turn the errors of ``requests``, whose messages contain whole URLs, into ours without tokens."""
    try:
        yield
    except requests.ConnectTimeout:
        raise NetworkError(_describe_unconnected(url, "it took too long"), was_sent=False) from None
    except requests.exceptions.ProxyError as error:
        # Also raised if a proxy's connection breaks after the request.
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
    """Describe a failed connection in one line: libraries nest the reason in three."""
    origin = parse_origin(url)
    whom = "the server" if origin is None else f"{origin[1]!r} at port {origin[2]}"
    return f"could not connect to {whom}: {reason}"


def _find_reason(error: BaseException) -> str:
    """Find the message of the operating system, at the bottom of a chain of errors."""
    reason, cause = type(error).__name__, error
    for _ in range(MAX_CAUSES):
        if isinstance(cause, OSError) and cause.strerror:
            number = cause.errno or 0  # name servers use negative numbers
            reason = os.strerror(number) if number > 0 else cause.strerror
        below = getattr(cause, "reason", None) or cause.__cause__ or cause.__context__
        below = below or (cause.args[0] if cause.args else None)
        if not isinstance(below, BaseException):
            break
        cause = below
    return redact(reason)


def _is_connect_failure(error: requests.ConnectionError) -> bool:
    """Return whether a connection was never established; only urllib3's reason tells it from a broken one."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    reason = getattr(reason, "original_error", reason)  # the error of a proxy
    return isinstance(reason, (NewConnectionError, ConnectTimeoutError))


def _is_distrust(error: requests.exceptions.SSLError) -> bool:
    """Return whether the certificate was rejected, so nothing was sent; TLS may also break later."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return bool(reason and reason.args and isinstance(reason.args[0], ssl.SSLCertVerificationError))


def _describe(error: Exception) -> str:
    return redact(f"{type(error).__name__}: {error}")[:500]
