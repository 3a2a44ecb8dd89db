"""The limits of a source: from which networks it may deliver, and how often."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from starlette.types import Scope

from airflow_provider_pushmetrics.receiver.errors import TooManyRequests
from airflow_provider_pushmetrics.receiver.settings import SourceSettings
from airflow_provider_pushmetrics.serving.rate_limit import RateLimit

EVERY_CLIENT = ""
"""The rate of a source is one for all addresses that it delivers from."""


class NetworkList:
    """
    The networks from which a source may deliver.

    :param source: The source; without networks, it may deliver from anywhere.
    """

    def __init__(self, source: SourceSettings) -> None:
        self._networks = tuple(ip_network(network) for network in source.networks)

    def allows(self, client: str) -> bool:
        """Return whether a delivery may come from an address."""
        if not self._networks:
            return True
        address = _parse_address(client)
        return address is not None and any(address in network for network in self._networks)


def build_rate_limit(source: SourceSettings, *, clock: Callable[[], float] = time.monotonic) -> RateLimit:
    """Build the limit of a source; without a rate, there is none."""
    return RateLimit(source.rate_per_minute or 0, clock=clock)


def check_rate(limit: RateLimit) -> None:
    """
    Count one delivery of a source.

    :raises TooManyRequests: if the source has used its rate up.
    """
    wait_seconds = limit.acquire(EVERY_CLIENT)
    if wait_seconds > 0:
        raise TooManyRequests(math.ceil(wait_seconds))


def find_client(scope: Scope) -> str:
    """Find the address that a request comes from, or nothing."""
    client = scope.get("client")
    return client[0] if client else ""


def _parse_address(client: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(client)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address
