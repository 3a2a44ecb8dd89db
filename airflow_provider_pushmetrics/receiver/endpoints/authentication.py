"""
Authentication of senders and readers: on bytes, in constant time, before anything is parsed.

The response is the same for every cause, and for existing and unknown sources. The cause is only
in the log.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import logging
import secrets
import time
from collections.abc import Callable, Iterable

from airflow_provider_pushmetrics.exceptions import InvalidSignatureError
from airflow_provider_pushmetrics.receiver.endpoints.request_head import RequestHead
from airflow_provider_pushmetrics.receiver.errors import Unauthorized
from airflow_provider_pushmetrics.receiver.settings import SourceSettings
from airflow_provider_pushmetrics.serving.http.headers import MAX_CREDENTIAL_BYTES, parse_bearer
from airflow_provider_pushmetrics.signatures import (
    ID_HEADER,
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    TOLERANCE_SECONDS,
    decode_secret,
    verify,
)

log = logging.getLogger(__name__)

SENDER_REFUSED = "The source is unknown, or its credential was refused."
READER_REFUSED = "The reader token is missing or wrong."


class SourceVerifier:
    """
    Verifies that a webhook comes from one source.

    If a source has signing secrets and the webhook has signature headers, only these count; otherwise the
    source's token, if any, is compared.

    The work does not depend on what the source has: what is missing is replaced by random bytes.

    :param source: The source; None for one that does not exist.
    :param key_count: How many keys are tried.
    :param clock: Gives the time in Unix seconds.
    """

    def __init__(
        self, source: SourceSettings | None, key_count: int, *, clock: Callable[[], float] = time.time
    ) -> None:
        own = tuple(decode_secret(secret) for secret in source.signing_secrets) if source else ()
        token = source.token if source else None
        self._token = (token or secrets.token_urlsafe()).encode("utf-8")
        self._is_signing = bool(own)
        self._keys = own + tuple(secrets.token_bytes() for _ in range(key_count - len(own)))
        self._clock = clock

    def verify(self, head: RequestHead, body: bytes) -> str | None:
        """
        Check a webhook.

        :return: The signed ``webhook-id``, or None if the token was compared.
        :raises InvalidSignatureError: if it does not come from the source.
        """
        is_offered = _is_offered(self._token, head)
        if head.has(SIGNATURE_HEADER):
            try:
                message_id = self._verify_signature(head, body)
            except InvalidSignatureError:
                if self._is_signing:
                    raise
            else:
                return message_id
        if not is_offered:
            raise InvalidSignatureError("no token in the request matches, and it has no signature")
        return None

    def classify(self, head: RequestHead) -> str:
        """Return the cause of a rejection: ``missing``, ``clock`` or ``credential``."""
        timestamp = _get_credential(head, TIMESTAMP_HEADER)
        if self._is_signing and head.has(SIGNATURE_HEADER) and timestamp.isdigit() and len(timestamp) <= 12:
            return "clock" if abs(self._clock() - int(timestamp)) > TOLERANCE_SECONDS else "credential"
        is_shown = head.has(SIGNATURE_HEADER) or head.has("authorization") or b"token=" in head.query
        return "credential" if is_shown else "missing"

    def _verify_signature(self, head: RequestHead, body: bytes) -> str:
        return verify(
            self._keys,
            message_id=_get_credential(head, ID_HEADER),
            timestamp=_get_credential(head, TIMESTAMP_HEADER),
            signatures=_get_credential(head, SIGNATURE_HEADER),
            body=body,
            now=self._clock(),
        )


class SenderAuthenticator:
    """
    Authenticates the webhooks of all sources.

    :param sources: Every source.
    :param clock: Returns the time in Unix seconds.
    """

    def __init__(self, sources: Iterable[SourceSettings], *, clock: Callable[[], float] = time.time) -> None:
        known = tuple(sources)
        # The response time must not disclose which sources exist.
        key_count = max((1, *(len(source.signing_secrets) for source in known)))
        self._verifiers = {source.name: SourceVerifier(source, key_count, clock=clock) for source in known}
        self._nobody = SourceVerifier(None, key_count, clock=clock)

    def authenticate(self, source: str, head: RequestHead, body: bytes) -> str | None:
        """
        Check a webhook to a source.

        :return: The signed ``webhook-id``, or None if the token was compared.
        :raises Unauthorized: for an unknown source and for every wrong credential.
        """
        verifier = self._verifiers.get(source)
        try:
            message_id = (verifier or self._nobody).verify(head, body)
        except InvalidSignatureError as error:
            log.debug("Rejected a webhook to %r: %s", source, error)
            raise Unauthorized(SENDER_REFUSED, verifier.classify(head) if verifier else "source") from None
        if verifier is None:
            raise Unauthorized(SENDER_REFUSED, "source")
        return message_id


class ReaderAuthenticator:
    """
    Authenticates readers.

    :param token: Their Bearer token; if empty, nobody may read.
    """

    def __init__(self, token: str) -> None:
        # An empty token must match nothing, but an empty credential would equal it.
        self._token = (token or secrets.token_urlsafe()).encode("utf-8")

    def authenticate(self, head: RequestHead) -> None:
        """
        Check a reader: one correct credential in the request is enough.

        :raises Unauthorized: for every wrong credential.
        """
        if not _is_among(self._token, [parse_bearer(value) or b"" for value in _list_authorizations(head)]):
            raise Unauthorized(READER_REFUSED)


def _get_credential(head: RequestHead, name: str) -> bytes:
    value = head.get(name)
    return value if len(value) <= MAX_CREDENTIAL_BYTES else b""


def _list_authorizations(head: RequestHead) -> list[bytes]:
    return [value for value in head.authorizations if len(value) <= MAX_CREDENTIAL_BYTES]


def _is_offered(token: bytes, head: RequestHead) -> bool:
    """Return whether a token is in the request; one correct credential is enough."""
    authorizations = _list_authorizations(head)
    offered = [
        *head.get_query_values("token"),
        *(parse_bearer(value) or b"" for value in authorizations),
        *map(_find_basic_password, authorizations),
    ]
    return _is_among(token, offered)


def _is_among(token: bytes, offered: Iterable[bytes]) -> bool:
    """Compare with every one, so that the time does not disclose which one matches."""
    matches = False
    for candidate in offered:
        matches |= hmac.compare_digest(token, candidate)
    return matches


def _find_basic_password(authorization: bytes) -> bytes:
    scheme, _, value = authorization.partition(b" ")
    if scheme.lower() != b"basic":
        return b""
    try:
        return base64.b64decode(value.strip(), validate=True).partition(b":")[2]
    except (binascii.Error, ValueError):
        return b""
