"""
A time limit on a whole exchange over HTTP.

The timeouts of httpx count from byte to byte: who answers one byte every few seconds would be listened to for
hours, by a thread that others wait for.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import httpcore

_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


@contextmanager
def limit_time(seconds: float, *, monotonic: Callable[[], float] = time.monotonic) -> Iterator[None]:
    """Give all that this thread sends and receives in the block so many seconds together."""
    token = _deadline.set(monotonic() + seconds)
    try:
        yield
    finally:
        _deadline.reset(token)


class DeadlineNetwork(httpcore.NetworkBackend):
    """
    Opens connections that keep to :func:`limit_time`.

    :param network: Opens them.
    """

    def __init__(
        self,
        network: httpcore.NetworkBackend | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._network = network or httpcore.SyncBackend()
        self._monotonic = monotonic

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect, in the time that is left."""
        timeout = _find_remaining(timeout, self._monotonic, httpcore.ConnectTimeout)
        stream = self._network.connect_tcp(host, port, timeout, local_address, socket_options)
        return _DeadlineStream(stream, self._monotonic)


class _DeadlineStream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, monotonic: Callable[[], float]) -> None:
        self._stream = stream
        self._monotonic = monotonic

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        timeout = _find_remaining(timeout, self._monotonic, httpcore.ReadTimeout)
        return self._stream.read(max_bytes, timeout)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        timeout = _find_remaining(timeout, self._monotonic, httpcore.WriteTimeout)
        self._stream.write(buffer, timeout)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        timeout = _find_remaining(timeout, self._monotonic, httpcore.ConnectTimeout)
        return _DeadlineStream(self._stream.start_tls(ssl_context, server_hostname, timeout), self._monotonic)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _find_remaining(
    timeout: float | None, monotonic: Callable[[], float], error: type[Exception]
) -> float | None:
    deadline = _deadline.get()
    if deadline is None:
        return timeout
    remaining = deadline - monotonic()
    if remaining <= 0:
        raise error("the whole exchange took too long")
    return remaining if timeout is None else min(timeout, remaining)
