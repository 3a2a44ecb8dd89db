"""
A time limit on a whole exchange over HTTP.

The timeouts of httpx are for one read: a server that sends one byte every few seconds would keep a thread
busy for hours. ``asyncio.timeout`` is no alternative, since the senders are threads.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import httpcore

_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


@contextmanager
def limit_time(seconds: float, *, monotonic: Callable[[], float] = time.monotonic) -> Iterator[None]:
    """Limit the total time of all lookups, writes and reads of this thread in the block."""
    token = _deadline.set(monotonic() + seconds)
    try:
        yield
    finally:
        _deadline.reset(token)


def compute_remaining(
    timeout: float | None, monotonic: Callable[[], float], error: type[Exception]
) -> float | None:
    """
    Compute the remaining time of a timeout under :func:`limit_time`.

    :raises Exception: ``error``, if no time is left.
    """
    deadline = _deadline.get()
    if deadline is None:
        return timeout
    remaining = deadline - monotonic()
    if remaining <= 0:
        raise error("the whole exchange took too long")
    return remaining if timeout is None else min(timeout, remaining)


class DeadlineStream(httpcore.NetworkStream):
    """A connection with the time limit of :func:`limit_time`."""

    def __init__(self, stream: httpcore.NetworkStream, monotonic: Callable[[], float]) -> None:
        self._stream = stream
        self._monotonic = monotonic

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read, in the remaining time."""
        return self._stream.read(max_bytes, compute_remaining(timeout, self._monotonic, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write, in the remaining time."""
        self._stream.write(buffer, compute_remaining(timeout, self._monotonic, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """Encrypt the connection, in the remaining time."""
        timeout = compute_remaining(timeout, self._monotonic, httpcore.ConnectTimeout)
        return DeadlineStream(self._stream.start_tls(ssl_context, server_hostname, timeout), self._monotonic)

    def get_extra_info(self, info: str) -> Any:
        """Get information about the connection."""
        return self._stream.get_extra_info(info)
