from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_pushmetrics import exceptions
from airflow_provider_pushmetrics.compat import has_airflow
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsAirflowVersionError,
    PushMetricsParameterError,
    PushMetricsRunFailed,
    PushMetricsUnavailableError,
)
from airflow_provider_pushmetrics.tasks.failures import PERMANENT
from airflow_provider_pushmetrics.tasks.retry_policy import PushMetricsRetryPolicy

needs_policies = pytest.mark.skipif(not has_airflow("3.3"), reason="needs Airflow 3.3 or later")


@pytest.mark.skipif(has_airflow("3.3"), reason="of older versions")
def test_policy_before_airflow_3_3_is_refused_with_the_way_out() -> None:
    with pytest.raises(PushMetricsAirflowVersionError, match=r"needs Airflow 3\.3 or later"):
        PushMetricsRetryPolicy()


@needs_policies
@pytest.mark.parametrize("error", PERMANENT)
def test_permanent_error_fails_at_once(error: type[exceptions.PushMetricsError]) -> None:
    decision = PushMetricsRetryPolicy().evaluate(error("no"), 1, 3)
    assert decision.action.value == "fail"
    assert error.__name__ in str(decision.reason)


@needs_policies
@pytest.mark.parametrize(("asked", "waits"), [(30.0, 30), (0.5, 0.5), (100_000.0, 3600)])
def test_task_waits_as_long_as_the_server_asks_up_to_an_hour(asked: float, waits: float) -> None:
    error = PushMetricsUnavailableError("busy", status_code=429, retry_after_seconds=asked)
    decision = PushMetricsRetryPolicy().evaluate(error, 1, 3)
    assert (decision.action.value, decision.retry_delay) == ("retry", timedelta(seconds=waits))


@needs_policies
@pytest.mark.parametrize(("choice", "action"), [("retry", "default"), ("fail", "fail")])
def test_failed_report_is_retried_as_chosen(choice: str, action: str) -> None:
    policy = PushMetricsRetryPolicy(on_failed_run=choice)  # type: ignore[arg-type]
    assert policy.evaluate(PushMetricsRunFailed("it failed", run_id=1), 1, 3).action.value == action


@needs_policies
@pytest.mark.parametrize(
    "error",
    [
        PushMetricsUnavailableError("no connection"),
        PushMetricsUnavailableError("busy", status_code=503, retry_after_seconds=0),
        ValueError("a bug"),
    ],
)
def test_other_errors_are_retried_as_the_task_says(error: Exception) -> None:
    assert PushMetricsRetryPolicy().evaluate(error, 1, 3).action.value == "default"


@needs_policies
def test_policy_is_built_again_from_its_description() -> None:
    policy = PushMetricsRetryPolicy(on_failed_run="fail", longest_delay=timedelta(minutes=5))
    again = PushMetricsRetryPolicy.deserialize(policy.serialize())
    assert (again.on_failed_run, again.longest_delay) == ("fail", timedelta(minutes=5))


@needs_policies
@pytest.mark.parametrize("delay", [60, timedelta(), timedelta(seconds=-1), None])
def test_longest_delay_that_is_no_positive_timedelta_is_refused(delay: Any) -> None:
    with pytest.raises(PushMetricsParameterError, match="longest_delay must be a positive timedelta"):
        PushMetricsRetryPolicy(longest_delay=delay)


@needs_policies
def test_unknown_choice_is_refused() -> None:
    with pytest.raises(PushMetricsParameterError, match="must be 'retry' or 'fail', not 'maybe'"):
        PushMetricsRetryPolicy(on_failed_run="maybe")  # type: ignore[arg-type]
