"""What a source may do beside proving who it is: from where it delivers, and how much."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from starlette.types import Scope

from airflow_provider_pushmetrics.receiver.errors import TooManyRequests
from airflow_provider_pushmetrics.receiver.settings import SourceSettings


class NetworkList:
    """
    The networks from which a source may deliver.

    :param source: The source; without networks, it may deliver from anywhere.
    """

    def __init__(self, source: SourceSettings) -> None:
        self._networks = tuple(ip_network(network) for network in source.networks)

    def allows(self, client: str) -> bool:
        """Tell whether a delivery may come from an address."""
        if not self._networks:
            return True
        address = _parse_address(client)
        return address is not None and any(address in network for network in self._networks)


class RateLimit:
    """
    A bucket that holds one minute's deliveries and fills up evenly.

    :param source: The source; without a rate, there is no limit.
    :param clock: Gives seconds that never go back.
    """

    def __init__(self, source: SourceSettings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = source.rate_per_minute
        self._clock = clock
        self._left = float(source.rate_per_minute or 0)
        self._filled_at = clock()

    def take(self) -> None:
        """
        Take one.

        :raises TooManyRequests: if the bucket is empty.
        """
        if self._per_minute is None:
            return
        now = self._clock()
        filled = self._left + (now - self._filled_at) * self._per_minute / 60
        self._left, self._filled_at = min(filled, float(self._per_minute)), now
        if self._left < 1:
            raise TooManyRequests(math.ceil((1 - self._left) * 60 / self._per_minute))
        self._left -= 1


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
