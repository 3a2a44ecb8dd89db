"""
An HTTP transport that connects to allowed addresses only.

A host is resolved once, and refused unless :mod:`.rules` allow all its addresses. The connection is made to
one of these addresses. The name is not resolved again, so DNS rebinding has no effect.
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
    Resolve a host by the system, as for a connection.

    :raises OSError: if there are none.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class BoundedResolver:
    """
    Resolves hosts with a time limit: the system itself may wait for minutes.

    :param resolve: Resolves a host.
    :param timeout_seconds: The limit.
    :param max_waiting: The maximum number of concurrent lookups, since each has a thread. More are refused.
    """

    def __init__(
        self, resolve: Resolver = resolve_host, *, timeout_seconds: float = 5.0, max_waiting: int = 64
    ) -> None:
        self._resolve = resolve
        self._timeout_seconds = timeout_seconds
        self._places = threading.Semaphore(max_waiting)

    def __call__(self, host: str, port: int) -> list[str]:
        """
        Resolve a host.

        :raises OSError: if it has no address, or the lookup takes too long.
        """
        limit = compute_remaining(self._timeout_seconds, time.monotonic, TimeoutError)
        if not self._places.acquire(timeout=limit):
            raise TimeoutError("too many other names are being resolved")
        found: Future[list[str]] = Future()
        thread = threading.Thread(target=self._ask, args=(found, host, port), name="resolver", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # there can be no more threads now
            self._places.release()
            raise TimeoutError(f"it cannot be looked up now: {error}") from error
        try:
            return found.result(limit)
        except FutureTimeoutError:
            raise TimeoutError(f"no answer in {limit:g} s") from None

    def _ask(self, found: Future[list[str]], host: str, port: int) -> None:
        try:
            found.set_result(self._resolve(host, port))
        except Exception as error:
            found.set_exception(error)  # raised again in the waiting thread
        finally:
            self._places.release()


class GuardedNetwork(httpcore.NetworkBackend):
    """
    Opens connections to allowed addresses only, with the time limit of :func:`.limit_time`.

    :param rules: The allowed addresses.
    :param resolve: Resolves a name, once for each connection; by default the system.
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
        Connect to the first address that answers. The timeout is for all addresses together.

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
        """Refuse a Unix socket."""
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
    The transport of an :class:`httpx.Client` for allowed endpoints.

    Connections are pooled by host name, not by address: a certificate is checked for one name. The transport
    follows no redirect; a client that does sends each of them through the transport.

    :param rules: The allowed addresses.
    :param network: Opens the connections; by default with the same rules.
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
        Send a request and return the beginning of its response.

        :raises PushMetricsEndpointError: if the endpoint is not allowed.
        :raises httpx.TransportError: if it cannot be sent, or there is no response.
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
                    # The certificate is checked for the host of the URL; no extension can replace it.
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
    """The body of a response, with the errors of httpx."""

    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        with _as_httpx_errors():
            yield from self._response.iter_stream()

    def close(self) -> None:
        self._response.close()


@contextmanager
def _as_httpx_errors() -> Iterator[None]:
    """Raise the errors of httpcore as those of httpx, which have the same names."""
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
