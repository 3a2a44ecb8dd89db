"""What is known of a specification before it is drawn."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_pushmetrics.service.charts.checks import (
    ChartSpecError,
    check_fields,
    check_spec,
    read_column,
)


@pytest.mark.parametrize(
    ("field", "column"),
    [
        ("a", "a"),
        ("a b", "a b"),
        ("a.b", "a"),
        (r"a\.b", "a.b"),
        ("a[0].b", "a"),
        (r"a\[0\]", "a[0]"),
        ("['a.b']", "a.b"),
        ("a\\", "a"),
        ("", ""),
    ],
)
def test_field_is_a_path_into_a_column(field: str, column: str) -> None:
    assert read_column(field) == column


@pytest.mark.parametrize(
    "spec",
    [
        {"mark": "bar", "encoding": {"x": {"field": "a"}, "y": {"aggregate": "count"}}},
        {"mark": "bar", "encoding": {"x": {"field": "a"}, "y": {"aggregate": "count", "field": "*"}}},
        {"mark": "bar", "encoding": {"x": {"field": r"b\.c"}}},
        {"repeat": ["a"], "spec": {"mark": "bar", "encoding": {"x": {"field": {"repeat": "repeat"}}}}},
        {"mark": "bar", "transform": [{"calculate": "1", "as": "z"}], "encoding": {"x": {"field": "z"}}},
        {"layer": [{"data": {"values": [{"z": 1}]}, "mark": "rule", "encoding": {"y": {"field": "z"}}}]},
        {"mark": "bar", "data": {"values": [{"field": "nothing", "href": "x"}]}},
        {"mark": "bar", "title": "href"},
    ],
)
def test_specification_that_can_be_right_is_accepted(spec: dict[str, Any]) -> None:
    check_spec(spec)
    check_fields(spec, "q", ["a", "b.c"])


@pytest.mark.parametrize("field", ["A", "b.c", "missing", "count"])
def test_field_that_is_no_column_is_named_with_the_columns(field: str) -> None:
    spec = {"layer": [{"mark": "bar", "encoding": {"y": {"aggregate": "sum", "field": field}}}]}
    with pytest.raises(ChartSpecError, match=r"is not a column of the query 'q'.*which has: a, b\.c\."):
        check_fields(spec, "q", ["a", "b.c"])


@pytest.mark.parametrize(
    "sequence",
    [
        {"start": 0, "stop": 10_001},
        {"start": 10_001, "stop": 0, "step": -1},
        {"stop": 10**400},
        {"start": 0.5, "stop": 10**400, "step": 0.1},
        {"stop": 10**400, "step": 0},
    ],
)
def test_sequence_of_too_many_rows_is_refused_however_large_its_numbers_are(sequence: dict[str, Any]) -> None:
    with pytest.raises(ChartSpecError, match=r"data\.sequence of more than 10,000 rows"):
        check_spec({"mark": "bar", "data": {"sequence": sequence}})


@pytest.mark.parametrize(
    "sequence", [{"start": 0, "stop": 10_000}, {"stop": 10**400, "step": 10**399}, {"stop": "many"}]
)
def test_sequence_that_can_be_drawn_is_accepted(sequence: dict[str, Any]) -> None:
    check_spec({"mark": "bar", "data": {"sequence": sequence}})


@pytest.mark.parametrize("spec", [{"mark": None}, {"layer": [{"mark": "bar"}, {"mark": None}]}])
def test_mark_that_is_null_is_refused(spec: dict[str, Any]) -> None:
    with pytest.raises(ChartSpecError, match="spec has a mark that is null"):
        check_spec(spec)
