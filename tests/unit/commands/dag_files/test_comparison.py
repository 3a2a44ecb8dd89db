from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_pushmetrics.commands.dag_files.comparison import compare_parameters
from airflow_provider_pushmetrics.commands.dag_files.reports import (
    ReportFacts,
    ReportParameter,
    split_value,
)


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
