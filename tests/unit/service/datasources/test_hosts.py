"""Which database servers may be connected to, and at which address."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from sqlalchemy.engine import make_url

from airflow_provider_pushmetrics.service.datasources.base import SourceError
from airflow_provider_pushmetrics.service.datasources.hosts import (
    HostGuard,
    is_local_address,
    sort_addresses,
)
from airflow_provider_pushmetrics.service.egress.rules import EgressRules

PUBLIC = "93.184.216.34"

NAMES: Mapping[str, list[str]] = {
    "public": [PUBLIC],
    "both": ["2606:2800:220:1::1", PUBLIC],
    "office": ["10.1.2.3"],
    "localhost": ["::1", "127.0.0.1"],
    "metadata": ["169.254.169.254"],
    "mixed": [PUBLIC, "169.254.169.254"],
    "db": ["10.0.0.5"],
    "alias": ["10.0.0.5"],
}
OWN = "postgresql+psycopg://pm:s3cret@db/pushmetrics"


def look_up(host: str, port: int) -> list[str]:
    if host not in NAMES:
        raise OSError("no such name")
    return NAMES[host]


def make_guard(
    *, private: bool = False, loopback: bool = False, own: str = OWN, local: tuple[str, ...] = ()
) -> HostGuard:
    def is_local(address: str) -> bool:
        return address in ("127.0.0.1", "::1", *local)

    rules = EgressRules(allow_private=private, allow_loopback=loopback)
    return HostGuard(rules, make_url(own), resolve=look_up, is_local=is_local)


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "[fe80::1]", "[::ffff:169.254.169.254]", "metadata", "mixed"]
)
@pytest.mark.parametrize(
    "scheme", ["postgresql+psycopg", "mysql+pymysql", "mssql+pymssql", "oracle+oracledb"]
)
def test_metadata_services_are_refused_whatever_is_allowed(scheme: str, host: str) -> None:
    guard = make_guard(private=True, loopback=True)
    with pytest.raises(SourceError, match="which is never allowed"):
        guard.pin(make_url(f"{scheme}://me:pw@{host}/shop"))


@pytest.mark.parametrize("host", ["10.1.2.3", "[fd12::1]", "office"])
def test_private_networks_follow_the_setting_of_deliveries(host: str) -> None:
    url = make_url(f"mysql+pymysql://me@{host}/shop")
    for refusing in (make_guard(), make_guard(loopback=True)):
        with pytest.raises(SourceError, match="--allow-private-endpoints"):
            refusing.pin(url)
    assert make_guard(private=True).pin(url)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://me@127.0.0.1/shop",
        "mysql+pymysql://me@localhost/shop",
        "postgresql+psycopg:///shop?host=/tmp",
        "mysql+pymysql:///shop?unix_socket=/tmp/mysql.sock",
    ],
)
def test_this_machine_follows_the_setting_of_deliveries(url: str) -> None:
    with pytest.raises(SourceError, match="--allow-private-endpoints"):
        make_guard().pin(make_url(url))
    assert make_guard(loopback=True).pin(make_url(url))
    assert make_guard(private=True).pin(make_url(url))


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "0177.0.0.1", "a b", "x,127.0.0.1", "h\\i"])
def test_unusual_spellings_of_a_host_are_refused(host: str) -> None:
    url = make_url("mysql+pymysql://me@db/shop").set(host=host)
    with pytest.raises(SourceError, match="is not a valid name or address"):
        make_guard(private=True).pin(url)


def test_name_that_cannot_be_resolved_is_refused() -> None:
    with pytest.raises(SourceError, match="'nowhere' cannot be resolved"):
        make_guard(private=True).pin(make_url("postgresql+psycopg://me:pw@nowhere/shop"))


def test_postgresql_is_connected_to_at_the_addresses_that_were_checked() -> None:
    pinned = make_guard().pin(make_url("postgresql+psycopg://me@both:5433/shop?sslmode=verify-full"))
    assert (pinned.host, pinned.query["hostaddr"]) == ("both,both", ",".join(NAMES["both"]))
    assert pinned.query["sslmode"] == "verify-full"


def test_others_are_connected_to_at_the_address_that_was_checked() -> None:
    assert make_guard().pin(make_url("mysql+pymysql://me@both/shop")).host == PUBLIC


def test_flight_sql_is_connected_to_at_the_address_that_was_checked_and_proves_its_name() -> None:
    pinned = make_guard().pin(make_url("flightsql://me@both?tls=true"))
    assert (pinned.host, pinned.query["hostaddr"]) == ("both", PUBLIC)


def test_order_of_the_addresses_makes_no_other_database() -> None:
    url = make_url("postgresql+psycopg://me@both/shop?hostaddr=")
    one, other, third = (url.update_query_dict({"hostaddr": text}) for text in ("b,a", "a,b", "a,c"))
    assert sort_addresses(one) == sort_addresses(other) != sort_addresses(third)
    plain = make_url("mysql+pymysql://me@both/shop")
    assert sort_addresses(plain) == plain


def test_name_stays_where_the_certificate_must_be_for_it() -> None:
    url = make_url("mysql+pymysql://me@both/shop?ssl_ca=/ca.pem")
    assert make_guard().pin(url).host == "both"
    unchecked = url.update_query_dict({"ssl_check_hostname": "false"})
    assert make_guard().pin(unchecked).host == PUBLIC


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://reader:other@db/pushmetrics",
        "postgresql+psycopg://reader:other@db:5432/pushmetrics?sslmode=require",
        "postgresql+psycopg://reader:other@alias/pushmetrics",
        "postgresql+psycopg://reader:other@10.0.0.5/pushmetrics",
        "postgresql+psycopg://pushmetrics:other@10.0.0.5",
    ],
)
def test_own_database_is_refused_under_any_name_of_its_host(url: str) -> None:
    with pytest.raises(SourceError, match="the service's own") as caught:
        make_guard(private=True).pin(make_url(url))
    assert "other" not in str(caught.value)


@pytest.mark.parametrize(
    "own",
    [
        "postgresql+psycopg://pm@localhost/pushmetrics",
        "postgresql+psycopg://pm@/pushmetrics?host=/var/run/postgresql",
        "postgresql+psycopg://pm@/pushmetrics?host=localhost",
    ],
)
@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://me@127.0.0.1/pushmetrics",
        "postgresql+psycopg://me@localhost/pushmetrics",
        "postgresql+psycopg://me@office/pushmetrics",
        "postgresql+psycopg:///pushmetrics?host=/tmp",
    ],
)
def test_own_database_on_this_machine_is_refused_by_all_its_addresses(own: str, url: str) -> None:
    guard = make_guard(private=True, own=own, local=("10.1.2.3",))
    with pytest.raises(SourceError, match="the service's own"):
        guard.pin(make_url(url))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://reader@db/shop",
        "postgresql+psycopg://reader@db:5433/pushmetrics",
        "postgresql+psycopg://reader@office/pushmetrics",
        "mysql+pymysql://reader@db/pushmetrics",
        "sqlite+pysqlite:////data/pushmetrics",
    ],
)
def test_other_databases_are_accepted(url: str) -> None:
    make_guard(private=True).pin(make_url(url))
    make_guard(private=True, own="sqlite:////data/service.db").pin(make_url(url))


def test_addresses_of_this_machine_are_known() -> None:
    assert is_local_address("127.0.0.1")
    assert not is_local_address("192.0.2.1")
