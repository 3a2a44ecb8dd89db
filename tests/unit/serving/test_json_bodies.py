"""JSON by the standard."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_pushmetrics.serving.json_bodies import build_decoder, check_encodable, is_deeper_than


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", '{"a": -Infinity}'])
@pytest.mark.parametrize("decoder", [build_decoder(), build_decoder(parse_float=Decimal)])
def test_constant_of_python_is_not_json(decoder: json.JSONDecoder, text: str) -> None:
    with pytest.raises(ValueError, match="is not JSON"):
        decoder.decode(text)


def test_numbers_are_read_as_the_decoder_says() -> None:
    decoder = build_decoder(parse_int=Decimal, parse_float=str)
    assert decoder.decode("[1, 1.50]") == [Decimal(1), "1.50"]
    assert build_decoder().decode("[1, 1.5]") == [1, 1.5]


def nest(levels: int, *, as_object: bool = False) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"a": value} if as_object else [0, value]
    return value


@pytest.mark.parametrize("as_object", [False, True])
def test_depth_is_the_number_of_lists_and_objects(as_object: bool) -> None:
    assert not is_deeper_than(nest(0), 0)
    assert is_deeper_than(nest(1, as_object=as_object), 0)
    assert not is_deeper_than(nest(64, as_object=as_object), 64)
    assert is_deeper_than(nest(65, as_object=as_object), 64)
    assert is_deeper_than(nest(100_000, as_object=as_object), 64)


def measure_depth(value: Any) -> int:
    if not isinstance(value, dict | list):
        return 0
    inner = value.values() if isinstance(value, dict) else value
    return 1 + max(map(measure_depth, inner), default=0)


@given(st.recursive(st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_depth_is_measured_as_by_recursion(value: Any) -> None:
    depth = measure_depth(value)
    assert not is_deeper_than(value, depth)
    assert depth == 0 or is_deeper_than(value, depth - 1)


def test_half_of_a_surrogate_pair_is_no_text() -> None:
    check_encodable(json.loads(r'["\ud83d\ude00"]'))
    with pytest.raises(ValueError, match="surrogates"):
        check_encodable(json.loads(r'{"\ud83d": 1}'))
