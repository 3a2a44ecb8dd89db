from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_pushmetrics.exceptions import (
    PushMetricsAuthError,
    PushMetricsParameterError,
    PushMetricsRunTimeout,
    PushMetricsUnavailableError,
)
from airflow_provider_pushmetrics.operators.pushmetrics import PushMetricsTriggerReportOperator
from tests.fakes.supervisor import FakeTaskInstance


def build_operator(**kwargs: Any) -> PushMetricsTriggerReportOperator:
    defaults: dict[str, Any] = {"task_id": "a_task", "report_id": 1}
    return PushMetricsTriggerReportOperator(**defaults | kwargs)


def build_context(**changes: Any) -> Any:
    return {"ti": dataclasses.replace(FakeTaskInstance(), **changes)}


# What is templated


def test_templates_are_rendered_and_keep_their_json_types() -> None:
    with DAG("a_dag", render_template_as_native_obj=True):
        operator = build_operator(
            report_id="{{ params.report }}",
            parameters={"month": "{{ params.month }}", "origin": "{{ params.origin }}", "n": 1.5},
            pushmetrics_conn_id="{{ params.conn }}",
        )
    params = {"report": 7, "month": 2, "origin": None, "conn": "other"}
    operator.render_template_fields({"params": params})
    assert operator.report_id == 7
    assert operator.parameters == {"month": 2, "origin": None, "n": 1.5}
    assert operator.hook.pushmetrics_conn_id == "other"


@pytest.mark.parametrize(
    ("name", "value", "choices"),
    [
        *(("on_clear", value, "rerun, reuse") for value in ("", "newest", None)),
        ("on_ambiguous", "newst", "fail, newest"),
    ],
)
def test_a_choice_is_one_of_those_that_there_are(name: str, value: Any, choices: str) -> None:
    with pytest.raises(PushMetricsParameterError, match=f"it must be one of {choices}"):
        build_operator(**{name: value})


@pytest.mark.parametrize("name", ["poll_interval", "timeout"])
@pytest.mark.parametrize("seconds", [0, -5, "5", float("nan"), float("inf"), True])
def test_seconds_are_a_positive_number(name: str, seconds: Any) -> None:
    with pytest.raises(PushMetricsParameterError, match=f"{name} is .*a positive number"):
        build_operator(**{name: seconds})


def test_a_timeout_may_be_a_timedelta_or_none() -> None:
    assert build_operator(timeout=None).timeout is None
    assert build_operator(timeout=timedelta(hours=1)).timeout == timedelta(hours=1)
    with pytest.raises(PushMetricsParameterError, match=r"timeout is .*a positive number"):
        build_operator(timeout=timedelta(0))


def test_nothing_is_checked_before_templates_are_rendered() -> None:
    operator = build_operator(report_id="", parameters={"token": "x"})
    assert (operator.report_id, operator.parameters) == ("", {"token": "x"})


@pytest.mark.parametrize("report_id", ["", "  ", None, "None", ".", ".."])
def test_a_report_id_that_is_none_is_refused_before_anything_is_sent(report_id: Any) -> None:
    with pytest.raises(PushMetricsParameterError, match=r"report_id is .*it must be a report's id"):
        build_operator(report_id=report_id).execute(build_context())


@pytest.mark.parametrize("parameters", [{"token": "x"}, ["a"], {"n": float("nan")}])
def test_parameters_that_cannot_be_sent_are_refused_before_anything_is_sent(parameters: Any) -> None:
    with pytest.raises(PushMetricsParameterError):
        build_operator(parameters=parameters).execute(build_context())


# After the triggerer has waited


def test_a_timeout_of_the_triggerer_is_a_timeout_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "AIRFLOW_CONN_PUSHMETRICS_DEFAULT", '{"conn_type": "pushmetrics", "host": "https://h"}'
    )
    words = r"run 7 of report '1' did not end within 60 s .* See https://h/api/reports/1/run/7"
    with pytest.raises(PushMetricsRunTimeout, match=words):
        build_operator(timeout=60).execute_complete(build_context(), {"status": "timeout", "run_id": 7})


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (
            {"status": "error", "message": "PushMetricsAuthError: refused", "run_id": 7},
            "PushMetricsAuthError: refused",
        ),
        ({"status": "meditating", "run_id": 7}, "unknown status 'meditating'"),
        ({}, "unknown status None"),
    ],
)
def test_whatever_else_the_triggerer_says_may_not_last(event: dict[str, Any], words: str) -> None:
    with pytest.raises(PushMetricsUnavailableError, match=words):
        build_operator().execute_complete(build_context(), event)


def test_a_wait_that_was_refused_raises_what_it_would_have_raised_here() -> None:
    event = {"status": "error", "message": "refused", "error": "PushMetricsAuthError", "run_id": 7}
    with pytest.raises(PushMetricsAuthError, match=r"\Arefused\Z"):
        build_operator().execute_complete(build_context(), event)
