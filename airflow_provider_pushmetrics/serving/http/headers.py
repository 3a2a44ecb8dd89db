"""The request headers ``Authorization`` and ``Accept``, and the response header ``Cache-Control``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_CREDENTIAL_BYTES = 4096
MAX_MEDIA_RANGES = 64
"""The maximum number of media ranges that are read from an ``Accept`` header."""


def parse_bearer(authorization: bytes) -> bytes | None:
    """
    Read the token of an ``Authorization`` header.

    The scheme is case-insensitive (RFC 9110, section 11.1). The token is everything after it:
    it is compared with a known one, so its characters are not checked.

    :return: The token; None if there is none, or if it is longer than any valid one.
    """
    if len(authorization) > MAX_CREDENTIAL_BYTES:
        return None
    scheme, _, token = authorization.partition(b" ")
    return (token.strip() or None) if scheme.lower() == b"bearer" else None


@dataclass(frozen=True)
class Accept:
    """
    The media types that a client accepts (RFC 9110, section 12.5.1).

    :param weights: The weight of each media range, from 0 to 1. Empty if the client does not say.
    """

    weights: Mapping[str, float]

    def get_weight(self, media_type: str) -> float:
        """Get the weight of the most specific range that contains a media type; 0 if none does."""
        family = f"{media_type.partition('/')[0]}/*"
        return next((self.weights[name] for name in (media_type, family, "*/*") if name in self.weights), 0.0)

    def get_named_weight(self, media_type: str) -> float:
        """Get the weight of a media type that is listed itself, not by a range; 0 if it is not."""
        return self.weights.get(media_type, 0.0)


def parse_accept(header: str | None) -> Accept:
    """Parse an ``Accept`` header. The first of equal ranges counts; a weight outside 0 to 1 is 0."""
    if not header or not header.strip():
        return Accept({})
    parts = header.split(",", MAX_MEDIA_RANGES)[:MAX_MEDIA_RANGES]
    return Accept(dict(_parse_range(part) for part in reversed(parts)))


def _parse_range(part: str) -> tuple[str, float]:
    name, *options = (piece.strip().lower() for piece in part.split(";"))
    weight = next((option[2:] for option in options if option.startswith("q=")), "1")
    return name, _parse_weight(weight)


def _parse_weight(text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        return 0.0
    return weight if 0 <= weight <= 1 else 0.0


class NoStore:
    """
    Adds ``Cache-Control: no-store`` to every response that has no ``Cache-Control``.

    Some responses contain tokens and secrets. A default cannot be forgotten for a new route.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and add the header to its response."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_completed(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, send_completed)
