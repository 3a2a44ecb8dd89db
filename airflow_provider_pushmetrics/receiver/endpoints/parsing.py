"""
Parsing a webhook after its sender was authenticated.

Its content is still not trusted: size, depth,
numbers and text are limited, so that any JSON parser can read what is stored.
"""

from __future__ import annotations

import codecs
import hashlib
import math
import re
from collections.abc import Mapping
from typing import Any

from airflow_provider_pushmetrics.event_ids import read_event_ids
from airflow_provider_pushmetrics.receiver.errors import BadRequest, UnsupportedMediaType
from airflow_provider_pushmetrics.receiver.inbox.records import IncomingWebhook
from airflow_provider_pushmetrics.serving.json_bodies import (
    MAX_DEPTH,
    build_decoder,
    check_encodable,
    is_deeper_than,
)

MAX_EVENT_NAME_LENGTH = 200
MIN_INTEGER, MAX_INTEGER = -(2**63), 2**64 - 1
"""The limits of readers: Airflow carries events as MessagePack, whose integers have 64 bits."""

SET_LENIENT = "set lenient_content_type for this source in the receiver"

_JSON_TYPE = re.compile(rb"application/(?:json|[a-z0-9.!#$&^_-]{1,100}\+json)\Z")
_LONG_NUMBER = re.compile(rb"[0-9]{19}")
_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")


def parse_webhook(
    source: str, message_id: str | None, body: bytes, *, traceparent: str | None = None
) -> IncomingWebhook:
    """
    Parse the body of an authenticated webhook.

    :param message_id: The signed ``webhook-id``; without one, the body is the identity.
    :param traceparent: The trace that it continues.
    :raises BadRequest: if the body is not an event.
    """
    content = parse_body(body)
    ids = read_event_ids(content)
    return IncomingWebhook(
        source=source,
        key=f"id:{message_id}" if message_id else f"sha256:{hashlib.sha256(body).hexdigest()}",
        body=body,
        event=content["event"],
        report_id=ids.report_id,
        query_id=ids.query_id,
        run_id=ids.run_id,
        traceparent=traceparent,
    )


def check_content_type(content_type: bytes, content_encoding: bytes, *, is_lenient: bool = False) -> None:
    """
    Check that a body is uncompressed JSON.

    The documentation of the events defines no content type, so a missing one counts as JSON.

    :param content_type: The header; the values of several headers joined by commas.
    :param is_lenient: Accept ``text/plain`` too, and a list such as ``application/json, application/json``.
    :raises UnsupportedMediaType: for any other content type.
    """
    named = (content_type or b"application/json").lower()
    if not _is_json(named, is_lenient=is_lenient):
        raise UnsupportedMediaType(
            f"The body must be JSON: send it as application/json{_name_option(named)}."
        )
    if (content_encoding or b"identity").strip().lower() != b"identity":
        raise UnsupportedMediaType("The body must not be compressed: send it without Content-Encoding.")


def _is_json(named: bytes, *, is_lenient: bool) -> bool:
    types = named.split(b",") if is_lenient else [named]
    return all(_is_json_type(name, is_lenient=is_lenient) for name in types)


def _name_option(named: bytes) -> str:
    return f", or {SET_LENIENT}" if _is_json(named, is_lenient=True) else ""


def _is_json_type(name: bytes, *, is_lenient: bool) -> bool:
    media_type = name.partition(b";")[0].strip()
    return bool(_JSON_TYPE.match(media_type)) or (is_lenient and media_type == b"text/plain")


def strip_bom(body: bytes) -> bytes:
    """
    Remove the byte order mark that some senders put before their JSON.

    JSON forbids it (RFC 8259, section 8.1), and the feed embeds bodies in its responses.
    """
    return body.removeprefix(codecs.BOM_UTF8)


def parse_body(body: bytes) -> Mapping[str, Any]:
    """
    Parse the JSON object of a body and check that it contains the event's name.

    :raises BadRequest: for anything else.
    """
    content = _parse_json(body)
    if not isinstance(content, dict):
        raise BadRequest("The body must be a JSON object.")
    name = content.get("event")
    if not isinstance(name, str) or not 0 < len(name) <= MAX_EVENT_NAME_LENGTH or not name.isprintable():
        raise BadRequest(
            f"The body must name its event in 'event': 1 to {MAX_EVENT_NAME_LENGTH} printable characters."
        )
    return content


def _parse_json(body: bytes) -> Any:
    try:
        # The check of each integer costs a Python call, so it is skipped if no integer is long.
        decoder = _STRICT_DECODER if _LONG_NUMBER.search(body) else _DECODER
        content = decoder.decode(body.decode("utf-8"))
        if _SURROGATE_ESCAPE.search(body):
            # Half of a surrogate pair is not text: databases and strict readers would reject it later.
            check_encodable(content)
    except (ValueError, RecursionError):  # including UnicodeError, and numbers of 5,000 digits
        if body.startswith(codecs.BOM_UTF8):
            raise BadRequest(
                f"The body begins with a byte order mark: send it without, or {SET_LENIENT}."
            ) from None
        raise BadRequest("The body is not valid JSON in UTF-8.") from None
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH and is_deeper_than(content):
        raise BadRequest(f"The body is nested more than {MAX_DEPTH} levels deep.")
    return content


def _parse_finite_float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise BadRequest("A number in the body is too large: send it as text.")
    return number


def _parse_bounded_integer(text: str) -> int:
    if len(text) > len(str(MIN_INTEGER)) or not MIN_INTEGER <= int(text) <= MAX_INTEGER:
        raise BadRequest("An integer in the body has more than 64 bits: send it as text.")
    return int(text)


_DECODER = build_decoder(parse_float=_parse_finite_float)
_STRICT_DECODER = build_decoder(parse_float=_parse_finite_float, parse_int=_parse_bounded_integer)
