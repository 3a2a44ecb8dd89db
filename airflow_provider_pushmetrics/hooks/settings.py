"""The settings of a PushMetrics connection, read by name and checked once."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from typing import Any, Protocol
from urllib.parse import unquote

from airflow_provider_pushmetrics.client.credentials import Credentials, parse_origin
from airflow_provider_pushmetrics.client.feed import Receiver
from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError

DEFAULT_BASE_URL = "https://pushmetrics.io"
MAX_TIMEOUT_SECONDS = 86_400.0

TOKEN_RULE = "a token: visible ASCII characters without spaces"  # noqa: S105 (a text)
_OBJECT_RULE = 'a JSON object of texts, such as {"1": "…"}'


class AirflowConnection(Protocol):
    """The attributes of an Airflow connection that are read; Airflow has several classes for it."""

    conn_id: str
    host: str | None
    schema: str | None
    port: int | None
    password: str | None


@dataclass(frozen=True)
class TransportSettings:
    """
    How to connect to servers: the extras of the HTTP provider's connections, with the same names.

    :param proxies: Proxy by scheme, as ``requests`` accepts it.
    :param verify: Whether, or against which file, the server's certificate is checked.
    :param cert: The path of a client certificate.
    :param timeout_seconds: The timeout of each request; None for the default of each request.
    :param trust_env: Whether the proxies of the environment are used.
    """

    proxies: Mapping[str, str] = field(default_factory=dict, repr=False)
    verify: bool | str = True
    cert: str | None = None
    timeout_seconds: float | None = None
    trust_env: bool = True


@dataclass(frozen=True)
class PushMetricsSettings:
    """
    A PushMetrics connection.

    :param base_url: The URL of PushMetrics, without a trailing slash.
    :param api_token: The API token; needed for everything but triggering.
    :param trigger_tokens: The token of each report's webhook trigger, by the report's id.
    :param receiver: The receiver to wait at, if any.
    :param trusted_origins: Further origins that serve results and may see the API token.
    """

    conn_id: str
    base_url: str
    api_token: str | None = field(default=None, repr=False)
    trigger_tokens: Mapping[str, str] = field(default_factory=dict, repr=False)
    receiver: Receiver | None = None
    trusted_origins: tuple[str, ...] = ()
    transport: TransportSettings = TransportSettings()

    @classmethod
    def from_connection(cls, connection: AirflowConnection, extra_values: object) -> PushMetricsSettings:
        """
        Read a connection.

        :param connection: The connection.
        :param extra_values: Its extra, parsed; reading that from the connection may block.
        :raises PushMetricsConfigurationError: with the invalid field, but without its value if it is
            secret.
        """
        extra = _Extra(connection.conn_id, extra_values or {})
        return cls(
            conn_id=connection.conn_id,
            base_url=_build_base_url(connection),
            api_token=_read_api_token(connection),
            trigger_tokens=extra.get_texts("trigger_tokens"),
            receiver=_build_receiver(extra),
            trusted_origins=extra.get_urls("trusted_origins"),
            transport=TransportSettings(
                proxies=extra.get_texts("proxies"),
                verify=extra.get_verify("verify"),
                cert=extra.get_text("cert"),
                timeout_seconds=extra.get_seconds("timeout"),
                trust_env=extra.get_flag("trust_env", default=True),
            ),
        )

    def get_trigger_token(self, report_id: str) -> str:
        """
        Get the token of a report's webhook trigger.

        :raises PushMetricsConfigurationError: if the connection has none.
        """
        token = self.trigger_tokens.get(str(report_id))
        if not token:
            known = ", ".join(map(repr, self.trigger_tokens)) or "none"
            example = json.dumps({str(report_id): "…"}, ensure_ascii=False)
            raise PushMetricsConfigurationError(
                f"connection {self.conn_id!r} has no trigger token for report {str(report_id)!r}: add it to"
                f" the extra 'trigger_tokens', as {example}. It is the part after 'token=' of the report's"
                f" webhook URL. There are tokens for the reports: {known}."
            )
        return token

    def get_receiver(self) -> Receiver:
        """
        Get the receiver.

        :raises PushMetricsConfigurationError: if the connection has none.
        """
        if self.receiver is None:
            raise PushMetricsConfigurationError(
                f"connection {self.conn_id!r} has no receiver: set the extras 'receiver_url' and"
                " 'receiver_token'. The receiver is where PushMetrics sends its webhooks."
            )
        return self.receiver

    def build_credentials(self) -> Credentials:
        """Build the credentials, which decide where the API token may be sent."""
        return Credentials(self.base_url, self.api_token, self.trusted_origins, self.conn_id)

    def list_secrets(self) -> tuple[str, ...]:
        """List every secret of the connection, for masking."""
        candidates = (
            self.api_token,
            *self.trigger_tokens.values(),
            self.receiver.reader_token if self.receiver else None,
            *itertools.chain.from_iterable(map(_list_passwords, self.transport.proxies.values())),
        )
        return tuple(secret for secret in candidates if secret)


class _Extra:
    """The extra of a connection. Errors contain no values, because any of them may be secret."""

    def __init__(self, conn_id: str, values: object) -> None:
        if not isinstance(values, dict):
            raise PushMetricsConfigurationError(f"the extra of connection {conn_id!r} must be a JSON object.")
        self.conn_id = conn_id
        self._values: dict[str, Any] = values

    def get_text(self, name: str) -> str | None:
        value = self._values.get(name)
        if value is None or value == "":
            return None
        if not isinstance(value, str):
            raise self._refuse(name, "a text")
        return value.strip() or None

    def get_token(self, name: str) -> str | None:
        value = self.get_text(name)
        if value is not None and not is_header_safe(value):
            raise self._refuse(name, TOKEN_RULE)
        return value

    def get_flag(self, name: str, *, default: bool) -> bool:
        value = self._values.get(name)
        if value is None or value == "":
            return default
        word = str(value).strip().lower()
        if word not in ("true", "false"):
            raise self._refuse(name, "true or false")
        return word == "true"

    def get_verify(self, name: str) -> bool | str:
        """Get true, false, or the path of a file; Airflow's form submits all of them as text."""
        value = self._values.get(name)
        if isinstance(value, str) and value.strip().lower() not in ("", "true", "false"):
            return value.strip()
        return self.get_flag(name, default=True)

    def get_texts(self, name: str) -> dict[str, str]:
        """Get a JSON object of texts, which Airflow's form submits as text."""
        value = self._values.get(name) or {}
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except (ValueError, RecursionError):
                raise self._refuse(name, _OBJECT_RULE) from None
        if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
            raise self._refuse(name, _OBJECT_RULE)
        return {str(key): text.strip() for key, text in value.items()}

    def get_urls(self, name: str) -> tuple[str, ...]:
        value = self._values.get(name) or []
        urls = [url for url in value.split(",") if url.strip()] if isinstance(value, str) else value
        if not isinstance(urls, list) or not all(
            isinstance(url, str) and parse_origin(url.strip()) for url in urls
        ):
            raise self._refuse(name, "a list of http(s) URLs, such as https://results.example.com")
        return tuple(url.strip() for url in urls)

    def get_seconds(self, name: str) -> float | None:
        value = self._values.get(name)
        if value is None or value == "":
            return None
        try:
            seconds = float(value)
        except (TypeError, ValueError, OverflowError):
            seconds = 0.0
        if not 0 < seconds < MAX_TIMEOUT_SECONDS:
            raise self._refuse(name, "a positive number of seconds, at most a day")
        return seconds

    def get_url(self, name: str) -> str | None:
        value = self.get_text(name)
        if value is not None and not is_base_url(value):
            raise self._refuse(name, "an http(s) URL without a user name and without a query")
        return None if value is None else value.rstrip("/")

    def _refuse(self, name: str, rule: str) -> PushMetricsConfigurationError:
        return PushMetricsConfigurationError(
            f"the extra {name!r} of connection {self.conn_id!r} must be {rule}."
        )


def is_header_safe(token: str) -> bool:
    """Return whether a token can be a header value; otherwise the errors of HTTP libraries print it."""
    return token.isascii() and token.isprintable() and " " not in token


def _read_api_token(connection: AirflowConnection) -> str | None:
    token = (connection.password or "").strip() or None
    if token is not None and not is_header_safe(token):
        raise PushMetricsConfigurationError(
            f"the password of connection {connection.conn_id!r} is the API token, so it must be {TOKEN_RULE}."
        )
    return token


def _build_receiver(extra: _Extra) -> Receiver | None:
    url, token = extra.get_url("receiver_url"), extra.get_token("receiver_token")
    if url is None and token is None:
        return None
    if url is None or token is None:
        raise PushMetricsConfigurationError(
            f"connection {extra.conn_id!r} has only one of the extras 'receiver_url' and 'receiver_token':"
            " both are required for a receiver."
        )
    return Receiver(url, token, extra.conn_id)


def is_base_url(url: str) -> bool:
    """Return whether paths can be appended to a URL."""
    return parse_origin(url) is not None and "?" not in url and "#" not in url


def _build_base_url(connection: AirflowConnection) -> str:
    host = (connection.host or "").strip()
    if not host:
        return DEFAULT_BASE_URL
    url = host if "://" in host else f"{connection.schema or 'https'}://{host}"
    scheme, _, rest = url.partition("://")
    address, slash, path = rest.partition("/")
    address = _bracket(address)
    if connection.port:
        address = f"{address}:{connection.port}"
    url = f"{scheme}://{address}{slash}{path}"
    if not is_base_url(url):
        raise PushMetricsConfigurationError(
            f"the host of connection {connection.conn_id!r} must be an http(s) URL or a host name, without a"
            " user name and without a query, such as https://pushmetrics.io."
        )
    return url.rstrip("/")


def _bracket(address: str) -> str:
    """Put brackets around an IPv6 address, which Airflow removes when it parses a connection's URI."""
    try:
        return f"[{IPv6Address(address)}]"
    except ValueError:
        return address


def _list_passwords(proxy_url: str) -> tuple[str, ...]:
    """List a proxy's password raw and as in its URL; the URL may be invalid."""
    _, _, address = proxy_url.partition("://")
    user_info, at_sign, _ = (address or proxy_url).rpartition("@")
    _, _, password = user_info.partition(":")
    return tuple(dict.fromkeys((password, unquote(password)))) if at_sign and password else ()
