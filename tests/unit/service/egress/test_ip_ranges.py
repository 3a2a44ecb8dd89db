"""Where addresses lead."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_pushmetrics.service.egress.ip_ranges import RANGES, Zone, find_range

PUBLIC = ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700:4700::1111", "2a00:1450:4001::64"]
LOOPBACK = ["127.0.0.1", "127.255.255.254", "::1"]
PRIVATE = ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "100.127.255.255"]
PRIVATE += ["fc00::1", "fd12:3456:789a::1"]
SPECIAL = ["0.0.0.0", "0.1.2.3", "169.254.0.1", "169.254.169.254", "192.0.0.1", "192.0.2.1", "198.18.0.1"]
SPECIAL += ["198.51.100.1", "203.0.113.9", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"]
SPECIAL += ["::", "fe80::1", "fec0::1", "ff02::1", "ff0e::1", "2001:db8::1", "3fff::1", "100::1", "5f00::1"]
METADATA = ["169.254.169.254", "168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254"]
METADATA += ["fd20:ce::254"]


@pytest.mark.parametrize(
    ("zone", "addresses"),
    [
        (Zone.PUBLIC, PUBLIC),
        (Zone.LOOPBACK, LOOPBACK),
        (Zone.PRIVATE, PRIVATE),
        (Zone.SPECIAL, SPECIAL),
    ],
)
def test_address_is_known_by_its_range(zone: Zone, addresses: list[str]) -> None:
    assert {address: find_range(address).zone for address in addresses} == dict.fromkeys(addresses, zone)


@pytest.mark.parametrize("address", METADATA)
def test_metadata_service_is_special_even_among_public_and_private_addresses(address: str) -> None:
    assert find_range(address).zone is Zone.SPECIAL


@pytest.mark.parametrize("form", ["::ffff:{}", "64:ff9b::{}"])
@pytest.mark.parametrize("address", [*PUBLIC[:4], *LOOPBACK[:2], *PRIVATE[:6], *SPECIAL[:13], *METADATA[:4]])
def test_ipv4_address_inside_ipv6_counts_as_itself(form: str, address: str) -> None:
    assert find_range(form.format(address)) == find_range(address)


@pytest.mark.parametrize(
    "address",
    [
        "2002:7f00:1::1",  # 6to4 of 127.0.0.1
        "2002:808:808::1",  # and of 8.8.8.8: the relay is anybody's
        "2001:0:808:808::1",  # Teredo
        "192.88.99.1",
        "::7f00:1",  # IPv4-compatible
        "64:ff9b:1::7f00:1",  # a network's own translation
        "::ffff:0:127.0.0.1",  # IPv4-translated
    ],
)
def test_tunnels_and_other_ways_to_write_ipv4_are_special(address: str) -> None:
    assert find_range(address).zone is Zone.SPECIAL


def test_scope_does_not_change_what_an_address_is() -> None:
    assert find_range("fe80::1%eth0").zone is Zone.SPECIAL
    assert find_range("::1%25lo").zone is Zone.LOOPBACK


def test_every_purpose_reads_well_in_a_sentence() -> None:
    assert {one.purpose.split()[0] for one in RANGES} <= {"a", "an"}


@pytest.mark.parametrize("text", ["", "example.com", "127.1", "0x7f000001", "1.2.3.4.5"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="address"):
        find_range(text)


ANY = st.one_of(
    st.ip_addresses(v=4), st.ip_addresses(v=6), st.sampled_from(SPECIAL + PRIVATE).map(ip_address)
)


@given(ANY)
def test_public_address_is_public_to_python_too(address: IPv4Address | IPv6Address) -> None:
    if find_range(address).zone is not Zone.PUBLIC or "ff9b" in str(address):
        return
    judged = getattr(address, "ipv4_mapped", None) or address
    assert judged.is_global
    assert not any([judged.is_multicast, judged.is_loopback, judged.is_link_local, judged.is_unspecified])


@given(st.ip_addresses())
def test_every_address_has_a_range(address: IPv4Address | IPv6Address) -> None:
    assert find_range(address).network.version in (4, 6)
