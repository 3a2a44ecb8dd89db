"""Parameters from a URL, from a body and from blocks."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError
from airflow_provider_pushmetrics.service.parameters import (
    apply_defaults,
    coerce_parameter,
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


def test_given_values_replace_defaults_and_unknown_names_pass_through() -> None:
    assert apply_defaults({"a": 1, "b": 2}, {"b": None, "x": 3}) == {"a": 1, "b": None, "x": 3}


def test_fingerprint_tells_types_apart_but_not_the_order_of_names() -> None:
    texts = {write_fingerprint({"a": value}) for value in (1, 1.0, True, "1", None)}
    assert len(texts) == 5
    assert write_fingerprint({"a": 1, "b": 2}) == write_fingerprint({"b": 2, "a": 1})


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("any", {"a": 1}, {"a": 1}),
        ("text", 2, "2"),
        ("text", "x", "x"),
        ("integer", "2", 2),
        ("integer", 2.0, 2),
        ("number", "2.5", 2.5),
        ("number", "3", 3),
        ("boolean", "Yes", True),
        ("boolean", 0, False),
        ("date", "2026-01-31", "2026-01-31"),
        ("integer", None, None),
    ],
)
def test_parameter_becomes_what_its_block_says(kind: str, value: Any, expected: Any) -> None:
    assert coerce_parameter("p", kind, value) == expected


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("integer", "x"),
        ("integer", True),
        ("integer", 2.5),
        ("number", "nan"),
        ("number", False),
        ("boolean", "maybe"),
        ("date", "2026-02-30"),
        ("date", 3),
        ("text", [1]),
        ("colour", "red"),
    ],
)
def test_parameter_that_cannot_be_that_is_refused(kind: str, value: Any) -> None:
    with pytest.raises(PushMetricsParameterError, match=f"parameter 'p' is .*, which is no {kind}"):
        coerce_parameter("p", kind, value)
