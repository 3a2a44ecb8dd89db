"""
The rules for where events may be sent: URLs, hosts and addresses.

A user chooses the URL of a subscription, and the service can reach databases and metadata services that the
user cannot. This module only decides; :mod:`.transport` resolves and connects.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address

import httpx

from airflow_provider_pushmetrics.exceptions import PushMetricsEndpointError
from airflow_provider_pushmetrics.service.egress.ip_ranges import Address, Range, Zone, find_range

PRIVATE_OPTION = "--allow-private-endpoints or PUSHMETRICS_SERVICE_ALLOW_PRIVATE_ENDPOINTS=true"

MAX_HOST_LENGTH = 253
_LABEL = re.compile(r"[a-z0-9_-]{1,63}\Z")
_NUMERIC_LABEL = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)\Z")

# fmt: off
FORBIDDEN_PORTS = frozenset((
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103,
    104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514,
    515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723,
    2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
))
# fmt: on
"""
Ports of other protocols, whose servers could execute a line of a request as a command.

https://fetch.spec.whatwg.org/#port-blocking
"""


@dataclass(frozen=True)
class EgressRules:
    """
    Public addresses are always allowed; special ones, such as metadata services, never.

    :param allow_private: Allow private networks and this machine.
    :param allow_loopback: Allow this machine.
    """

    allow_private: bool = False
    allow_loopback: bool = False

    def allows(self, zone: Zone) -> bool:
        """Return whether a kind of address is allowed."""
        match zone:
            case Zone.PUBLIC:
                return True
            case Zone.LOOPBACK:
                return self.allow_private or self.allow_loopback
            case Zone.PRIVATE:
                return self.allow_private
            case Zone.SPECIAL:
                return False

    def allows_port(self, port: int) -> bool:
        """Return whether a port is allowed. With private networks, all ports are."""
        is_home_open = self.allow_private or self.allow_loopback
        return 0 < port < 65536 and (is_home_open or port not in FORBIDDEN_PORTS)


def check_subscription_url(url: str, rules: EgressRules) -> None:
    """
    Check a URL without resolving its host: its form, and its host if that is an address.

    :raises PushMetricsEndpointError: if it is not allowed.
    """
    try:
        # The sender parses it in the same way, so no difference can be exploited.
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        parsed = None
    if parsed is None or not url.isprintable() or " " in url:
        raise PushMetricsEndpointError(
            "the endpoint is not a usable URL: it must look like 'https://host/path', without spaces."
        )
    check_endpoint(parsed, rules)


def check_endpoint(url: httpx.URL, rules: EgressRules) -> None:
    """
    Check a URL's scheme, user, port and host, without resolving the host.

    :raises PushMetricsEndpointError: if one of them is not allowed. The message shows the host, but
        neither the path nor the query, where tokens are.
    """
    host = url.raw_host.decode("ascii").lower()
    if url.scheme not in ("http", "https"):
        raise _refuse(host, f"its scheme is {url.scheme!r}", "Use http or https.")
    if url.userinfo:
        raise _refuse(host, "it holds a user name or a password", "Leave out what is before the '@'.")
    if url.port is not None and not rules.allows_port(url.port):
        raise _refuse(host, f"port {url.port} is not one of HTTP", "Use 80, 443 or another port of HTTP.")
    address = parse_host(host)
    if address is not None:
        check_addresses(host, [address], rules)
    elif is_loopback(host) and not rules.allows(Zone.LOOPBACK):
        raise _refuse_range(host, find_range("127.0.0.1"))


def parse_host(host: str) -> Address | None:
    """
    Parse a host that is an address; None for a name.

    Other spellings of an IPv4 address (``2130706433``, ``0x7f.1``, ``0177.0.0.1``) are refused:
    programs parse them differently.

    :raises PushMetricsEndpointError: if it is neither an address nor a valid name.
    """
    try:
        return ip_address(host.removesuffix("."))
    except ValueError:
        labels = host.removesuffix(".").split(".")
    if _NUMERIC_LABEL.match(labels[-1]):
        raise _refuse(host, "it is an unusual spelling of an address", "Write it as four decimal numbers.")
    if len(host) > MAX_HOST_LENGTH or not all(map(_LABEL.match, labels)):
        raise _refuse(host[:MAX_HOST_LENGTH], "it is not a host name", "Use a name such as 'example.com'.")
    return None


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine by definition: https://www.rfc-editor.org/rfc/rfc6761#section-6.3."""
    try:
        return find_range(host).zone is Zone.LOOPBACK
    except ValueError:
        return host.lower().removesuffix(".").rpartition(".")[2] == "localhost"


def check_addresses(host: str, addresses: Iterable[str | Address], rules: EgressRules) -> None:
    """
    Check all addresses of a host. If one is not allowed, the host is refused.

    :raises PushMetricsEndpointError: with the host and the kind of the address. The address is left out,
        since internal addresses must not be shown to users.
    """
    for address in addresses:
        found = find_range(address)
        if not rules.allows(found.zone):
            raise _refuse_range(host, found)


def _refuse(host: str, fault: str, way_out: str) -> PushMetricsEndpointError:
    return PushMetricsEndpointError(f"nothing can be sent to the endpoint {host!r}: {fault}. {way_out}")


def _refuse_range(host: str, found: Range) -> PushMetricsEndpointError:
    way_out = (
        "Use an endpoint with a public address."
        if found.zone is Zone.SPECIAL
        else f"Use one with a public address, or start the service with {PRIVATE_OPTION}."
    )
    return _refuse(host, f"it leads to {found.purpose}, and events go to public addresses only", way_out)
