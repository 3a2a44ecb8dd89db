"""What stands before a request's body, read once and as bytes: every webhook comes this way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from starlette.types import Scope


@dataclass(frozen=True, slots=True)
class RequestHead:
    """
    Headers and query string.

    :param headers: Each header by its name in lower case; empty where it stands twice, since two say nothing.
    :param query: The query string.
    """

    headers: Mapping[bytes, bytes]
    query: bytes = b""

    def get(self, name: str) -> bytes:
        """Get a header that stands there once, or nothing."""
        return self.headers.get(name.encode("ascii"), b"")

    def has(self, name: str) -> bool:
        """Tell whether a header stands there, however often."""
        return name.encode("ascii") in self.headers

    def get_query_value(self, name: str) -> bytes:
        """Get a parameter of the query that stands there once, or nothing."""
        if not self.query:
            return b""
        # Latin-1 keeps every byte as it came, quoted or not.
        pairs = parse_qsl(self.query.decode("latin-1"), keep_blank_values=True, encoding="latin-1")
        found = [value for key, value in pairs if key == name]
        return found[0].encode("latin-1") if len(found) == 1 else b""


def read_head(scope: Scope) -> RequestHead:
    """Read the head of an ASGI request."""
    headers: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        headers[name] = b"" if name in headers else value
    return RequestHead(headers, scope.get("query_string", b""))
