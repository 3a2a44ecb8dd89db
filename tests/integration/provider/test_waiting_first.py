"""A deferrable task waits on its worker first: most reports are short, and deferring takes seconds."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError, PushMetricsRunTimeout
from airflow_provider_pushmetrics.operators.pushmetrics import PushMetricsTriggerReportOperator
from airflow_provider_pushmetrics.triggers.pushmetrics import PushMetricsRunTrigger
from tests.fakes.pushmetrics import FakePushMetrics
from tests.fakes.supervisor import FakeTaskInstance
from tests.integration.provider.conftest import Connect
from tests.integration.provider.test_operator import NO_RECEIVER, build

pytestmark = pytest.mark.usefixtures("quick_worker")

CONTEXT: Any = {"ti": FakeTaskInstance()}


@pytest.mark.parametrize("changes", [{}, NO_RECEIVER], ids=["receiver", "no-receiver"])
def test_a_run_that_is_over_soon_never_comes_to_the_triggerer(
    connect_whole: Connect, pushmetrics: FakePushMetrics, changes: dict[str, Any]
) -> None:
    connect_whole(**changes)
    pushmetrics.outcomes = ["running"]

    def end() -> None:
        run = pushmetrics.runs[0]
        run.status = "success"
        pushmetrics.inbox.add(pushmetrics.build_event(run))

    threading.Timer(0.3, end).start()
    assert build(deferrable=True, defer_after=30).execute(CONTEXT)["run_id"] == 1


def test_a_run_that_goes_on_is_waited_for_in_the_triggerer_with_the_whole_deadline(
    pushmetrics: FakePushMetrics,
) -> None:
    pushmetrics.outcomes = ["running"]
    began = time.time()
    with pytest.raises(TaskDeferred) as deferral:
        build(deferrable=True, defer_after=0.2, timeout=600).execute(CONTEXT)
    assert time.time() - began >= 0.2
    trigger = deferral.value.trigger
    assert isinstance(trigger, PushMetricsRunTrigger)
    assert trigger.deadline == pytest.approx(began + 600, abs=5)


def test_a_timeout_before_the_time_to_defer_is_one_of_the_worker(pushmetrics: FakePushMetrics) -> None:
    pushmetrics.outcomes = ["running"]
    with pytest.raises(PushMetricsRunTimeout, match=r"run 1 of report '1' did not end within 0\.2"):
        build(deferrable=True, defer_after=30, timeout=0.2).execute(CONTEXT)


@pytest.mark.slow
def test_a_run_that_cannot_be_asked_for_on_the_worker_is_waited_for_in_the_triggerer(
    connect_whole: Connect, pushmetrics: FakePushMetrics
) -> None:
    pushmetrics.outcomes = ["running"]
    connect_whole(receiver_url="http://127.0.0.1:9/pushmetrics")
    with pytest.raises(TaskDeferred):
        build(deferrable=True, defer_after=0.2).execute(CONTEXT)


def test_a_task_defers_after_ten_seconds_unless_another_time_is_set() -> None:
    assert PushMetricsTriggerReportOperator(task_id="a_task", report_id=1).defer_after == 10.0


@pytest.mark.parametrize("seconds", [-1, "10", float("inf"), None, True])
def test_the_time_to_defer_is_a_number_of_seconds(seconds: Any) -> None:
    with pytest.raises(PushMetricsParameterError, match="defer_after is"):
        build(defer_after=seconds)
