"""The kind of an IP address: public, private, this machine, or never a webhook endpoint."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network


class Zone(Enum):
    """The kind of an address."""

    PUBLIC = "public"
    LOOPBACK = "loopback"
    """This machine itself."""
    PRIVATE = "private"
    """The private networks of an organization."""
    SPECIAL = "special"
    """Never a webhook endpoint: metadata services, link-local, multicast and unassigned ranges."""


@dataclass(frozen=True)
class Range:
    """A range of addresses, and its purpose."""

    network: Network
    zone: Zone
    purpose: str


def _make(zone: Zone, purpose: str, *networks: str) -> tuple[Range, ...]:
    return tuple(Range(ip_network(network), zone, purpose) for network in networks)


# Written out, because `is_global` of `ipaddress` differs between versions of Python, includes multicast and
# 6to4, and does not know clouds. https://www.iana.org/assignments/iana-ipv4-special-registry and
# https://www.iana.org/assignments/iana-ipv6-special-registry. The first range that matches decides.
RANGES: tuple[Range, ...] = (
    # A cloud's metadata service returns credentials to any client on the machine. Those of
    # AWS, Google and Azure at 169.254.169.254 are link-local; these are in other ranges.
    *_make(
        Zone.SPECIAL,
        "a cloud's metadata service",
        "168.63.129.16/32",  # Azure, and a public range by its number
        "100.100.100.200/32",  # Alibaba
        "192.0.0.192/32",  # Oracle
        "fd00:ec2::/32",  # AWS
        "fd20:ce::254/128",  # Google
    ),
    *_make(Zone.LOOPBACK, "a loopback address", "127.0.0.0/8", "::1/128"),
    *_make(Zone.PRIVATE, "a private address", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"),
    *_make(Zone.PRIVATE, "an address behind a carrier's NAT", "100.64.0.0/10"),
    *_make(Zone.SPECIAL, "an unspecified address", "0.0.0.0/8", "::/128"),
    *_make(Zone.SPECIAL, "a link-local address", "169.254.0.0/16", "fe80::/10"),
    *_make(Zone.SPECIAL, "a multicast address", "224.0.0.0/4", "ff00::/8"),
    *_make(Zone.SPECIAL, "a broadcast address", "255.255.255.255/32"),
    *_make(
        Zone.SPECIAL,
        "an address for documentation",
        "192.0.2.0/24",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "2001:db8::/32",
        "3fff::/20",
    ),
    *_make(Zone.SPECIAL, "an address for benchmarks", "198.18.0.0/15"),
    # 6to4 and Teredo carry an IPv4 address, of any kind, through relays that anybody may run.
    *_make(Zone.SPECIAL, "a tunnel's address", "192.88.99.0/24", "2002::/16", "2001::/32"),
    *_make(
        Zone.SPECIAL, "an address reserved for protocols", "192.0.0.0/24", "240.0.0.0/4", "2001::/23", "::/3"
    ),
    *_make(Zone.PUBLIC, "a public address", "0.0.0.0/0", "2000::/3"),
    *_make(Zone.SPECIAL, "an unassigned address", "::/0"),
)

NAT64 = IPv6Network("64:ff9b::/96")
"""An IPv6-only network reaches hosts of IPv4 by these addresses, so the embedded address is checked."""


def find_range(address: str | Address) -> Range:
    """
    Find the range of an address. An IPv4 address that is mapped or translated into IPv6 is checked as IPv4.

    :raises ValueError: if it is not an address.
    """
    carried = _unwrap(ip_address(address))
    return next(one for one in RANGES if carried.version == one.network.version and carried in one.network)


def _unwrap(address: Address) -> Address:
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return IPv4Address(int(address) & 0xFFFFFFFF) if address in NAT64 else address
