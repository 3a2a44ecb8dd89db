from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_pushmetrics.commands.dag_files.comparison import compare_parameters
from airflow_provider_pushmetrics.commands.dag_files.reports import (
    ReportFacts,
    ReportParameter,
    split_value,
)
from tests.fakes.parameter_values import ACCEPTED_VALUES, REFUSED_VALUES, ParameterValue


@pytest.mark.parametrize(
    ("kind", "is_multiple", "value", "expected"),
    [
        ("text", True, "a, b", ["a", "b"]),
        ("text", True, " [1, 2]", [1, 2]),
        ("text", True, "[1, 2", ["[1", "2"]),
        ("text", True, "", None),
        ("text", True, ["a,b"], ["a,b"]),
        ("text", True, None, None),
        ("integer", True, 5, [5]),
        ("integer", False, " ", None),
        ("text", False, " ", " "),
        ("any", False, "", ""),
        ("text", False, "a,b", "a,b"),
    ],
)
def test_value_of_a_list_is_split_as_pushmetrics_does(
    kind: str, is_multiple: bool, value: Any, expected: Any
) -> None:
    assert split_value(kind, value, is_multiple=is_multiple) == expected


def compare(parameter: ReportParameter, **sent: Any) -> list[str]:
    facts = ReportFacts(1, "x", (parameter,))
    return list(compare_parameters({"kind": "some", "values": {parameter.name: sent}}, facts, "report 1"))


@pytest.mark.parametrize(
    ("parameter", "sent"),
    [
        (ReportParameter("x", "integer", is_multiple=True), {"value": "1,2"}),
        (ReportParameter("x", "text", is_multiple=True, choices=("a", "b")), {"value": "a, b"}),
        (ReportParameter("x", "number"), {"value": 1, "schema": {"type": "integer"}}),
        (ReportParameter("x", "number", is_multiple=True), {"schema": {"items": {"type": "integer"}}}),
        (ReportParameter("x", "number"), {"value": "12345678901234567.89"}),
        (ReportParameter("x", "number", choices=("1.50", "12345678901234567.890")), {"value": 1.5}),
        (
            ReportParameter("x", "number", choices=("12345678901234567.890",)),
            {"value": "12345678901234567.89"},
        ),
    ],
)
def test_value_that_pushmetrics_accepts_is_no_difference(
    parameter: ReportParameter, sent: dict[str, Any]
) -> None:
    assert compare(parameter, **sent) == []


@pytest.mark.parametrize(
    ("parameter", "sent"),
    [
        (ReportParameter("x", "integer", is_multiple=True), {"value": "1,b"}),
        (ReportParameter("x", "text", is_multiple=True, choices=("a", "b")), {"value": "a,c"}),
        (ReportParameter("x", "integer"), {"value": 1, "schema": {"type": "number"}}),
        (ReportParameter("x", "number"), {"value": "1,5"}),
        (ReportParameter("x", "number"), {"value": "NaN"}),
        (
            ReportParameter("x", "number", choices=("12345678901234567.89",)),
            {"value": "12345678901234567.88"},
        ),
    ],
)
def test_value_that_pushmetrics_refuses_is_a_difference(
    parameter: ReportParameter, sent: dict[str, Any]
) -> None:
    assert len(compare(parameter, **sent)) == 1


def build(given: ParameterValue) -> ReportParameter:
    return ReportParameter(
        "x", given.kind, is_multiple=given.is_multiple, is_required=given.is_required, default="a default"
    )


@pytest.mark.parametrize("given", ACCEPTED_VALUES, ids=str)
def test_value_that_the_service_accepts_is_no_difference(given: ParameterValue) -> None:
    assert compare(build(given), value=given.value) == []


@pytest.mark.parametrize("given", REFUSED_VALUES, ids=str)
def test_value_that_the_service_refuses_is_a_difference(given: ParameterValue) -> None:
    (line,) = compare(build(given), value=given.value)
    assert line.endswith(f"the Dag gives {given.value!r}")


def test_null_for_a_required_parameter_is_a_difference_although_it_has_a_default() -> None:
    parameter = ReportParameter("x", "integer", default=1, is_required=True)
    assert compare(parameter, value=None) == ["parameter 'x' of report 1 is required, and the Dag gives None"]


@pytest.mark.parametrize(
    ("kind", "is_multiple", "schema"),
    [
        ("text", False, {"type": ["null", "integer"]}),
        ("text", True, {"type": "string"}),
        ("text", True, {"type": "array", "items": {"type": "number"}}),
        ("integer", True, {"type": "integer"}),
        ("any", True, {"type": "object"}),
    ],
)
def test_param_of_whose_type_the_service_accepts_each_value_is_no_difference(
    kind: str, is_multiple: bool, schema: dict[str, Any]
) -> None:
    assert compare(ReportParameter("x", kind, is_multiple=is_multiple), schema=schema) == []


@pytest.mark.parametrize(
    ("kind", "is_multiple", "schema"),
    [
        ("boolean", False, {"type": "integer"}),
        ("integer", False, {"type": "string"}),
        ("text", False, {"type": "array"}),
        ("integer", True, {"type": "array", "items": {"type": "string"}}),
        ("integer", True, {"type": "string"}),
    ],
)
def test_param_of_whose_type_the_service_refuses_some_values_is_a_difference(
    kind: str, is_multiple: bool, schema: dict[str, Any]
) -> None:
    assert len(compare(ReportParameter("x", kind, is_multiple=is_multiple), schema=schema)) == 1


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        (ReportParameter("x", "integer", choices=(1, 2)), "02"),
        (ReportParameter("x", "text", choices=("5", "6")), 5),
        (ReportParameter("x", "boolean", choices=(True,)), "yes"),
        (ReportParameter("x", "date", choices=("2026-01-31",)), "20260131"),
        (ReportParameter("x", "any", choices=(1, 2)), "1"),
        (ReportParameter("x", "integer", choices=("a", 2), query="months"), 2),
    ],
)
def test_value_that_the_service_takes_for_a_choice_is_one(parameter: ReportParameter, value: Any) -> None:
    assert compare(parameter, value=value) == []


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        (ReportParameter("x", "any", choices=(1,)), True),
        (ReportParameter("x", "any", choices=("1",)), 1),
        (ReportParameter("x", "integer", choices=(1, 2)), "03"),
    ],
)
def test_value_that_the_service_takes_for_no_choice_is_none(parameter: ReportParameter, value: Any) -> None:
    (line,) = compare(parameter, value=value)
    assert f"has no choice {value!r} any more" in line
