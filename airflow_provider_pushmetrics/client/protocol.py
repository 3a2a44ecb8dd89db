"""What goes over the wire, and the generators that decide it."""

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

    Redirects are never followed: a 301 would turn a POST into a GET, and carry a token along.

    :param is_repeatable: Whether it does no harm to send it again when nobody knows if it arrived.
    :param timeout_seconds: How long to wait for the next bytes of the answer.
    :param held_seconds: How long the server was asked to hold the answer back; comes on top of any timeout.
    :param is_streamed: Whether the body of a 200 is not for the call, but for whoever runs it.
    :param credential: Which token it carries, in the words of who set it.
    """

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    json_body: Mapping[str, Any] | None = field(default=None, repr=False)
    is_repeatable: bool = True
    timeout_seconds: float = 60.0
    held_seconds: float = 0.0
    is_streamed: bool = False
    credential: str = "the tokens of the Airflow connection"

    def describe(self) -> str:
        """Name the request for a message or a log, without its tokens."""
        return redact(f"{self.method} {self.url}", *self.list_secrets())

    def list_secrets(self) -> tuple[str, ...]:
        """List the tokens that the request carries: a server may echo them in what it says."""
        credentials = [
            value.partition(" ")[2] for name, value in self.headers.items() if name.lower() == "authorization"
        ]
        return (*parse_qs(urlsplit(self.url).query).get("token", ()), *credentials)


@dataclass(frozen=True)
class Response:
    """One HTTP response, read to its end. Header names are in lower case."""

    status_code: int
    headers: Mapping[str, str]
    body: bytes

    def parse_object(self, request: Request, *, parse_float: Callable[[str], Any] = float) -> dict[str, Any]:
        """
        Read the body as a JSON object.

        :param parse_float: Reads the numbers that are not whole.

        :raises PushMetricsProtocolError: if it is anything else, such as the HTML page of a proxy or a login.
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
    """A wish to wait before going on."""

    seconds: float


class NetworkError(Exception):
    """
    There was no whole answer. Transports raise it; calls turn it into a :class:`PushMetricsError`.

    :param was_sent: Whether the request may have arrived; False only if no connection came about.
    """

    def __init__(self, message: str, *, was_sent: bool) -> None:
        super().__init__(message)
        self.was_sent = was_sent


Call: TypeAlias = Generator[Request | Pause, Any, T]
"""A conversation: yields requests and pauses, is sent the responses, and returns what was found out."""
