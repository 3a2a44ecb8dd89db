"""Where each token may be sent: the API token, the JWT made from it, and the trusted origins."""

from __future__ import annotations

import copy
import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from airflow_provider_pushmetrics.client.protocol import Call, Pause, Request
from airflow_provider_pushmetrics.client.retry_policy import RetryPolicy
from airflow_provider_pushmetrics.client.retrying import DEFAULT_POLICY, send
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsConfigurationError,
    PushMetricsProtocolError,
    PushMetricsUnavailableError,
    PushMetricsUntrustedUrlError,
)
from airflow_provider_pushmetrics.redaction import redact

PERSONAL_TOKEN_PREFIX = "pmpat_"  # noqa: S105 (a prefix)
EXCHANGE_PATH = "/api/v1/security/exchange"
EXCHANGE_TIMEOUT_SECONDS = 30.0
EXCHANGE_POLL_SECONDS = 0.05
EXCHANGE_LEASE_SECONDS = 330.0
"""
How long other calls wait for the one that exchanges: an attempt, and the longest pause that is accepted.

Then one of them tries, and the others wait for that one.
"""
DEFAULT_LIFETIME_SECONDS = 900.0
"""The lifetime of a JWT if the response does not contain one, as in PushMetrics' own client."""

RENEWAL_MARGIN_SECONDS = 60.0
"""A JWT is renewed this long before it expires, as in PushMetrics' own client."""

_JWT = re.compile(r"[A-Za-z0-9._-]+", re.ASCII)

_DEFAULT_PORTS = {"http": 80, "https": 443}


def parse_origin(url: str) -> tuple[str, str, int] | None:
    """Parse scheme, host and port of an http(s) URL; None for anything else or with a user name."""
    try:
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return None
    if port is None or not parts.hostname or "@" in parts.netloc or parts.scheme not in _DEFAULT_PORTS:
        return None
    return parts.scheme, parts.hostname.rstrip("."), port


def name_connection(conn_id: str | None) -> str:
    """Describe an Airflow connection in a message."""
    return "the connection" if conn_id is None else f"connection {conn_id!r}"


@dataclass
class Credentials:
    """
    The API token and the origins it may be sent to.

    :param base_url: The URL of PushMetrics. The token is sent to its origin and to ``trusted_origins`` only.
    :param api_token: The API token; a ``pmpat_…`` one is exchanged for a JWT, any other is the Bearer token
        itself.
    :param trusted_origins: URLs of further origins that serve results.
    :param conn_id: The Airflow connection of these credentials, for messages.
    """

    base_url: str
    api_token: str | None = field(default=None, repr=False)
    trusted_origins: tuple[str, ...] = ()
    conn_id: str | None = None
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)
    _jwt: str | None = field(default=None, init=False, repr=False)
    _jwt_deadline: float = field(default=0.0, init=False, repr=False)
    _exchange_lease: float = field(default=-math.inf, init=False, repr=False)
    _failed_exchange: tuple[PushMetricsUnavailableError, int] | None = field(
        default=None, init=False, repr=False
    )
    """The error of the latest exchange, and how many attempts it made; None if it did not fail so."""

    @property
    def token_name(self) -> str:
        """Where the API token is configured, for error messages."""
        return f"the API token, which is the password of {name_connection(self.conn_id)}"

    def is_trusted(self, url: str) -> bool:
        """Return whether the origin of a URL is the base URL's or a trusted one."""
        origin = parse_origin(url)
        known = (self.base_url, *self.trusted_origins)
        return origin is not None and origin in {parse_origin(trusted) for trusted in known}

    def refuse_untrusted(self, url: str) -> None:
        """
        Refuse a URL whose origin must not see the token.

        :raises PushMetricsUntrustedUrlError: for an origin that is neither the base URL's nor trusted.
        """
        if not self.is_trusted(url):
            raise PushMetricsUntrustedUrlError(
                f"{redact(url)!r} is not at {self.base_url!r}, so the API token is not sent there: webhooks"
                " are not proof of who sent them. If PushMetrics serves results from there, add its origin to"
                " the connection's extra 'trusted_origins'."
            )

    def authorize(self, policy: RetryPolicy = DEFAULT_POLICY) -> Call[dict[str, str]]:
        """
        Get the header that authorizes a request; exchange the token first if necessary.

        :raises PushMetricsConfigurationError: without an API token.
        :raises PushMetricsAuthError: if the server rejects the exchange.
        """
        if not self.api_token:
            raise PushMetricsConfigurationError(
                f"there is no API token: set it in the password field of {name_connection(self.conn_id)}."
                " PushMetrics shows one once, when it is created."
            )
        if not self.can_renew:
            return {"Authorization": f"Bearer {self.api_token}"}
        if not self._has_jwt:
            yield from self._wait_for_exchange(policy)
        if not self._has_jwt:
            yield from self._exchange(policy)
        return {"Authorization": f"Bearer {self._jwt}"}

    @property
    def _has_jwt(self) -> bool:
        return self._jwt is not None and self.clock() < self._jwt_deadline

    @property
    def can_renew(self) -> bool:
        """Whether a rejected Bearer token can be replaced by a new one."""
        return bool(self.api_token and self.api_token.startswith(PERSONAL_TOKEN_PREFIX))

    def discard_jwt(self) -> None:
        """Discard the JWT, because the server rejected it."""
        self._jwt = None

    def _wait_for_exchange(self, policy: RetryPolicy) -> Call[None]:
        """
        Wait while another call exchanges the token: one exchange serves all calls of these credentials.

        :raises PushMetricsUnavailableError: if it gets no token in as many attempts as this call would make.
            Otherwise the calls would fail one after the other, each after all its attempts.
        """
        began = self.clock()
        while not self._has_jwt and self.clock() < self._exchange_lease:
            before = self._failed_exchange
            yield Pause(min(1.0, EXCHANGE_POLL_SECONDS + (self.clock() - began) / 10))
            failed = self._failed_exchange
            if failed is not None and failed is not before and failed[1] >= policy.attempts:
                raise copy.copy(failed[0])  # a shared error would collect the tracebacks of all calls

    def _exchange(self, policy: RetryPolicy) -> Call[None]:
        lease = self._exchange_lease = self.clock() + EXCHANGE_LEASE_SECONDS
        try:
            yield from self._request_jwt(policy)
        except PushMetricsUnavailableError as error:
            self._failed_exchange = copy.copy(error), policy.attempts  # without its traceback
            raise
        finally:
            if self._exchange_lease == lease:  # it is not that of a later exchange
                self._exchange_lease = -math.inf

    def _request_jwt(self, policy: RetryPolicy) -> Call[None]:
        request = Request(
            "POST",
            self.base_url + EXCHANGE_PATH,
            headers={"Authorization": f"Bearer {self.api_token}", "Accept": "application/json"},
            timeout_seconds=EXCHANGE_TIMEOUT_SECONDS,
            credential=self.token_name,
        )
        response = yield from send(request, policy)
        answer = response.parse_object(request)
        jwt = answer.get("access_token")
        if not isinstance(jwt, str) or not _JWT.fullmatch(jwt):
            raise PushMetricsProtocolError(
                f"{request.describe()} was answered {response.status_code} without a usable access_token.",
                status_code=response.status_code,
            )
        self._jwt = jwt
        self._jwt_deadline = self.clock() + _read_lifetime(answer.get("expires_in")) - RENEWAL_MARGIN_SECONDS


def _read_lifetime(value: object) -> float:
    try:
        seconds = float(str(value))
    except ValueError:
        return DEFAULT_LIFETIME_SECONDS
    return seconds if math.isfinite(seconds) else DEFAULT_LIFETIME_SECONDS
