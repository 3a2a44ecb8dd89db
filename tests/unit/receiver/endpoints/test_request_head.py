from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_pushmetrics.receiver.endpoints.request_head import (
    MAX_AUTHORIZATIONS,
    RequestHead,
    read_head,
)


def test_header_that_stands_once_is_given_and_one_that_stands_twice_says_nothing() -> None:
    head = read_head({"headers": [(b"a", b"1"), (b"b", b"2"), (b"b", b"3")], "query_string": b""})
    assert (head.get("a"), head.get("b"), head.get("c")) == (b"1", b"", b"")
    assert (head.has("b"), head.has("c")) == (True, False)


@pytest.mark.parametrize("name", [b"content-type", b"content-encoding"])
def test_two_headers_that_describe_the_body_are_one_list(name: bytes) -> None:
    head = read_head({"headers": [(name, b"a"), (name, b"b"), (name, b"c")], "query_string": b""})
    assert head.get(name.decode()) == b"a, b, c"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (b"", ()),
        (b"token=a", (b"a",)),
        (b"x=1&token=a%2Fb+c", (b"a/b c", b"a/b+c")),
        (b"token=a%2Bb%20c", (b"a+b c",)),
        (b"t%6Fken=a", (b"a",)),
        (b"token=%C3%A9", (b"\xc3\xa9",)),
        (b"token=\xc3\xa9", (b"\xc3\xa9",)),
        (b"token=a&token=a", ()),
        (b"token=a+b&token=a", ()),
        (b"token", (b"",)),
    ],
)
def test_query_value_is_read_byte_for_byte_in_both_readings(
    query: bytes, expected: tuple[bytes, ...]
) -> None:
    assert RequestHead({}, query).get_query_values("token") == expected


def test_every_authorization_is_kept_up_to_a_bound() -> None:
    headers = [(b"authorization", b"%d" % number) for number in range(50)]
    head = read_head({"headers": headers, "query_string": b""})
    assert head.authorizations == tuple(b"%d" % number for number in range(MAX_AUTHORIZATIONS))
    assert head.get("authorization") == b""


@given(st.binary(max_size=60))
def test_any_query_can_be_read(query: bytes) -> None:
    RequestHead({}, query).get_query_values("token")
