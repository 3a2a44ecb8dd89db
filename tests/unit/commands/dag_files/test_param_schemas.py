from __future__ import annotations

from typing import Any

import pytest
from airflow.providers.common.compat.sdk import Param

from airflow_provider_pushmetrics.commands.dag_files.param_schemas import build_param
from airflow_provider_pushmetrics.commands.dag_files.reports import ReportParameter


@pytest.mark.parametrize(
    ("parameter", "default", "schema"),
    [
        (ReportParameter("x"), None, {}),
        (ReportParameter("x", "text", "a"), "a", {"type": ["null", "string"]}),
        (ReportParameter("x", "text", "a", is_required=True), "a", {"type": "string"}),
        (ReportParameter("x", "integer", "5"), 5, {"type": ["null", "integer"]}),
        (ReportParameter("x", "integer", 5.0), 5, {"type": ["null", "integer"]}),
        (ReportParameter("x", "number", "1.5"), 1.5, {"type": ["null", "number"]}),
        (ReportParameter("x", "number", "1.50"), 1.5, {"type": ["null", "number"]}),
        (ReportParameter("x", "number", "12345678901234567.89"), "12345678901234567.89", {}),
        (
            ReportParameter("x", "number", "0.1000000000000000055511151231257827"),
            "0.1000000000000000055511151231257827",
            {},
        ),
        (ReportParameter("x", "boolean", "true"), True, {"type": ["null", "boolean"]}),
        (ReportParameter("x", "boolean", "yes"), "yes", {}),
        (
            ReportParameter("x", "date", "2026-01-31"),
            "2026-01-31",
            {"type": ["null", "string"], "format": "date"},
        ),
        (ReportParameter("x", "date", "20260131"), "20260131", {"type": ["null", "string"]}),
        (
            ReportParameter("x", "timestamp", "2026-01-31T10:00:00Z"),
            "2026-01-31T10:00:00Z",
            {"type": ["null", "string"], "format": "date-time"},
        ),
        (
            ReportParameter("x", "timestamp", "2026-01-31T10:00"),
            "2026-01-31T10:00",
            {"type": ["null", "string"]},
        ),
        (
            ReportParameter("x", "text", "a", choices=("a", "b")),
            "a",
            {"type": ["null", "string"], "enum": ["a", "b", None]},
        ),
        (
            ReportParameter("x", "integer", is_multiple=True, default=[1], choices=("1", 2)),
            [1],
            {"type": ["null", "array"], "items": {"type": "integer", "enum": [1, 2]}},
        ),
        (
            ReportParameter("x", "text", "a", examples=("a", "b"), query="orders"),
            "a",
            {"type": ["null", "string"], "examples": ["a", "b"]},
        ),
        (
            ReportParameter("x", "text", "all", choices=("a",), query="orders"),
            "all",
            {"type": ["null", "string"], "enum": ["a", "all", None]},
        ),
        (
            ReportParameter("x", "text", ["a", "all"], is_multiple=True, choices=("a",), query="orders"),
            ["a", "all"],
            {"type": ["null", "array"], "items": {"type": "string", "enum": ["a", "all"]}},
        ),
        (ReportParameter("x", default=True, choices=(1,)), True, {"enum": [1, True, None]}),
    ],
)
def test_param_has_the_type_the_default_and_the_choices(
    parameter: ReportParameter, default: Any, schema: dict[str, Any]
) -> None:
    spec = build_param(parameter)
    assert (spec.default, spec.schema) == (default, schema)
    assert Param(spec.default, **spec.schema).resolve() == default


def test_required_parameter_without_a_default_must_be_given() -> None:
    assert not build_param(ReportParameter("x", "text", is_required=True)).has_default
    assert build_param(ReportParameter("x", "text")).has_default


def test_param_whose_default_does_not_fit_its_type_has_no_type_and_says_so() -> None:
    spec = build_param(ReportParameter("x", "boolean", "yes"))
    assert "'x'" in str(spec.note)
    assert "no boolean" in str(spec.note)
