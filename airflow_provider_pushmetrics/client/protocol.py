"""Requests and responses, and the generators that produce them."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar
from urllib.parse import parse_qs, urlsplit

from airflow_provider_pushmetrics.exceptions import PushMetricsProtocolError
from airflow_provider_pushmetrics.redaction import redact

T = TypeVar("T")


@dataclass(frozen=True)
class Request:
    """
    One HTTP request.

    Redirects are never followed: a 301 would turn a POST into a GET and forward the token.

    :param is_repeatable: Whether it is safe to send it again if it may have arrived.
    :param timeout_seconds: How long to wait for the next bytes of the response.
    :param held_seconds: How long the server was asked to hold the response; added to any timeout.
    :param is_streamed: Whether the body of a 200 is read by the caller of the transport, not by the call.
    :param head_bytes: How many bytes of the body of a 200 are read at least, before the connection is closed;
        None for all of it.
    :param credential: Where the token that it carries is configured, for error messages.
    :param after_403: What a 403 means and what to do, if not to check the credential.
    """

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    json_body: Mapping[str, Any] | None = field(default=None, repr=False)
    is_repeatable: bool = True
    timeout_seconds: float = 60.0
    held_seconds: float = 0.0
    is_streamed: bool = False
    head_bytes: int | None = None
    credential: str = "the tokens of the Airflow connection"
    after_403: str | None = None

    def describe(self) -> str:
        """Describe the request for a message or a log, without its tokens."""
        return redact(f"{self.method} {self.url}", *self.list_secrets())

    def list_secrets(self) -> tuple[str, ...]:
        """List the tokens of the request: a server may echo them in its message."""
        credentials = [
            value.partition(" ")[2] for name, value in self.headers.items() if name.lower() == "authorization"
        ]
        return (*parse_qs(urlsplit(self.url).query).get("token", ()), *credentials)


@dataclass(frozen=True)
class Response:
    """One complete HTTP response. Header names are in lower case."""

    status_code: int
    headers: Mapping[str, str]
    body: bytes

    def parse_object(self, request: Request, *, parse_float: Callable[[str], Any] = float) -> dict[str, Any]:
        """
        Parse the body as a JSON object.

        :param parse_float: Parses the numbers that are not whole.

        :raises PushMetricsProtocolError: for anything else, such as the HTML page of a proxy or a login.
        """
        try:
            value = json.loads(self.body, parse_float=parse_float)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise PushMetricsProtocolError(
                f"{request.describe()} was answered {self.status_code} with"
                f" {self.headers.get('content-type', 'no content type')!r} instead of a JSON object. Check"
                " that the connection's host is PushMetrics itself and not a page in front of it.",
                status_code=self.status_code,
            )
        return value


@dataclass(frozen=True)
class Pause:
    """A request to wait before continuing."""

    seconds: float


class NetworkError(Exception):
    """
    There was no complete response. Transports raise it; calls turn it into a :class:`PushMetricsError`.

    :param was_sent: Whether the request may have arrived; False only if no connection was established.
    """

    def __init__(self, message: str, *, was_sent: bool) -> None:
        super().__init__(message)
        self.was_sent = was_sent


Call: TypeAlias = Generator[Request | Pause, Any, T]
"""A generator that yields requests and pauses, is sent the responses, and returns the result."""
