from __future__ import annotations

import dataclasses
import re
import time
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_pushmetrics.client.models import RunOutputs, RunStatus, TriggeredRun
from airflow_provider_pushmetrics.client.waits import FinishedRun
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsAuthError,
    PushMetricsParameterError,
    PushMetricsRunFailed,
    PushMetricsRunTimeout,
    PushMetricsUnavailableError,
)
from airflow_provider_pushmetrics.operators.pushmetrics import (
    PushMetricsTriggerReportOperator,
    build_idempotency_key,
    build_result,
    build_timeout,
    compute_deadline,
    hash_key,
    mark_replay,
    refuse_failure,
)
from tests.fakes.supervisor import FakeTaskInstance

URL = "https://pushmetrics.io/api/reports/1/run/7"
RUN = FinishedRun("1", 7, URL)


def build_operator(**kwargs: Any) -> PushMetricsTriggerReportOperator:
    defaults: dict[str, Any] = {"task_id": "a_task", "report_id": 1}
    return PushMetricsTriggerReportOperator(**defaults | kwargs)


def build_context(**changes: Any) -> Any:
    return {"ti": dataclasses.replace(FakeTaskInstance(), **changes)}


def build_outputs(status: str | None, *blocks: dict[str, Any]) -> RunOutputs:
    return RunOutputs.model_validate({"status": status, "blocks": blocks})


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


# The idempotency key


def test_the_key_is_the_same_for_every_try() -> None:
    keys = {build_idempotency_key(build_context(try_number=number)) for number in (1, 2, 3)}
    assert len(keys) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"max_tries": 5},
        {"map_index": 0},
        {"map_index": 1},
        {"task_id": "b_task"},
        {"run_id": "manual__2026-01-02"},
        {"dag_id": "b_dag"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_another_task_instance_and_a_cleared_one_have_another_key(changes: dict[str, Any]) -> None:
    assert build_idempotency_key(build_context(**changes)) != build_idempotency_key(build_context())


def test_names_that_run_together_do_not_make_one_key() -> None:
    assert build_idempotency_key(build_context(dag_id="a", run_id="bc")) != build_idempotency_key(
        build_context(dag_id="ab", run_id="c")
    )


def test_a_key_is_short_visible_and_gives_nothing_away() -> None:
    key = build_idempotency_key(build_context(dag_id="Größe " * 40))
    assert re.fullmatch(r"[0-9a-f]{48}", key)


def test_the_key_after_a_failed_run_is_another_one_each_time() -> None:
    key = build_idempotency_key(build_context())
    assert len({key, hash_key(key, "1"), hash_key(key, "2"), hash_key(hash_key(key, "1"), "2")}) == 4


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


# Replays


@pytest.mark.parametrize(
    ("run_id", "newest_before", "was_replayed"),
    [(7, 7, True), (3, 7, True), (8, 7, False), (7, None, False), (None, 7, False), (1, 0, False)],
)
def test_a_run_that_was_there_before_the_call_is_a_replay(
    run_id: int | None, newest_before: int | None, was_replayed: bool
) -> None:
    assert mark_replay(TriggeredRun(run_id=run_id), newest_before).was_replayed is was_replayed
    assert mark_replay(TriggeredRun(run_id=run_id, was_replayed=True), newest_before).was_replayed


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
    assert build_result(RUN, outputs) == {
        "report_id": "1",
        "run_id": 7,
        "status": "success",
        "queries": [query],
    }
    assert build_result(RUN, None) == {"report_id": "1", "run_id": 7, "status": None, "queries": []}


# After the triggerer has waited


def test_a_timeout_of_the_triggerer_is_a_timeout_of_the_run() -> None:
    with pytest.raises(PushMetricsRunTimeout, match="run 7 of report '1' did not end within 60"):
        build_operator(timeout=60).execute_complete(build_context(), {"status": "timeout", "run_id": 7})


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (
            {"status": "error", "message": "PushMetricsAuthError: refused", "run_id": 7},
            "PushMetricsAuthError: refused",
        ),
        ({"status": "meditating", "run_id": 7}, "the trigger said 'meditating'"),
        ({}, "the trigger said None"),
    ],
)
def test_whatever_else_the_triggerer_says_may_not_last(event: dict[str, Any], words: str) -> None:
    with pytest.raises(PushMetricsUnavailableError, match=words):
        build_operator().execute_complete(build_context(), event)


def test_a_wait_that_was_refused_raises_what_it_would_have_raised_here() -> None:
    event = {"status": "error", "message": "refused", "error": "PushMetricsAuthError", "run_id": 7}
    with pytest.raises(PushMetricsAuthError, match=r"\Arefused\Z"):
        build_operator().execute_complete(build_context(), event)
