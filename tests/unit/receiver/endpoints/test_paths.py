from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_pushmetrics.receiver.endpoints.paths import (
    _find_own_part,
    describe_path,
    find_route_path,
    find_source,
)


@pytest.mark.parametrize(
    ("path", "root_path"),
    [
        ("/webhooks/demo", ""),
        ("/webhooks/demo/", ""),
        ("//webhooks//demo//", ""),
        ("/pushmetrics/webhooks/demo", "/pushmetrics"),
        ("/pushmetrics/webhooks/demo", ""),  # the proxy does not cut its prefix off
        ("/a/b/webhooks/demo", ""),
        ("/airflow/pushmetrics/webhooks/demo", "/airflow/pushmetrics"),
        ("/pushmetrics/webhooks/demo", "/airflow/pushmetrics"),  # the proxy cuts its prefix off
        ("/webhooks/webhooks/demo", "/webhooks"),
        ("/webhooks/webhooks/demo", ""),
        ("/events/webhooks/demo", ""),  # a prefix that is called like a path of the receiver
        ("/metrics/pushmetrics/webhooks/demo", "/airflow"),
    ],
)
def test_a_delivery_is_found_behind_any_prefix_and_with_any_slashes(path: str, root_path: str) -> None:
    assert find_source(find_route_path(path, root_path)) == "demo"


@pytest.mark.parametrize(
    "path",
    ["", "/", "/webhooks", "/webhooks/", "/webhooks/demo/more", "/webhook/demo", "/demo", "/Webhooks/demo"],
)
def test_any_other_path_is_no_delivery(path: str) -> None:
    assert find_source(find_route_path(path)) is None


@pytest.mark.parametrize(
    ("path", "root_path", "route"),
    [
        ("/events", "", "/events"),
        ("/pushmetrics/events/7/replay", "/pushmetrics", "/events/7/replay"),
        ("/pushmetrics/cursor", "/airflow/pushmetrics", "/cursor"),
        ("/pm/consumers/events", "", "/consumers/events"),
        ("/nothing/of/ours", "", "/nothing/of/ours"),
    ],
)
def test_readers_paths_are_found_alike(path: str, root_path: str, route: str) -> None:
    assert find_route_path(path, root_path) == route


@given(st.text(), st.text())
def test_any_path_can_be_looked_at(path: str, root_path: str) -> None:
    route = find_route_path(path, root_path)
    assert find_route_path(route) == route
    find_source(route)
    assert describe_path(path).isascii()


@given(st.sampled_from(["", "/", "//", "/a/", "/webhooks/"]), st.text("abws/%? \n", max_size=12))
def test_the_short_way_finds_what_the_long_way_finds(prefix: str, rest: str) -> None:
    for path in (prefix + rest, f"{prefix}webhooks/{rest}", f"/webhooks/{rest}"):
        assert find_route_path(path) == _find_own_part(path)


@pytest.mark.parametrize(
    "path",
    [
        "/webhooks/demo/s3cret",
        "/webhooks/demo?token=s3cret",
        "/webhooks/demo/a1b2c3d4e5f6g7h8i9j0",
        "/webhooks/demo/abcdefghijklmnopqrstuvwxyz",
        "/webhooks/demo/whsec_abcdef",
    ],
)
def test_a_token_in_a_path_is_not_shown(path: str) -> None:
    shown = describe_path(path, ["s3cret"])
    assert shown.startswith("/webhooks/demo")
    assert "***" in shown
    assert not any(part in shown for part in ("s3cret", "a1b2c3d4", "abcdef"))


def test_a_path_without_a_token_is_shown_as_it_came() -> None:
    assert describe_path("/pushmetrics/webhook/sales-team/", ["s3cret"]) == "/pushmetrics/webhook/sales-team/"
