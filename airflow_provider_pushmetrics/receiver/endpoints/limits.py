"""The limits of a source: its networks and its rate."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from starlette.types import Scope

from airflow_provider_pushmetrics.receiver.errors import TooManyRequests
from airflow_provider_pushmetrics.receiver.settings import SourceSettings
from airflow_provider_pushmetrics.serving.http.rate_limit import RateLimit

EVERY_CLIENT = ""
"""The rate limit of a source is shared by all addresses that it sends from."""


class NetworkList:
    """
    The networks from which a source may send.

    :param source: The source; without networks, it may send from anywhere.
    """

    def __init__(self, source: SourceSettings) -> None:
        self._networks = tuple(ip_network(network) for network in source.networks)

    def allows(self, client: str) -> bool:
        """Return whether a webhook may come from an address."""
        if not self._networks:
            return True
        address = _parse_address(client)
        return address is not None and any(address in network for network in self._networks)


def build_rate_limit(source: SourceSettings, *, clock: Callable[[], float] = time.monotonic) -> RateLimit:
    """Build the rate limit of a source; none without a rate."""
    return RateLimit(source.rate_per_minute or 0, clock=clock)


def check_rate(limit: RateLimit) -> None:
    """
    Count one webhook of a source.

    :raises TooManyRequests: if the source has exceeded its rate.
    """
    wait_seconds = limit.acquire(EVERY_CLIENT)
    if wait_seconds > 0:
        raise TooManyRequests(math.ceil(wait_seconds))


def find_client(scope: Scope) -> str:
    """Find the client address of a request; empty if unknown."""
    client = scope.get("client")
    return client[0] if client else ""


def _parse_address(client: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(client)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address
