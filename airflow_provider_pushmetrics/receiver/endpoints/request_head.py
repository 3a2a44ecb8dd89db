"""The head of a request, read once and as bytes, because every webhook passes here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from starlette.types import Scope

MAX_AUTHORIZATIONS = 8
"""How many ``Authorization`` headers are checked: each costs a comparison."""

MAX_QUERY_BYTES = 16_384
"""A longer query string has no parameters: it takes time, and a server may not limit it."""

LISTED = (b"content-type", b"content-encoding")
"""Headers whose values are joined by a comma, as a proxy may join them (RFC 9110, section 5.3)."""


@dataclass(frozen=True, slots=True)
class RequestHead:
    """
    Headers and query string.

    :param headers: Each header by its name in lower case. A header that occurs twice is empty, because the
        two may contradict each other; the values of ``LISTED`` are joined.
    :param query: The query string.
    :param authorizations: Every ``Authorization`` header. There may be several: Airflow appends its
        own if ``[core] simple_auth_manager_all_admins`` is set, and so do some proxies.
    """

    headers: Mapping[bytes, bytes]
    query: bytes = b""
    authorizations: tuple[bytes, ...] = ()

    def get(self, name: str) -> bytes:
        """Get a header that occurs once; empty otherwise."""
        return self.headers.get(name.encode("ascii"), b"")

    def has(self, name: str) -> bool:
        """Return whether a header occurs."""
        return name.encode("ascii") in self.headers

    def get_query_values(self, name: str) -> tuple[bytes, ...]:
        """
        Get both decodings of a query parameter that occurs once; none otherwise.

        A ``+`` is a space in a form, and a plus in a URL that a person wrote.
        """
        if not self.query or len(self.query) > MAX_QUERY_BYTES:
            return ()
        plain = _find_once(self.query, name)
        if b"+" not in self.query:
            return plain
        return plain + _find_once(self.query.replace(b"+", b"%2B"), name)


def _find_once(query: bytes, name: str) -> tuple[bytes, ...]:
    # Latin-1 preserves every byte, quoted or not.
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True, encoding="latin-1")
    found = [value for key, value in pairs if key == name]
    return (found[0].encode("latin-1"),) if len(found) == 1 else ()


def read_head(scope: Scope) -> RequestHead:
    """Read the head of an ASGI request, in a time that is proportional to it: a server may not limit it."""
    headers: dict[bytes, bytes] = {}
    lists: dict[bytes, list[bytes]] = {}
    authorizations: list[bytes] = []
    for name, value in scope["headers"]:
        if name not in headers:
            headers[name] = value
        elif name in LISTED:
            lists.setdefault(name, [headers[name]]).append(value)
        else:
            headers[name] = b""
        if name == b"authorization" and len(authorizations) < MAX_AUTHORIZATIONS:
            authorizations.append(value)
    headers.update((name, b", ".join(values)) for name, values in lists.items())
    return RequestHead(headers, scope.get("query_string", b""), tuple(authorizations))
