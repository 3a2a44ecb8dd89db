"""Processes that die, and users who kill: how many runs there are afterwards, and what they do."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.context import TaskStateStoreAccessor

from airflow_provider_pushmetrics.exceptions import PushMetricsRunFailed, PushMetricsRunTimeout
from airflow_provider_pushmetrics.operators.pushmetrics import PushMetricsTriggerReportOperator
from airflow_provider_pushmetrics.triggers.pushmetrics import PushMetricsRunTrigger
from tests.fakes.pushmetrics import FakePushMetrics
from tests.fakes.supervisor import FakeSupervisor, FakeTaskInstance, Killed
from tests.integration.provider.conftest import Connect

MODES = [False, True]
NO_RECEIVER: dict[str, Any] = {"receiver_url": None, "receiver_token": None}


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch, connect_whole: Connect) -> FakeSupervisor:
    """Connect, and answer as Airflow does, which keeps the store of a task between its tries."""
    monkeypatch.setenv("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", "-1")
    supervisor = FakeSupervisor()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", supervisor, raising=False)
    connect_whole()
    return supervisor


def build_context(ti: FakeTaskInstance | None = None) -> Any:
    scope: Any = None
    return {
        "ti": ti or FakeTaskInstance(),
        "task_state_store": TaskStateStoreAccessor(uuid.UUID(int=1), scope),
    }


def build(**kwargs: Any) -> PushMetricsTriggerReportOperator:
    defaults: dict[str, Any] = {"task_id": "a_task", "report_id": 1, "poll_interval": 0.01}
    return PushMetricsTriggerReportOperator(**defaults | kwargs)


async def fire(trigger: Any) -> Any:
    _, written = trigger.serialize()
    (event,) = [event async for event in PushMetricsRunTrigger(**written).run()]
    return event.payload


def run_task(ti: FakeTaskInstance | None = None, **kwargs: Any) -> Any:
    context = build_context(ti)
    try:
        return build(**kwargs).execute(context)
    except TaskDeferred as deferral:
        event = asyncio.run(fire(deferral.trigger))
        return build(**kwargs).execute_complete(context, event)


# A process that dies


@pytest.mark.parametrize("deferrable", MODES)
@pytest.mark.parametrize(
    ("dies", "honours_keys", "runs"),
    [
        ("before", True, 1),
        ("after", True, 1),
        ("after", False, 1),
        ("before", False, 2),  # nobody knows of the run but a server that does not know keys: documented
    ],
)
def test_a_worker_that_dies_after_the_call_leaves_a_run_that_the_next_try_goes_on_with(
    supervisor: FakeSupervisor,
    pushmetrics: FakePushMetrics,
    deferrable: bool,
    dies: str,
    honours_keys: bool,
    runs: int,
) -> None:
    pushmetrics.honours_keys = honours_keys
    supervisor.dies = dies
    with pytest.raises(Killed):
        run_task(deferrable=deferrable)
    assert run_task(FakeTaskInstance(try_number=2), deferrable=deferrable)["run_id"] == runs
    assert len(pushmetrics.runs) == runs


def test_a_worker_that_dies_while_its_task_is_deferred_leaves_one_run(
    supervisor: FakeSupervisor, pushmetrics: FakePushMetrics
) -> None:
    pushmetrics.honours_keys = False
    with pytest.raises(TaskDeferred):
        build(deferrable=True).execute(build_context())
    assert run_task(FakeTaskInstance(try_number=2), deferrable=True)["run_id"] == 1
    assert len(pushmetrics.runs) == 1


async def test_a_triggerer_that_is_restarted_waits_for_the_same_run(
    supervisor: FakeSupervisor, pushmetrics: FakePushMetrics
) -> None:
    pushmetrics.outcomes = ["running"]
    with pytest.raises(TaskDeferred) as deferral:
        await asyncio.to_thread(build(deferrable=True).execute, build_context())
    first = asyncio.create_task(fire(deferral.value.trigger))
    await asyncio.sleep(0.1)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert pushmetrics.runs[0].status == "running"  # a restart cancels nothing
    pushmetrics.runs[0].status = "success"
    assert (await fire(deferral.value.trigger))["run_id"] == 1
    assert len(pushmetrics.triggered) == 1


@pytest.mark.parametrize("deferrable", MODES)
def test_a_try_after_a_timeout_goes_on_with_the_run(
    supervisor: FakeSupervisor, pushmetrics: FakePushMetrics, deferrable: bool
) -> None:
    pushmetrics.honours_keys, pushmetrics.outcomes = False, ["running"]
    with pytest.raises(PushMetricsRunTimeout):
        run_task(deferrable=deferrable, timeout=0.05)
    pushmetrics.runs[0].status = "success"
    assert run_task(FakeTaskInstance(try_number=2), deferrable=deferrable)["run_id"] == 1
    assert len(pushmetrics.triggered) == 1


@pytest.mark.parametrize("deferrable", MODES)
@pytest.mark.parametrize("honours_keys", [True, False])
def test_a_try_after_a_failed_run_starts_another_one(
    supervisor: FakeSupervisor, pushmetrics: FakePushMetrics, deferrable: bool, honours_keys: bool
) -> None:
    pushmetrics.honours_keys, pushmetrics.outcomes = honours_keys, ["failed", "success"]
    with pytest.raises(PushMetricsRunFailed):
        run_task(deferrable=deferrable)
    assert run_task(FakeTaskInstance(try_number=2), deferrable=deferrable)["run_id"] == 2


def test_a_run_that_failed_while_nobody_looked_is_not_gone_on_with(
    supervisor: FakeSupervisor, pushmetrics: FakePushMetrics
) -> None:
    pushmetrics.outcomes = ["failed", "success"]
    supervisor.dies = "after"
    with pytest.raises(Killed):
        run_task()
    assert run_task(FakeTaskInstance(try_number=2))["run_id"] == 2


def test_a_run_that_is_gone_is_not_gone_on_with(
    supervisor: FakeSupervisor, pushmetrics: FakePushMetrics
) -> None:
    supervisor.store["pushmetrics_run"] = {"epoch": "2", "report_id": "1", "run_id": 99, "after_cursor": 0}
    assert run_task()["run_id"] == 1


@pytest.mark.parametrize("deferrable", MODES)
def test_a_cleared_task_starts_another_run(
    supervisor: FakeSupervisor, pushmetrics: FakePushMetrics, deferrable: bool
) -> None:
    assert run_task(FakeTaskInstance(max_tries=2), deferrable=deferrable)["run_id"] == 1
    assert run_task(FakeTaskInstance(try_number=2, max_tries=3), deferrable=deferrable)["run_id"] == 2


@pytest.mark.parametrize("deferrable", MODES)
@pytest.mark.parametrize("honours_keys", [True, False])
def test_a_cleared_task_that_reuses_its_run_finds_it_in_its_store(
    supervisor: FakeSupervisor, pushmetrics: FakePushMetrics, deferrable: bool, honours_keys: bool
) -> None:
    pushmetrics.honours_keys = honours_keys
    wanted: dict[str, Any] = {"on_clear": "reuse", "deferrable": deferrable}
    assert run_task(FakeTaskInstance(max_tries=2), **wanted)["run_id"] == 1
    assert run_task(FakeTaskInstance(try_number=2, max_tries=3), **wanted)["run_id"] == 1
    assert len(pushmetrics.runs) == len(pushmetrics.triggered) == 1


@pytest.mark.parametrize("kept", ["7", 7, {}, {"run_id": "7"}, {"run_id": 7, "report_id": "2", "epoch": "2"}])
def test_whatever_else_is_kept_under_the_name_is_not_taken_for_a_run(
    supervisor: FakeSupervisor, pushmetrics: FakePushMetrics, kept: Any
) -> None:
    supervisor.store["pushmetrics_run"] = kept
    assert run_task()["run_id"] == 1


# A user who kills


def start_waiting(pushmetrics: FakePushMetrics, **kwargs: Any) -> PushMetricsTriggerReportOperator:
    """Leave an operator as it is while it waits: it did not get to the end of its wait."""
    pushmetrics.outcomes = ["running"]
    operator = build(timeout=None, **kwargs)
    pushmetrics.start_run()
    operator._watched_run_id = 1
    return operator


@pytest.mark.parametrize(("cancel_on_kill", "status"), [(True, "cancelled"), (False, "running")])
def test_killing_a_task_that_waits_cancels_its_run(
    supervisor: FakeSupervisor, pushmetrics: FakePushMetrics, cancel_on_kill: bool, status: str
) -> None:
    start_waiting(pushmetrics, cancel_on_kill=cancel_on_kill).on_kill()
    assert pushmetrics.runs[0].status == status


def test_killing_a_task_whose_run_is_over_cancels_nothing(
    supervisor: FakeSupervisor, pushmetrics: FakePushMetrics
) -> None:
    operator = build()
    operator.execute(build_context())
    operator.on_kill()
    assert not [seen for seen in pushmetrics.seen if seen.path.endswith("/cancel")]


@pytest.mark.parametrize("changes", [{}, {"password": None}, {"password": "wrong-api-token-123"}])
def test_a_run_that_cannot_be_cancelled_does_not_keep_a_task_from_dying(
    supervisor: FakeSupervisor, connect_whole: Connect, pushmetrics: FakePushMetrics, changes: dict[str, Any]
) -> None:
    connect_whole(**changes)
    pushmetrics.can_cancel = False
    start_waiting(pushmetrics).on_kill()
    asyncio.run(PushMetricsRunTrigger(report_id="1", run_id=1).on_kill())
    assert pushmetrics.runs[0].status == "running"


@pytest.mark.parametrize(("cancel_on_kill", "status"), [(True, "cancelled"), (False, "running")])
def test_killing_a_deferred_task_cancels_its_run(
    supervisor: FakeSupervisor, pushmetrics: FakePushMetrics, cancel_on_kill: bool, status: str
) -> None:
    pushmetrics.outcomes = ["running"]
    with pytest.raises(TaskDeferred) as deferral:
        build(deferrable=True, cancel_on_kill=cancel_on_kill).execute(build_context())
    trigger: Any = deferral.value.trigger
    asyncio.run(trigger.on_kill())
    assert pushmetrics.runs[0].status == status


def test_a_run_that_nobody_has_named_cannot_be_cancelled(
    supervisor: FakeSupervisor, pushmetrics: FakePushMetrics
) -> None:
    asyncio.run(PushMetricsRunTrigger(report_id="1").on_kill())
    assert pushmetrics.seen == []
