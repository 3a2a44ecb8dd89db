from __future__ import annotations

import pytest

from airflow_provider_pushmetrics.receiver.endpoints.limits import (
    NetworkList,
    build_rate_limit,
    check_rate,
    find_client,
)
from airflow_provider_pushmetrics.receiver.errors import TooManyRequests
from airflow_provider_pushmetrics.receiver.settings import SourceSettings


@pytest.mark.parametrize(
    ("networks", "client", "allowed"),
    [
        ((), "203.0.113.9", True),
        ((), "", True),
        (("10.0.0.0/8",), "10.200.3.4", True),
        (("10.0.0.0/8",), "11.0.0.1", False),
        (("10.0.0.0/8", "2001:db8::/32"), "2001:db8::1", True),
        (("10.0.0.0/8",), "::ffff:10.1.2.3", True),
        (("10.0.0.0/8",), "", False),
        (("10.0.0.0/8",), "testclient", False),
    ],
)
def test_source_delivers_from_its_networks_alone(
    networks: tuple[str, ...], client: str, allowed: bool
) -> None:
    assert NetworkList(SourceSettings("s", token="t", networks=networks)).allows(client) is allowed


def test_source_without_a_rate_is_not_limited() -> None:
    limit = build_rate_limit(SourceSettings("s", token="t"), clock=lambda: 0)
    for _ in range(10_000):
        check_rate(limit)


def test_minute_of_deliveries_may_come_at_once_and_then_evenly() -> None:
    now = 0.0
    limit = build_rate_limit(SourceSettings("s", token="t", rate_per_minute=30), clock=lambda: now)
    for _ in range(30):
        check_rate(limit)
    with pytest.raises(TooManyRequests) as refusal:
        check_rate(limit)
    assert (refusal.value.status_code, refusal.value.headers) == (429, {"retry-after": "2"})
    now = 2.0
    check_rate(limit)
    with pytest.raises(TooManyRequests):
        check_rate(limit)
    now = 3600.0
    for _ in range(30):
        check_rate(limit)
    with pytest.raises(TooManyRequests):
        check_rate(limit)


def test_client_may_be_unknown() -> None:
    assert find_client({"client": None}) == find_client({}) == ""
    assert find_client({"client": ("10.0.0.1", 1)}) == "10.0.0.1"
