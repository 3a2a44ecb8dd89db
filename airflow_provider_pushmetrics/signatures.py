"""
Sign and verify webhooks by the Standard Webhooks scheme, version 1.0.0, symmetric keys.

Specification: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md.
All of it works on bytes. For any input, ``verify`` either returns or raises
:class:`~airflow_provider_pushmetrics.exceptions.InvalidSignatureError`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable

from airflow_provider_pushmetrics.exceptions import InvalidSignatureError, PushMetricsConfigurationError

ID_HEADER = "webhook-id"
TIMESTAMP_HEADER = "webhook-timestamp"
SIGNATURE_HEADER = "webhook-signature"

SECRET_PREFIX = "whsec_"  # noqa: S105 (a prefix)
SECRET_BYTES = 32
"""The specification asks for 24 to 64 random bytes."""

TOLERANCE_SECONDS = 300
"""The tolerance of a timestamp in both directions, as in the scheme's own libraries."""

MAX_ID_BYTES = 256
MAX_SIGNATURES = 16
"""A header contains one signature for each secret that is valid now; a sender needs only a few."""

_ID = re.compile(rb"[\x21-\x2d\x2f-\x7e]{1,%d}\Z" % MAX_ID_BYTES)
"""Visible ASCII without the full stop, which separates the signed parts."""

_TIMESTAMP = re.compile(rb"[0-9]{1,12}\Z")


def generate_secret() -> str:
    """Generate a new signing secret: ``whsec_`` and 32 random bytes in base64."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode("ascii")


def decode_secret(secret: str) -> bytes:
    """
    Decode the key of a ``whsec_…`` secret; the prefix and the padding may be missing.

    :raises PushMetricsConfigurationError: if it is not base64, or too short. The message never contains the
        secret.
    """
    encoded = secret.strip().removeprefix(SECRET_PREFIX)
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) < 16:
        raise PushMetricsConfigurationError(
            "a signing secret is invalid: it must be 'whsec_' followed by at least 16 bytes in base64. Copy"
            " it again from the webhook subscription."
        )
    return key


def sign(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """
    Sign one attempt to deliver a message.

    :param key: The key, from ``decode_secret``.
    :param message_id: The same for all attempts of a message.
    :param timestamp: When this attempt is made, in whole Unix seconds.
    :param body: The body, as sent.
    :return: One signature, ``v1,…``; several are joined by a space.
    """
    digest = _compute_digest(key, message_id.encode("ascii"), str(timestamp).encode("ascii"), body)
    return "v1," + base64.b64encode(digest).decode("ascii")


def verify(
    keys: Iterable[bytes],
    *,
    message_id: bytes,
    timestamp: bytes,
    signatures: bytes,
    body: bytes,
    now: float,
) -> str:
    """
    Check that a message was signed with one of the keys, at about the current time.

    :param keys: Every key that is valid now.
    :param message_id: The header ``webhook-id``.
    :param timestamp: The header ``webhook-timestamp``.
    :param signatures: The header ``webhook-signature``: several signatures, separated by spaces.
    :param body: The body, as received.
    :param now: The time, in Unix seconds.
    :return: The message's id.
    :raises InvalidSignatureError: for anything else. The message is for a log; do not send it to the
        sender.
    """
    if not _ID.match(message_id):
        raise InvalidSignatureError("the webhook-id is missing, too long or not visible ASCII without '.'")
    if not _TIMESTAMP.match(timestamp):
        raise InvalidSignatureError("the webhook-timestamp is not a whole number of seconds")
    if abs(now - int(timestamp)) > TOLERANCE_SECONDS:
        raise InvalidSignatureError(f"the webhook-timestamp is more than {TOLERANCE_SECONDS} s off")
    offered = [
        part[3:] for part in signatures.split(b" ", MAX_SIGNATURES)[:MAX_SIGNATURES] if part[:3] == b"v1,"
    ]
    matches = False
    for key in keys:
        expected = base64.b64encode(_compute_digest(key, message_id, timestamp, body))
        for signature in offered:
            matches |= hmac.compare_digest(expected, signature)
    if not matches:
        raise InvalidSignatureError("no signature in webhook-signature matches")
    return message_id.decode("ascii")


def _compute_digest(key: bytes, message_id: bytes, timestamp: bytes, body: bytes) -> bytes:
    return hmac.new(key, b"%b.%b.%b" % (message_id, timestamp, body), hashlib.sha256).digest()
