from __future__ import annotations

import math
import traceback
from collections import OrderedDict
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_pushmetrics.exceptions import PushMetricsAuthError, PushMetricsError
from airflow_provider_pushmetrics.storable import (
    MAX_STORABLE_DEPTH,
    MAX_UNSIGNED_64,
    MIN_INTEGER,
    RESERVED_KEYS,
    describe_error,
    format_error,
    make_storable,
    storable_errors,
)
from tests.fakes.json_values import JSON_VALUES, TEXTS, nest


class Color(StrEnum):
    RED = "red"


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ("a\0b", "a\ufffdb"),
        ("\ud800x\udfff", "\ufffdx\ufffd"),
        ("\U0001f600", "\U0001f600"),
        (2**64 - 1, 2**64 - 1),
        (2**64, "18446744073709551616"),
        (-(2**63), -(2**63)),
        (-(2**63) - 1, "-9223372036854775809"),
        pytest.param(10**5000, hex(10**5000), id="more digits than Python writes"),
        (True, True),
        (math.nan, None),
        (-math.inf, None),
        (1e308, 1e308),
        (None, None),
        (Color.RED, "red"),
        ((1, 2), [1, 2]),
        (OrderedDict(a=1), {"a": 1}),
    ],
)
def test_what_airflow_cannot_store_is_replaced_and_all_else_stays(value: Any, stored: Any) -> None:
    found = make_storable(value)
    assert (found, type(found)) == (stored, type(stored))


@pytest.mark.parametrize("key", sorted(RESERVED_KEYS))
def test_a_reserved_key_gets_an_underscore_at_any_depth(key: str) -> None:
    assert make_storable({"a": [{key: 1}]}) == {"a": [{f"{key}_": 1}]}


def test_no_key_takes_the_place_of_another_one() -> None:
    keys = ["a\0", "a\ufffd", "a\ud800", "__id__", "__id___"]
    stored = ["a\ufffd_", "a\ufffd", "a\ufffd__", "__id____", "__id___"]
    assert make_storable(dict.fromkeys(keys, 1)) == dict.fromkeys(stored, 1)


def test_what_is_nested_too_deep_is_written_as_text() -> None:
    assert make_storable(nest(MAX_STORABLE_DEPTH, 1)) == nest(MAX_STORABLE_DEPTH, 1)
    assert make_storable(nest(MAX_STORABLE_DEPTH, {"n": [1]})) == nest(MAX_STORABLE_DEPTH, '{"n": [1]}')
    assert make_storable(nest(MAX_STORABLE_DEPTH, nest(100_000))) == nest(
        MAX_STORABLE_DEPTH, f"(nested more than {MAX_STORABLE_DEPTH} levels deep)"
    )


@given(JSON_VALUES)
def test_a_storable_value_stays_as_it_is(value: Any) -> None:
    stored = make_storable(value)
    assert make_storable(stored) == stored


@given(st.dictionaries(TEXTS, st.integers(MIN_INTEGER, MAX_UNSIGNED_64), max_size=6))
def test_no_value_of_an_object_is_lost(value: dict[str, int]) -> None:
    assert list(make_storable(value).values()) == list(value.values())


@given(TEXTS)
def test_any_error_has_a_text_that_can_be_sent(text: str) -> None:
    for error in (PushMetricsError(text), ValueError(text)):
        for described in (describe_error(error), format_error(error)):
            assert described
            assert b"\0" not in described.encode("utf-8")


def test_an_error_that_cannot_say_what_it_is_has_its_class() -> None:
    assert describe_error(Unprintable()) == "Unprintable"
    assert describe_error(KeyError("a")) == "KeyError: 'a'"
    assert describe_error(PushMetricsError("refused")) == "refused"
    assert describe_error(PushMetricsError()) == "PushMetricsError"


def test_the_text_of_a_foreign_error_holds_no_token() -> None:
    assert "s3cret" not in describe_error(OSError("GET https://h/x?token=s3cret-value"))
    assert "s3cret" not in format_error(OSError("GET https://h/x?token=s3cret-value"))


def test_an_error_with_a_storable_text_passes_unchanged() -> None:
    raised = PushMetricsAuthError("refused", status_code=401)
    with pytest.raises(PushMetricsAuthError) as caught, storable_errors():
        raise raised
    assert caught.value is raised


@pytest.mark.parametrize("text", ["a\0b", "a\ud800b"])
def test_an_error_that_cannot_be_sent_is_raised_again_as_one_that_can(text: str) -> None:
    with pytest.raises(PushMetricsAuthError, match="a\ufffdb") as caught, storable_errors():
        raise PushMetricsAuthError(text, status_code=401) from ValueError(text)
    assert text not in "".join(traceback.format_exception(caught.value))
    with pytest.raises(PushMetricsError, match="OSError: a\ufffdb"), storable_errors():
        raise OSError(text)


def test_a_cause_that_cannot_be_sent_is_left_out() -> None:
    with pytest.raises(PushMetricsError, match="refused") as caught, storable_errors():
        raise PushMetricsError("refused") from ValueError("\ud800")
    assert "\ud800" not in "".join(traceback.format_exception(caught.value))
