"""Parameters from a URL, from a body and from blocks."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError
from airflow_provider_pushmetrics.service.reports.parameters import (
    merge_parameters,
    parse_json_parameters,
    write_fingerprint,
)


def test_body_wins_over_the_url() -> None:
    assert merge_parameters([("a", "1"), ("b", "2")], {"a": 3}) == {"a": 3, "b": "2"}


def test_first_of_repeated_names_counts() -> None:
    assert merge_parameters([("a", "1"), ("a", "2")], {}) == {"a": "1"}


def test_token_is_never_a_parameter() -> None:
    assert merge_parameters([("token", "t"), ("a", "1")], {"token": "x"}) == {"a": "1"}


@pytest.mark.parametrize("body", [b"", b"  \n"])
def test_empty_body_has_no_parameters(body: bytes) -> None:
    assert parse_json_parameters(body) == {}


@pytest.mark.parametrize(
    "body",
    [
        b"[1]",
        b'"text"',
        b"3",
        b"null",
        b"{",
        b"{'a': 1}",
        b'{"a": NaN}',
        b'{"a": 1e400}',
        b'{"a": -Infinity}',
        b'{"a": 12345678901234567.89}',
        b'{"a": ' + b"9" * 5000 + b"}",
        b'{"a": "\\ud800"}',
        b"\xff\xfe",
        b'{"a":' + b"[" * 65 + b"]" * 65 + b"}",
        b"[" * 100_000,
        b"a=1&b=2",
    ],
    ids=lambda body: str(body[:20]),
)
def test_body_that_is_no_usable_object_is_refused(body: bytes) -> None:
    with pytest.raises(PushMetricsParameterError, match="The body is"):
        parse_json_parameters(body)


@given(st.binary(max_size=200))
def test_any_bytes_are_parsed_or_refused(body: bytes) -> None:
    with suppress(PushMetricsParameterError):
        assert isinstance(parse_json_parameters(body), dict)


def test_json_types_are_kept() -> None:
    assert parse_json_parameters(b'{"a": 1, "b": null, "c": [true], "d": {"e": 1.5}, "f": "\\u0000"}') == {
        "a": 1,
        "b": None,
        "c": [True],
        "d": {"e": 1.5},
        "f": "\x00",
    }


def test_fingerprint_tells_types_apart_but_not_the_order_of_names() -> None:
    texts = {write_fingerprint({"a": value}) for value in (1, 1.0, True, "1", None)}
    assert len(texts) == 5
    assert write_fingerprint({"a": 1, "b": 2}) == write_fingerprint({"b": 2, "a": 1})
