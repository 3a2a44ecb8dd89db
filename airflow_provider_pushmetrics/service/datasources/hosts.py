"""
Checks of the hosts in database URLs.

A host is resolved each time its database is opened, rejected unless the egress rules allow all its
addresses, and connected to at such an address. A later change of the name (DNS rebinding)
has no effect, because the driver does not resolve it again.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TypeAlias

from sqlalchemy.engine import URL

from airflow_provider_pushmetrics.exceptions import PushMetricsEndpointError
from airflow_provider_pushmetrics.service.datasources.base import SourceError
from airflow_provider_pushmetrics.service.datasources.urls import (
    FILE_BACKENDS,
    FLIGHT_SQL,
    find_socket,
    is_set,
)
from airflow_provider_pushmetrics.service.egress.ip_ranges import Zone, find_range
from airflow_provider_pushmetrics.service.egress.rules import PRIVATE_OPTION, EgressRules, parse_host
from airflow_provider_pushmetrics.service.egress.transport import BoundedResolver, Resolver

DEFAULT_PORTS = {"postgresql": 5432, "mysql": 3306, "mariadb": 3306, "mssql": 1433, "oracle": 1521}

THIS_MACHINE = "this machine"

IsLocal: TypeAlias = Callable[[str], bool]


def is_local_address(address: str) -> bool:
    """Return whether an address belongs to this machine: only then can a socket be bound to it."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with closing(socket.socket(family, socket.SOCK_STREAM)) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


@dataclass(frozen=True)
class Place:
    """The location of a database: the addresses of its server, its port and its name."""

    addresses: frozenset[str]
    port: int
    name: str | None

    def is_same(self, other: Place) -> bool:
        """Return whether both are the same database, whatever the names of the host."""
        return (self.port, self.name) == (other.port, other.name) and bool(self.addresses & other.addresses)


class HostGuard:
    """
    Decides which database servers may be connected to.

    :param rules: The egress rules.
    :param own: The service's own database, which is rejected.
    :param resolve: Returns the addresses of a name.
    """

    def __init__(
        self,
        rules: EgressRules,
        own: URL,
        *,
        resolve: Resolver | None = None,
        is_local: IsLocal = is_local_address,
    ) -> None:
        self._rules = rules
        self._own = own
        self._resolve = resolve or BoundedResolver()
        self._is_local = is_local

    def pin(self, url: URL) -> URL:
        """
        Check the server of a database, and replace its name in the URL by its address.

        PostgreSQL and Flight SQL get the addresses by the option ``hostaddr``, and keep the name for the
        certificate.

        :raises SourceError: if it must not be connected to, or its name cannot be resolved.
        """
        backend = url.get_backend_name()
        if backend in FILE_BACKENDS:
            return url
        addresses = self._find_addresses(url)
        self._refuse_own(url, addresses)
        if not addresses:
            return url  # a socket of this machine
        if backend == "postgresql":
            return url.set(host=",".join([str(url.host)] * len(addresses))).update_query_dict(
                {"hostaddr": ",".join(addresses)}
            )
        if _checks_certificate(url):
            return url  # the certificate is verified for the name, so no other server is accepted
        address = min(addresses, key=lambda one: ":" in one)
        if backend == FLIGHT_SQL:
            return url.update_query_dict({"hostaddr": address})
        return url.set(host=address)

    def _find_addresses(self, url: URL) -> list[str]:
        """Find the addresses of a server that may be connected to; none for a socket."""
        if find_socket(url) is not None:
            if not self._rules.allows(Zone.LOOPBACK):
                raise _refuse("the socket", "is on this machine", Zone.LOOPBACK)
            return []
        host = str(url.host)
        addresses = self._lookup(host, url.port or DEFAULT_PORTS.get(url.get_backend_name(), 0))
        for address in addresses:
            found = find_range(address)
            if not self._rules.allows(found.zone):
                raise _refuse(f"the host {host!r}", f"resolves to {found.purpose}", found.zone)
        return addresses

    def _lookup(self, host: str, port: int) -> list[str]:
        try:
            literal = parse_host(host.lower())
        except PushMetricsEndpointError:
            raise SourceError(
                f"the host {host!r} is not a valid name or address: write a name such as 'db.example.com',"
                " or four decimal numbers."
            ) from None
        if literal is not None:
            return [str(literal)]
        try:
            return self._resolve(host, port)
        except (OSError, UnicodeError):
            raise SourceError(f"the host {host!r} cannot be resolved: check its name.") from None

    def _refuse_own(self, url: URL, addresses: Iterable[str]) -> None:
        if url.get_backend_name() != self._own.get_backend_name():
            return
        try:
            own = self._resolve_own()
        except OSError:
            return  # the service itself cannot resolve its database now
        if self._describe(url, addresses).is_same(self._describe(self._own, own)):
            raise SourceError("this database is the service's own: it cannot be queried.")

    def _resolve_own(self) -> list[str]:
        host = self._own.host or str(self._own.query.get("host", ""))
        if not host or host.startswith("/"):
            return []  # a socket of this machine
        try:
            return [str(ip_address(host))]
        except ValueError:
            return self._resolve(host, self._own.port or 5432)

    def _describe(self, url: URL, addresses: Iterable[str]) -> Place:
        default = DEFAULT_PORTS[url.get_backend_name()]
        known = {THIS_MACHINE if self._is_local(address) else address for address in addresses}
        # PostgreSQL's default database is the name of the user.
        return Place(frozenset(known or {THIS_MACHINE}), url.port or default, url.database or url.username)


def sort_addresses(url: URL) -> URL:
    """Sort the addresses of a checked URL: some names change their order with each lookup."""
    addresses = str(url.query.get("hostaddr", "")).split(",")
    return url.update_query_dict({"hostaddr": ",".join(sorted(addresses))}) if len(addresses) > 1 else url


def _checks_certificate(url: URL) -> bool:
    """Return whether a driver only accepts a certificate for the host's name."""
    return "ssl_ca" in url.query and is_set(url, "ssl_check_hostname", default=True)


def _refuse(what: str, fault: str, zone: Zone) -> SourceError:
    if zone is Zone.SPECIAL:
        return SourceError(f"{what} {fault}, which is never allowed.")
    return SourceError(
        f"{what} {fault}: use a database with a public address, or start the service with {PRIVATE_OPTION}."
    )
