from __future__ import annotations

import logging
import time
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_pushmetrics.client.outcomes import RunOutcome
from airflow_provider_pushmetrics.exceptions import PushMetricsRunTimeout
from airflow_provider_pushmetrics.operators.run_outcome import OutcomeRules, build_timeout, compute_deadline
from airflow_provider_pushmetrics.tasks.failures import PushMetricsTruncatedRun


@pytest.mark.parametrize("timeout", [60, 60.0, timedelta(minutes=1)])
def test_a_deadline_is_on_the_wall_clock(timeout: Any) -> None:
    assert compute_deadline(timeout) == pytest.approx(time.time() + 60, abs=5)


def test_no_timeout_is_no_deadline() -> None:
    assert compute_deadline(None) is None


def test_a_timeout_names_the_run_the_parameter_and_the_way_out() -> None:
    error = build_timeout("1", 7, timedelta(hours=1))
    assert isinstance(error, PushMetricsRunTimeout)
    assert error.run_id == 7
    assert str(error) == (
        "run 7 of report '1' did not end within 3600 s (parameter 'timeout'). It continues in PushMetrics;"
        " check its status there."
    )
    assert str(build_timeout("1", None, 5)).startswith("the run of report '1' did not end within 5 s")


def test_a_timeout_says_why_the_last_poll_failed() -> None:
    error = build_timeout("1", 7, 60, "could not connect to 'h' at port 80: Connection refused")
    assert str(error) == (
        "run 7 of report '1' did not end within 60 s (parameter 'timeout'), as far as known: the last"
        " poll failed. could not connect to 'h' at port 80: Connection refused"
    )


def test_run_of_which_nobody_knows_the_rows_fails_where_all_rows_are_required() -> None:
    with pytest.raises(PushMetricsTruncatedRun, match="it is unknown whether the results of run 7"):
        OutcomeRules(on_truncated="fail").check(RunOutcome("4", 7), logging.getLogger(__name__))
