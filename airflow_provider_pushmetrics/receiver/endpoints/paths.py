"""Finding the receiver's own path in the path of a request, despite prefixes and repeated slashes."""

from __future__ import annotations

import re
from collections.abc import Collection

from airflow_provider_pushmetrics.redaction import REDACTED, redact

DELIVERY_HEAD = "webhooks"
HEADS = frozenset({DELIVERY_HEAD, "events", "cursor", "consumers", "rejections", "metrics", "health"})
"""The first segments of the receiver's own paths."""

MAX_SHOWN_PATH_LENGTH = 200
MAX_READ_PATH_LENGTH = 4000
"""How much of a path is redacted: a server may limit neither its length nor who sends it."""

_PLAIN_DELIVERY = re.compile(r"/webhooks/[^/]+\Z")
_LIKE_A_TOKEN = re.compile(r"(?=[^/]*[0-9])(?=[^/]*[A-Za-z])[^/]{16,}|[^/]{24,}")


def find_route_path(path: str, root_path: str = "") -> str:
    """
    Find the receiver's own path.

    Repeated and trailing slashes are dropped, and so is everything before the receiver's own path: a proxy
    may pass on the prefix under which it serves the receiver, or remove one that is in ``root_path``.

    :param root_path: The mount point of the receiver, as in ASGI.
    :return: The path; the whole path if none of the receiver's paths is in it.
    """
    if root_path and path.startswith(f"{root_path}/"):
        path = path[len(root_path) :]
    if _PLAIN_DELIVERY.match(path):  # nearly always, and ten times as fast as the rest
        return path
    return _find_own_part(path)


def _find_own_part(path: str) -> str:
    segments = [segment for segment in path.split("/") if segment]
    if segments[-2:-1] == [DELIVERY_HEAD] and segments[-3:-2] != ["consumers"]:
        return "/" + "/".join(segments[-2:])  # also behind a prefix such as /events/
    begin = next((number for number, segment in enumerate(segments) if segment in HEADS), 0)
    return "/" + "/".join(segments[begin:])


def find_source(path: str) -> str | None:
    """Find the source of a webhook's path; None for any other path."""
    segments = path.split("/")
    return segments[2] if len(segments) == 3 and segments[1] == DELIVERY_HEAD else None


def describe_path(path: str, known_secrets: Collection[str] = ()) -> str:
    """Format a path for people: in ASCII, shortened, without known secrets and possible tokens."""
    text = ascii(redact(_shorten(path), *known_secrets))[1:-1]
    return hide_tokens(text, known_secrets)[:MAX_SHOWN_PATH_LENGTH]


def hide_tokens(path: str, known_secrets: Collection[str] = ()) -> str:
    """Remove known secrets and possible tokens from a path or a part of it; shorten a very long one."""
    return _LIKE_A_TOKEN.sub(REDACTED, redact(_shorten(path), *known_secrets))


def _shorten(path: str) -> str:
    """Cut a path before a segment, because a part of a secret could not be recognized."""
    if len(path) <= MAX_READ_PATH_LENGTH:
        return path
    return path[: path.rfind("/", 0, MAX_READ_PATH_LENGTH) + 1] + REDACTED
