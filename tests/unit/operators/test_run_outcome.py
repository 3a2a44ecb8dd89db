from __future__ import annotations

import dataclasses
import time
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_pushmetrics.client.models import RunOutputs, RunStatus
from airflow_provider_pushmetrics.client.waits import FinishedRun
from airflow_provider_pushmetrics.exceptions import PushMetricsRunFailed, PushMetricsRunTimeout
from airflow_provider_pushmetrics.operators.run_outcome import (
    build_result,
    build_timeout,
    compute_deadline,
    refuse_failure,
)

URL = "https://pushmetrics.io/api/reports/1/run/7"
RUN = FinishedRun("1", 7, URL)


def build_outputs(status: str | None, *blocks: dict[str, Any]) -> RunOutputs:
    return RunOutputs.model_validate({"status": status, "blocks": blocks})


# Deadlines


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
        "run 7 of report '1' did not end within 1:00:00 (parameter 'timeout'). It goes on in PushMetrics;"
        " look there what it is doing."
    )
    assert str(build_timeout("1", None, 5)).startswith("the run of report '1' did not end within 5")


# How a run ended


@pytest.mark.parametrize(
    ("finished", "outputs"),
    [
        (RUN, build_outputs("success")),
        (RUN, build_outputs("COMPLETED")),
        (RUN, build_outputs(None)),
        (dataclasses.replace(RUN, status=RunStatus.SUCCESS), build_outputs(None)),
    ],
)
def test_a_run_that_ended_well_is_accepted(finished: FinishedRun, outputs: RunOutputs) -> None:
    refuse_failure(finished, outputs, URL)


def test_a_failed_run_names_its_block_and_what_it_said() -> None:
    outputs = build_outputs(
        "failed",
        {"name": "origin", "status": "success"},
        {"name": "by_carrier", "status": "failed", "error": "division by zero"},
    )
    with pytest.raises(PushMetricsRunFailed) as caught:
        refuse_failure(RUN, outputs, URL)
    assert str(caught.value) == (
        f"run 7 of report '1' ended as failed at block 'by_carrier': division by zero. See {URL}"
    )
    assert caught.value.run_id == 7


def test_a_failed_run_without_blocks_is_a_failure_all_the_same() -> None:
    with pytest.raises(PushMetricsRunFailed, match=r"run 7 of report '1' ended as cancelled\. See"):
        refuse_failure(RUN, build_outputs("cancelled"), URL)


def test_what_the_api_said_counts_where_the_outputs_say_nothing() -> None:
    with pytest.raises(PushMetricsRunFailed, match="ended as failed"):
        refuse_failure(dataclasses.replace(RUN, status=RunStatus.FAILED), build_outputs(None), URL)


def test_a_block_without_a_message_says_so() -> None:
    with pytest.raises(PushMetricsRunFailed, match="at block 'a': no message"):
        refuse_failure(RUN, build_outputs("failed", {"name": "a", "status": "failed"}), URL)


def test_the_result_is_small_and_has_what_fetching_needs() -> None:
    query = {
        "query_id": 1,
        "query_name": "q",
        "query_result": "https://h/q",
        "status": "success",
        "row_count": 3,
    }
    outputs = RunOutputs.model_validate({"status": "success", "queries": [query | {"rows": [1, 2, 3]}]})
    assert build_result(RUN, outputs, URL) == {
        "report_id": "1",
        "run_id": 7,
        "status": "success",
        "queries": [query],
        "outputs_url": URL,
    }
    assert build_result(RUN, None) == {
        "report_id": "1",
        "run_id": 7,
        "status": None,
        "queries": [],
        "outputs_url": None,
    }
