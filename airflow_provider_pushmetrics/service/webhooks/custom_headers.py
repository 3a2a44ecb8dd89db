"""
Headers that a subscription adds to its requests, for receivers that ask for a credential of their own.

Their values are secrets: encrypted at rest, never shown again, and sent to one host only.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from urllib.parse import unquote, unquote_plus, urlsplit

import httpx

from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError
from airflow_provider_pushmetrics.redaction import REDACTED
from airflow_provider_pushmetrics.service.models import Subscription
from airflow_provider_pushmetrics.service.storage.encryption import Cipher

MAX_CUSTOM_HEADERS = 20
MAX_HEADER_NAME_LENGTH = 100
MAX_HEADER_VALUE_LENGTH = 4096

HEADER_NAME = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"
"""A token of RFC 9110, section 5.6.2."""

_NAME = re.compile(HEADER_NAME)
_VALUE = re.compile("[\t\x20-\x7e\xa0-\xff]*")
"""Latin-1 without control characters: others, such as line breaks, would end the header."""

SCHEMES = ("basic", "bearer", "digest", "token")

MIN_WORD_SECRET_LENGTH = 8
"""A shorter part of a path, or name of a parameter, is a word, such as ``hooks`` and ``token``."""

RESERVED = frozenset(
    {
        "accept-encoding", "connection", "content-encoding", "content-length", "content-type", "expect",
        "host", "keep-alive", "te", "traceparent", "tracestate", "trailer", "transfer-encoding", "upgrade",
        "user-agent",
    }
)  # fmt: skip
RESERVED_PREFIXES = ("proxy-", "webhook-")
"""Headers of the connection (RFC 9110, section 7.6.1), and those that the sender itself writes."""


def check_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """
    Accept headers by their names.

    :raises ValueError: if one is not valid, or belongs to the protocol. The message has no value.
    """
    if len(headers) > MAX_CUSTOM_HEADERS:
        raise ValueError(f"must be at most {MAX_CUSTOM_HEADERS}")
    if len({name.lower() for name in headers}) < len(headers):
        raise ValueError("must not have one name twice")
    for name, value in headers.items():
        _check_name(name)
        if not value or len(value) > MAX_HEADER_VALUE_LENGTH:
            raise ValueError(f"the value of {name!r} must have 1 to {MAX_HEADER_VALUE_LENGTH} characters")
        if not _VALUE.fullmatch(value) or value != value.strip():
            raise ValueError(
                f"the value of {name!r} must be of Latin-1 characters, without line breaks, and without"
                " spaces at its ends"
            )
    return dict(headers)


def _check_name(name: str) -> None:
    if len(name) > MAX_HEADER_NAME_LENGTH or not _NAME.match(name) or name.endswith("\n"):
        raise ValueError(
            f"{name[:MAX_HEADER_NAME_LENGTH]!r} is not the name of a header: it must be letters, digits and"
            f" hyphens, at most {MAX_HEADER_NAME_LENGTH}"
        )
    if name.lower() in RESERVED or name.lower().startswith(RESERVED_PREFIXES):
        raise ValueError(f"{name!r} cannot be set: the service or the connection writes it")


def read_headers(encrypted: str | None, cipher: Cipher) -> dict[str, str]:
    """Decrypt the headers of a subscription."""
    if encrypted is None:
        return {}
    headers: dict[str, str] = json.loads(cipher.decrypt(encrypted))
    return headers


def write_headers(subscription: Subscription, cipher: Cipher, wanted: Mapping[str, str]) -> None:
    """
    Replace the headers of a subscription.

    :param wanted: The value ``***`` stands for the stored one.
    :raises PushMetricsParameterError: if there is no stored one.
    """
    stored = {
        name.lower(): value for name, value in read_headers(subscription.headers_encrypted, cipher).items()
    }
    missing = [name for name, value in wanted.items() if value == REDACTED and name.lower() not in stored]
    if missing:
        raise PushMetricsParameterError(
            f"headers: {missing[0]!r} has no stored value that {REDACTED!r} could stand for: give its value"
        )
    merged = {name: stored[name.lower()] if value == REDACTED else value for name, value in wanted.items()}
    subscription.headers_encrypted = cipher.encrypt(json.dumps(merged)) if merged else None


def move_endpoint(subscription: Subscription, url: str, headers: Mapping[str, str] | None) -> None:
    """
    Change the URL of a subscription, and forget the failures of its old endpoint.

    :param headers: The headers that are to replace the stored ones; None if they are to stay.
    :raises PushMetricsParameterError: if stored values would go to another host: whoever changes the URL
        could read them there.
    """
    keeps = headers is None or REDACTED in headers.values()
    if keeps and subscription.headers_encrypted and _get_origin(url) != _get_origin(subscription.url):
        raise PushMetricsParameterError(
            "headers: the URL leads to another host, to which the stored values are not sent: give all values"
            " again, or none"
        )
    if url != subscription.url:
        subscription.url, subscription.failing_since = url, None


def hide_path(url: str) -> str:
    """Hide all of a URL that may contain a credential: what is behind the host."""
    parsed = httpx.URL(url)
    rest = f"/{REDACTED}" if parsed.raw_path not in (b"", b"/") else ""
    return f"{parsed.scheme}://{parsed.netloc.decode('ascii')}{rest}"


def list_secrets(url: str, headers: Mapping[str, str]) -> tuple[str, ...]:
    """List what an endpoint's answer must not show of a request: values of headers, the path, the query."""
    target = _find_target(url)
    path, _, query = target.partition("?")
    path = unquote(path)
    parts = [part for part in path.split("/") if len(part) >= MIN_WORD_SECRET_LENGTH]
    whole = [path] if len(path) >= MIN_WORD_SECRET_LENGTH else []
    words = [word for value in headers.values() for word in _list_words(value)]
    asked = [target, unquote(target), *_list_query_words(query)] if query else []
    return tuple(filter(None, (*words, *asked, *parts, *whole)))


def _find_target(url: str) -> str:
    """Find the path and the query as they are sent; of a URL that cannot be sent, as they are written."""
    try:
        return httpx.URL(url).raw_path.decode("ascii")
    except httpx.InvalidURL:
        parts = urlsplit(url)
        return f"{parts.path}?{parts.query}"


def _list_query_words(query: str) -> Iterator[str]:
    """List the forms in which a query may be shown: whole, each parameter, its value, its name."""
    for part in {query, *query.split("&"), *re.split("[&;]", query)}:
        name, _, value = part.partition("=")
        for word in (part, value, name if len(name) >= MIN_WORD_SECRET_LENGTH or not value else ""):
            yield from (word, unquote(word), unquote_plus(word))


def _list_words(value: str) -> Iterator[str]:
    """List the forms in which the value of a header may be shown: whole, each of its parts, decoded."""
    yield value
    for part in re.split(r"[;,\s]+", value):
        if part.lower() in SCHEMES:
            continue
        yield from (part, part.partition("=")[2])
        with suppress(ValueError):  # it is no Base64, as Basic authentication is
            decoded = base64.b64decode(part, validate=True).decode()
            yield from (decoded, decoded.partition(":")[2])


def _get_origin(url: str) -> tuple[str, str, int | None]:
    parsed = httpx.URL(url)
    return parsed.scheme, parsed.host, parsed.port
