"""What runs may be given, and what templates see of it."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_pushmetrics.serving.parameter_types import (
    CONVERSIONS,
    Parameter,
    ParameterValueError,
    apply_parameters,
)
from tests.fakes.parameter_values import ACCEPTED_VALUES, REFUSED_VALUES, ParameterValue


@pytest.mark.parametrize("given_value", ACCEPTED_VALUES, ids=str)
def test_value_of_the_table_is_accepted(given_value: ParameterValue) -> None:
    build(given_value).convert(given_value.value)


@pytest.mark.parametrize("given_value", REFUSED_VALUES, ids=str)
def test_value_of_the_table_is_refused(given_value: ParameterValue) -> None:
    with pytest.raises(ParameterValueError, match="parameter 'p' is"):
        build(given_value).convert(given_value.value)


def build(given_value: ParameterValue) -> Parameter:
    return Parameter("p", given_value.kind, given_value.is_multiple, given_value.is_required)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("any", {"a": 1}, {"a": 1}),
        ("any", "", ""),
        ("text", 2, "2"),
        ("text", "x", "x"),
        ("text", "", ""),
        ("integer", "2", 2),
        ("integer", 2.0, 2),
        ("integer", "", None),
        ("number", "2.50", Decimal("2.50")),
        ("number", 0.1, Decimal("0.1")),
        ("number", "12345678901234567.89", Decimal("12345678901234567.89")),
        ("number", "3", 3),
        ("number", 3.0, 3),
        ("number", " ", None),
        ("boolean", "Yes", True),
        ("boolean", 0, False),
        ("boolean", "", None),
        ("date", "2026-01-31", date(2026, 1, 31)),
        ("date", "", None),
        ("timestamp", "2026-01-31T10:00:00Z", datetime(2026, 1, 31, 10, tzinfo=UTC)),
        ("timestamp", "2026-01-31 10:00", datetime(2026, 1, 31, 10)),
        ("timestamp", "2026-01-31", datetime(2026, 1, 31)),
        ("integer", None, None),
    ],
)
def test_parameter_becomes_what_its_block_says(kind: str, value: Any, expected: Any) -> None:
    converted = Parameter("p", kind).convert(value)
    assert (type(converted), repr(converted)) == (type(expected), repr(expected))


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("integer", [1, "2"], [1, 2]),
        ("integer", "1, 2,3", [1, 2, 3]),
        ("integer", 7, [7]),
        ("text", '["a,b", "c"]', ["a,b", "c"]),
        ("text", "a,b", ["a", "b"]),
        ("date", ["2026-01-31"], [date(2026, 1, 31)]),
        ("date", "", None),
        ("date", [], []),
    ],
)
def test_list_has_values_of_one_type(kind: str, value: Any, expected: Any) -> None:
    assert Parameter("p", kind, is_multiple=True).convert(value) == expected


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("integer", "x"),
        ("integer", True),
        ("integer", 2.5),
        ("integer", [1]),
        ("number", "nan"),
        ("number", "1e100000"),
        ("number", False),
        ("number", [1]),
        ("boolean", "maybe"),
        ("date", "2026-02-30"),
        ("date", "2026-01-31T10:00"),
        ("date", 3),
        ("timestamp", "noon"),
        ("timestamp", 3),
        ("text", [1]),
        ("color", "red"),
    ],
)
def test_parameter_that_cannot_be_that_is_refused(kind: str, value: Any) -> None:
    with pytest.raises(ParameterValueError, match=f"parameter 'p' is .*, which is no {kind}"):
        Parameter("p", kind).convert(value)
    with pytest.raises(ParameterValueError, match="parameter 'p' is"):
        Parameter("p", kind, is_multiple=True).convert([[value]])


@given(
    st.sampled_from(sorted(CONVERSIONS)),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner)
    ),
    st.booleans(),
)
def test_any_value_is_converted_or_refused(kind: str, value: Any, is_multiple: bool) -> None:
    with suppress(ParameterValueError):
        Parameter("p", kind, is_multiple=is_multiple).convert(value)


@pytest.mark.parametrize("value", [None, []])
def test_required_parameter_must_be_given(value: Any) -> None:
    with pytest.raises(ParameterValueError, match="parameter 'p' is required: set a value"):
        Parameter("p", "integer", is_multiple=True, is_required=True).convert(value)
    with pytest.raises(ParameterValueError, match="parameter 'p' is required"):
        Parameter("p", "date", is_required=True).convert("")


def test_value_must_be_one_of_the_choices() -> None:
    parameter = Parameter("p", "date", choices=("2026-01-01", "2026-02-01"))
    assert parameter.convert("2026-02-01") == date(2026, 2, 1)
    assert parameter.convert(None) is None
    with pytest.raises(ParameterValueError, match="it must be one of '2026-01-01', '2026-02-01'"):
        parameter.convert("2026-03-01")
    with pytest.raises(ParameterValueError, match="must be one of"):
        Parameter("p", "text", is_multiple=True, choices=("a",)).convert(["a", "b"])


@pytest.mark.parametrize(
    ("choices", "value", "found"),
    [
        ((1, "a"), "1", 1),
        ((1, "1"), "1", "1"),
        ((True, 1), 1, 1),
        ((1, True), "true", True),
        ((1,), True, None),
        (("1",), 1, None),
        ((1, 1.0), "1.0", 1.0),
        ((1.0, 1), 1, 1.0),
        (([1], {"a": [1]}), {"a": [1]}, {"a": [1]}),
        (([1], "[1]"), "[1]", "[1]"),
        (([1],), "[1]", [1]),
        (([1],), [2], None),
    ],
)
def test_text_that_is_written_like_a_choice_is_that_choice(choices: Any, value: Any, found: Any) -> None:
    parameter = Parameter("p", choices=choices)
    if found is None:
        with pytest.raises(ParameterValueError, match="must be one of"):
            parameter.convert(value)
    else:
        chosen = parameter.convert(value)
        assert (chosen, type(chosen)) == (found, type(found))


@pytest.mark.parametrize("kind", ["integer", "any"])
def test_many_values_are_found_among_many_choices(kind: str) -> None:
    parameter = Parameter("p", kind, is_multiple=True, choices=tuple(range(100_000)))
    values = list(range(99_000, 100_000))
    assert parameter.convert(values) == parameter.convert(list(map(str, values))) == values
    with pytest.raises(ParameterValueError, match="parameter 'p' is 100000: it must be one of 0, 1"):
        parameter.convert([*values, 100_000])


def test_given_values_replace_defaults_and_unknown_names_pass_through() -> None:
    parameters = [Parameter("a", default=1), Parameter("b", "date", default="2026-01-01")]
    assert apply_parameters(parameters, {"b": None, "x": 3}) == {"a": 1, "b": None, "x": 3}
    assert apply_parameters(parameters, {}) == {"a": 1, "b": "2026-01-01"}
    with pytest.raises(ParameterValueError, match="parameter 'b' is 'x', which is no date"):
        apply_parameters(parameters, {"b": "x"})
