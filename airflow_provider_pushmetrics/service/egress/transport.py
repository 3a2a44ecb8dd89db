"""
The guard between the service and whoever a webhook's URL may name.

A host is resolved once, refused unless the rules of :mod:`.rules` allow all its addresses, and connected
to at exactly such an address. A name that answers differently the next time it is asked (DNS rebinding) gains
nothing, for it is not asked again.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager
from typing import TypeAlias

import httpcore
import httpx

from airflow_provider_pushmetrics.exceptions import PushMetricsEndpointError
from airflow_provider_pushmetrics.service.egress.deadline import DeadlineStream, compute_remaining
from airflow_provider_pushmetrics.service.egress.rules import (
    EgressRules,
    check_addresses,
    check_endpoint,
    parse_host,
)

Resolver: TypeAlias = Callable[[str, int], list[str]]


def resolve_host(host: str, port: int) -> list[str]:
    """
    Ask the system for the addresses of a host, as it would for a connection.

    :raises OSError: if there are none.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class BoundedResolver:
    """
    Asks for addresses and waits no longer than a limit, for the system itself may wait for minutes.

    :param resolve: Asks.
    :param timeout_seconds: The limit.
    :param max_waiting: How many look-ups may hang at a time; more are refused, for each has a thread.
    """

    def __init__(
        self, resolve: Resolver = resolve_host, *, timeout_seconds: float = 5.0, max_waiting: int = 64
    ) -> None:
        self._resolve = resolve
        self._timeout_seconds = timeout_seconds
        self._places = threading.Semaphore(max_waiting)

    def __call__(self, host: str, port: int) -> list[str]:
        """
        Ask for the addresses of a host.

        :raises OSError: if there are none, or none in time.
        """
        limit = compute_remaining(self._timeout_seconds, time.monotonic, TimeoutError)
        if not self._places.acquire(timeout=limit):
            raise TimeoutError("too many other names are being looked up")
        found: Future[list[str]] = Future()
        threading.Thread(target=self._ask, args=(found, host, port), name="resolver", daemon=True).start()
        try:
            return found.result(limit)
        except FutureTimeoutError:
            raise TimeoutError(f"no answer in {limit:g} s") from None

    def _ask(self, found: Future[list[str]], host: str, port: int) -> None:
        try:
            found.set_result(self._resolve(host, port))
        except Exception as error:
            found.set_exception(error)  # it is raised again where somebody waits
        finally:
            self._places.release()


class GuardedNetwork(httpcore.NetworkBackend):
    """
    Opens connections to allowed addresses, and to nothing else; they keep to :func:`.limit_time`.

    :param rules: What is allowed.
    :param resolve: Gives the addresses of a name; asked once for each connection, the system unless given.
    :param network: Connects to an address.
    """

    def __init__(
        self,
        rules: EgressRules,
        *,
        resolve: Resolver | None = None,
        network: httpcore.NetworkBackend | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rules = rules
        self._resolve = resolve or BoundedResolver()
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
        """
        Connect to the first address that answers; all of them together have the time of one.

        :raises PushMetricsEndpointError: if an address is not allowed.
        """
        timeout = compute_remaining(timeout, self._monotonic, httpcore.ConnectTimeout)
        deadline = None if timeout is None else self._monotonic() + timeout
        failure: Exception = httpcore.ConnectError("the host has no address")
        for address in self._find_addresses(host, port):
            remaining = None if deadline is None else deadline - self._monotonic()
            if remaining is not None and remaining <= 0:
                raise httpcore.ConnectTimeout("no address of the host answered in time") from failure
            try:
                stream = self._network.connect_tcp(address, port, remaining, local_address, socket_options)
                return DeadlineStream(stream, self._monotonic)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Refuse: a socket of this machine is no subscriber."""
        raise PushMetricsEndpointError("an endpoint is a URL, not a socket of this machine.")

    def _find_addresses(self, host: str, port: int) -> list[str]:
        literal = parse_host(host.lower())
        if literal is not None:
            addresses = [str(literal)]
        else:
            try:
                addresses = self._resolve(host, port)
            except (OSError, UnicodeError) as error:
                raise httpcore.ConnectError(f"the host cannot be resolved: {error}") from error
        check_addresses(host, addresses, self._rules)
        return addresses


class GuardedTransport(httpx.BaseTransport):
    """
    Carries requests of an :class:`httpx.Client` to allowed endpoints; use it as ``transport=``.

    Connections are kept by host name, not by address, so that one whose certificate was checked for one name
    never serves another on the same machine. It follows no redirect; a client that does comes through here
    with each of them.

    :param rules: What is allowed.
    :param network: Opens the connections; a guarded one by the same rules, unless given.
    :param ssl_context: Checks certificates.
    """

    def __init__(
        self,
        rules: EgressRules,
        *,
        network: GuardedNetwork | None = None,
        ssl_context: ssl.SSLContext | None = None,
        limits: httpx.Limits | None = None,
    ) -> None:
        limits = limits or httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=5)
        self._rules = rules
        self._pool = httpcore.ConnectionPool(
            ssl_context=ssl_context or httpx.create_ssl_context(),
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=network or GuardedNetwork(rules),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """
        Send a request and give the beginning of its answer.

        :raises PushMetricsEndpointError: if it must not be sent there.
        :raises httpx.TransportError: if it cannot be sent, or is not answered.
        """
        check_endpoint(request.url, self._rules)
        url = request.url
        assert isinstance(request.stream, httpx.SyncByteStream)
        with _as_httpx_errors():
            response = self._pool.handle_request(
                httpcore.Request(
                    method=request.method,
                    url=httpcore.URL(
                        scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
                    ),
                    headers=request.headers.raw,
                    content=request.stream,
                    # The name that a certificate is checked for is the URL's: no extension replaces it.
                    extensions={"timeout": request.extensions.get("timeout", {})},
                )
            )
        return httpx.Response(
            response.status,
            headers=response.headers,
            stream=_AnswerStream(response),
            extensions=response.extensions,
        )

    def close(self) -> None:
        self._pool.close()


class _AnswerStream(httpx.SyncByteStream):
    """The body of an answer, whose errors are those of httpx too."""

    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        with _as_httpx_errors():
            yield from self._response.iter_stream()

    def close(self) -> None:
        self._response.close()


@contextmanager
def _as_httpx_errors() -> Iterator[None]:
    """Raise what httpx promises: its errors bear the names of those of httpcore, which it wraps."""
    try:
        yield
    except tuple(_HTTPX_ERRORS) as error:
        kind = next(kind for own, kind in _HTTPX_ERRORS.items() if isinstance(error, own))
        raise kind(str(error)) from error


_HTTPX_ERRORS: dict[type[Exception], type[httpx.TransportError]] = {
    httpcore.ConnectError: httpx.ConnectError,
    httpcore.ConnectTimeout: httpx.ConnectTimeout,
    httpcore.LocalProtocolError: httpx.LocalProtocolError,
    httpcore.PoolTimeout: httpx.PoolTimeout,
    httpcore.ReadError: httpx.ReadError,
    httpcore.ReadTimeout: httpx.ReadTimeout,
    httpcore.RemoteProtocolError: httpx.RemoteProtocolError,
    httpcore.UnsupportedProtocol: httpx.UnsupportedProtocol,
    httpcore.WriteError: httpx.WriteError,
    httpcore.WriteTimeout: httpx.WriteTimeout,
}
