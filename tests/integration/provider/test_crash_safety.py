"""Processes that die, and users who kill: how many runs there are afterwards, and what they do."""

from __future__ import annotations

import asyncio
import dataclasses
import uuid
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.context import TaskStateStoreAccessor

from airflow_provider_pushmetrics.exceptions import (
    PushMetricsAmbiguousRun,
    PushMetricsAuthError,
    PushMetricsConflictError,
    PushMetricsDeliveryUnknownError,
    PushMetricsRunFailed,
    PushMetricsRunTimeout,
    PushMetricsUnavailableError,
)
from airflow_provider_pushmetrics.operators.pushmetrics import PushMetricsTriggerReportOperator
from airflow_provider_pushmetrics.tasks.retry_policy import PushMetricsRetryPolicy
from airflow_provider_pushmetrics.tasks.state import StartedRun
from airflow_provider_pushmetrics.triggers.pushmetrics import PushMetricsRunTrigger
from tests.fakes.pushmetrics import FakePushMetrics
from tests.fakes.supervisor import FakeSupervisor, FakeTaskInstance, Killed
from tests.fakes.triggerer import fire
from tests.integration.provider.conftest import Connect

pytestmark = pytest.mark.usefixtures("supervisor")

MODES = [False, True]
NO_RECEIVER: dict[str, Any] = {"receiver_url": None, "receiver_token": None}
DEFERRED: dict[str, Any] = {"deferrable": True, "defer_after": 0.05}


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch, connect_whole: Connect) -> FakeSupervisor:
    """Connect, and answer as Airflow does, which keeps the store of a task between its tries."""
    monkeypatch.setenv("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", "-1")
    monkeypatch.setenv("AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME", "0")
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
    operator = PushMetricsTriggerReportOperator(**defaults | kwargs)
    operator.appearance_seconds = 0.0
    return operator


def run_task(ti: FakeTaskInstance | None = None, **kwargs: Any) -> Any:
    context = build_context(ti)
    try:
        return build(**kwargs).execute(context)
    except TaskDeferred as deferral:
        event = asyncio.run(fire(deferral.trigger))
        return build(**kwargs).execute_complete(context, event)


# A process that dies


@pytest.mark.parametrize("names_runs", MODES)
@pytest.mark.parametrize("honors_keys", MODES)
@pytest.mark.parametrize("dies", ["before", "after"])
def test_a_worker_that_dies_after_the_call_leaves_a_run_that_the_next_try_goes_on_with(
    supervisor: FakeSupervisor,
    pushmetrics: FakePushMetrics,
    deferrable: bool,
    dies: str,
    honors_keys: bool,
    names_runs: bool,
) -> None:
    pushmetrics.honors_keys = pushmetrics.describes_keys = honors_keys
    pushmetrics.names_runs = names_runs
    supervisor.dies, supervisor.spares = dies, 1
    with pytest.raises(Killed):
        run_task(deferrable=deferrable)
    assert run_task(FakeTaskInstance(try_number=2), deferrable=deferrable)["run_id"] == 1
    assert len(pushmetrics.runs) == 1


def test_a_worker_that_dies_while_its_task_is_deferred_leaves_one_run(pushmetrics: FakePushMetrics) -> None:
    pushmetrics.honors_keys = False
    pushmetrics.outcomes = ["running"]
    with pytest.raises(TaskDeferred):
        build(**DEFERRED).execute(build_context())
    pushmetrics.runs[0].status = "success"
    assert run_task(FakeTaskInstance(try_number=2), deferrable=True)["run_id"] == 1
    assert len(pushmetrics.runs) == 1


async def test_a_triggerer_that_is_restarted_waits_for_the_same_run(pushmetrics: FakePushMetrics) -> None:
    pushmetrics.outcomes = ["running"]
    with pytest.raises(TaskDeferred) as deferral:
        await asyncio.to_thread(build(**DEFERRED).execute, build_context())
    first = asyncio.create_task(fire(deferral.value.trigger))
    await asyncio.sleep(0.1)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert pushmetrics.runs[0].status == "running"  # a restart cancels nothing
    pushmetrics.runs[0].status = "success"
    assert (await fire(deferral.value.trigger))["run_id"] == 1
    assert len(pushmetrics.triggered) == 1


def test_a_try_after_a_timeout_goes_on_with_the_run(pushmetrics: FakePushMetrics, deferrable: bool) -> None:
    pushmetrics.honors_keys, pushmetrics.outcomes = False, ["running"]
    with pytest.raises(PushMetricsRunTimeout):
        run_task(deferrable=deferrable, timeout=0.05)
    pushmetrics.runs[0].status = "success"
    assert run_task(FakeTaskInstance(try_number=2), deferrable=deferrable)["run_id"] == 1
    assert len(pushmetrics.triggered) == 1


@pytest.mark.parametrize("honors_keys", [True, False])
def test_a_try_after_a_failed_run_starts_another_one(
    pushmetrics: FakePushMetrics, deferrable: bool, honors_keys: bool
) -> None:
    pushmetrics.honors_keys, pushmetrics.outcomes = honors_keys, ["failed", "success"]
    with pytest.raises(PushMetricsRunFailed):
        run_task(deferrable=deferrable)
    assert run_task(FakeTaskInstance(try_number=2), deferrable=deferrable)["run_id"] == 2


def test_a_run_that_failed_while_nobody_looked_is_not_gone_on_with(
    supervisor: FakeSupervisor, pushmetrics: FakePushMetrics
) -> None:
    pushmetrics.outcomes = ["failed", "success"]
    supervisor.dies, supervisor.spares = "after", 1
    with pytest.raises(Killed):
        run_task()
    assert run_task(FakeTaskInstance(try_number=2))["run_id"] == 2


def test_a_run_that_is_gone_is_not_gone_on_with(supervisor: FakeSupervisor) -> None:
    supervisor.store["pushmetrics_run"] = {"epoch": "2", "report_id": "1", "run_id": 99, "after_cursor": 0}
    assert run_task()["run_id"] == 1


def test_a_cleared_task_starts_another_run(deferrable: bool) -> None:
    assert run_task(FakeTaskInstance(max_tries=2), deferrable=deferrable)["run_id"] == 1
    assert run_task(FakeTaskInstance(try_number=2, max_tries=3), deferrable=deferrable)["run_id"] == 2


@pytest.mark.parametrize("is_stored", [True, False])
@pytest.mark.parametrize(("before", "after"), [(1, 0), (2, 1)])
def test_a_cleared_task_whose_retries_were_lowered_starts_another_run(
    supervisor: FakeSupervisor, deferrable: bool, is_stored: bool, before: int, after: int
) -> None:
    first = FakeTaskInstance(retries=before, max_tries=before)
    assert run_task(first, deferrable=deferrable)["run_id"] == 1
    if not is_stored:
        supervisor.store.clear()
    cleared = FakeTaskInstance(try_number=2, retries=after, max_tries=1 + after)  # as Airflow sets it
    assert cleared.max_tries == first.max_tries
    assert run_task(cleared, deferrable=deferrable)["run_id"] == 2


def test_a_retry_whose_retries_were_lowered_goes_on_with_an_unfinished_run(
    supervisor: FakeSupervisor, pushmetrics: FakePushMetrics
) -> None:
    pushmetrics.outcomes, pushmetrics.looks = ["success"], 2
    supervisor.dies, supervisor.spares = "after", 1
    with pytest.raises(Killed):
        run_task(FakeTaskInstance(retries=2, max_tries=2))
    assert run_task(FakeTaskInstance(try_number=2, retries=1, max_tries=2))["run_id"] == 1
    assert len(pushmetrics.runs) == 1


@pytest.mark.parametrize("on_clear", ["rerun", "reuse"])
@pytest.mark.parametrize("outcome", ["success", "running"])
def test_the_run_of_a_dag_run_that_was_deleted_and_created_again_is_not_that_of_the_new_one(
    supervisor: FakeSupervisor, pushmetrics: FakePushMetrics, outcome: str, on_clear: Any
) -> None:
    pushmetrics.outcomes = [outcome, "success"]
    build(wait_for_completion=outcome == "success", on_clear=on_clear).execute(build_context())
    supervisor.store.clear()  # as Airflow deletes it with the Dag run
    assert run_task(on_clear=on_clear)["run_id"] == 2
    assert run_task(FakeTaskInstance(try_number=2), on_clear=on_clear)["run_id"] == 2
    assert len(pushmetrics.runs) == 2


def test_task_that_reuses_its_run_is_told_how_to_run_the_report_with_other_parameters(
    supervisor: FakeSupervisor,
) -> None:
    """Its key stays the same when it is cleared, so to clear it is no way out."""
    run_task(on_clear="reuse", parameters={"month": 1})
    supervisor.store.clear()  # as Airflow deletes it with the Dag run
    changed: dict[str, Any] = {"parameters": {"month": 2}}
    with pytest.raises(PushMetricsConflictError, match="set on_clear='rerun' and clear the task"):
        run_task(on_clear="reuse", **changed)
    assert run_task(FakeTaskInstance(try_number=2, max_tries=3), **changed)["run_id"] == 2


@pytest.mark.parametrize("honors_keys", [True, False])
def test_a_cleared_task_that_reuses_its_run_finds_it_in_its_store(
    pushmetrics: FakePushMetrics, deferrable: bool, honors_keys: bool
) -> None:
    pushmetrics.honors_keys = honors_keys
    wanted: dict[str, Any] = {"on_clear": "reuse", "deferrable": deferrable}
    assert run_task(FakeTaskInstance(max_tries=2), **wanted)["run_id"] == 1
    assert run_task(FakeTaskInstance(try_number=2, max_tries=3), **wanted)["run_id"] == 1
    assert len(pushmetrics.runs) == len(pushmetrics.triggered) == 1


@pytest.mark.parametrize("kept", ["7", 7, {}, {"run_id": "7"}, {"run_id": 7, "report_id": "2", "epoch": "2"}])
def test_whatever_else_is_kept_under_the_name_is_not_taken_for_a_run(
    supervisor: FakeSupervisor, kept: Any
) -> None:
    supervisor.store["pushmetrics_run"] = kept
    assert run_task()["run_id"] == 1


# A call that is not answered


@pytest.mark.parametrize("changes", [{}, NO_RECEIVER, {"password": None}], ids=["both", "api", "event"])
def test_three_tries_at_a_server_that_drops_its_answers_start_one_run(
    pushmetrics: FakePushMetrics, connect_whole: Connect, deferrable: bool, changes: dict[str, Any]
) -> None:
    connect_whole(**changes)
    pushmetrics.honors_keys, pushmetrics.drops_answers = False, 3
    results = [run_task(FakeTaskInstance(try_number=number), deferrable=deferrable) for number in (1, 2, 3)]
    assert {result["run_id"] for result in results} == {1}
    assert len(pushmetrics.triggered) == 1


def test_a_call_of_which_no_run_is_found_fails_without_a_retry(pushmetrics: FakePushMetrics) -> None:
    pushmetrics.swallows_calls = 3
    with pytest.raises(
        PushMetricsDeliveryUnknownError, match=r"no new run was listed.*clear the task"
    ) as caught:
        run_task()
    assert isinstance(caught.value, AirflowFailException)  # Airflow does not retry after that
    assert len(pushmetrics.triggered) == 1
    pushmetrics.swallows_calls = 0
    assert run_task(FakeTaskInstance(try_number=2, max_tries=3))["run_id"] == 1


def test_a_cleared_task_that_reuses_its_run_may_call_again_after_a_call_that_nobody_answered(
    pushmetrics: FakePushMetrics,
) -> None:
    pushmetrics.swallows_calls = 1
    with pytest.raises(PushMetricsDeliveryUnknownError):
        run_task(on_clear="reuse")
    assert run_task(FakeTaskInstance(try_number=2, max_tries=3), on_clear="reuse")["run_id"] == 1


@pytest.mark.parametrize(("honors_keys", "on_unknown", "runs"), [(True, "fail", 1), (False, "call_again", 2)])
def test_a_call_is_repeated_where_the_server_says_that_this_is_safe_or_the_user_wants_it(
    pushmetrics: FakePushMetrics, honors_keys: bool, on_unknown: str, runs: int
) -> None:
    pushmetrics.honors_keys = pushmetrics.describes_keys = honors_keys
    pushmetrics.drops_answers, pushmetrics.hides_runs = 1, not honors_keys
    assert run_task(on_unknown=on_unknown)["run_id"] == runs
    assert len(pushmetrics.runs) == runs
    assert len(set(pushmetrics.keys)) == 1


@pytest.mark.parametrize("honors_keys", [True, False])
def test_second_call_without_an_answer_leaves_the_run_to_the_next_try(
    pushmetrics: FakePushMetrics, honors_keys: bool
) -> None:
    pushmetrics.honors_keys = pushmetrics.describes_keys = honors_keys
    pushmetrics.drops_answers, pushmetrics.hides_runs = 2, not honors_keys
    with pytest.raises(PushMetricsUnavailableError) as caught:
        run_task(on_unknown="call_again")
    assert not isinstance(caught.value, AirflowFailException)  # Airflow retries after that
    result = run_task(FakeTaskInstance(try_number=2), on_unknown="call_again")
    assert result["run_id"] == (1 if honors_keys else 3)
    assert len(set(pushmetrics.keys)) == 1


def test_server_that_asks_to_wait_is_not_called_again_before_that(pushmetrics: FakePushMetrics) -> None:
    pushmetrics.honors_keys = pushmetrics.describes_keys = True
    pushmetrics.drops_answers, pushmetrics.retry_after = 1, "600"
    with pytest.raises(PushMetricsUnavailableError) as caught:
        run_task()
    assert len(pushmetrics.triggered) == 1
    assert caught.value.retry_after_seconds == 600
    assert PushMetricsRetryPolicy().evaluate(caught.value, 1, 2).retry_delay == timedelta(seconds=600)
    assert run_task(FakeTaskInstance(try_number=2))["run_id"] == 1
    assert len(pushmetrics.runs) == 1


def test_second_call_without_an_answer_says_how_long_the_server_asks_to_wait(
    pushmetrics: FakePushMetrics,
) -> None:
    pushmetrics.honors_keys = pushmetrics.describes_keys = True
    pushmetrics.drops_answers, pushmetrics.retry_after = 2, "0"
    with pytest.raises(PushMetricsUnavailableError) as caught:
        run_task()
    assert caught.value.retry_after_seconds == 0
    assert len(pushmetrics.triggered) == 2


def test_second_call_that_is_refused_fails_with_the_reason(
    pushmetrics: FakePushMetrics, connect_whole: Connect
) -> None:
    pushmetrics.honors_keys = pushmetrics.describes_keys = True
    pushmetrics.drops_answers = 2
    with pytest.raises(PushMetricsUnavailableError):
        run_task()
    connect_whole(trigger_tokens={"1": "another-token-0123456789"})
    with pytest.raises(PushMetricsAuthError):
        run_task(FakeTaskInstance(try_number=2))
    assert len(pushmetrics.runs) == 1


def test_an_older_run_is_not_taken_for_that_of_a_call_before_which_no_run_could_be_listed(
    supervisor: FakeSupervisor, pushmetrics: FakePushMetrics
) -> None:
    pushmetrics.start_run()
    called = StartedRun("2", "1", after_cursor=None, after_run_id=None, is_accepted=False)
    supervisor.store["pushmetrics_run"] = dataclasses.asdict(called)
    with pytest.raises(PushMetricsDeliveryUnknownError):
        run_task()


def test_a_server_that_is_away_after_it_dropped_its_answer_is_asked_by_the_next_try(
    supervisor: FakeSupervisor, pushmetrics: FakePushMetrics, connect_whole: Connect
) -> None:
    pushmetrics.start_run()
    called = StartedRun("2", "1", after_cursor=0, after_run_id=0, is_accepted=False)
    supervisor.store["pushmetrics_run"] = dataclasses.asdict(called)
    connect_whole(host="http://127.0.0.1:9")
    with pytest.raises(PushMetricsUnavailableError):
        run_task()
    connect_whole()
    assert run_task(FakeTaskInstance(try_number=2))["run_id"] == 1
    assert pushmetrics.triggered == []


def test_a_page_in_front_of_pushmetrics_may_have_hidden_that_the_call_was_taken(
    pushmetrics: FakePushMetrics,
) -> None:
    pushmetrics.answers_with_page = True
    for number in (1, 2):
        assert run_task(FakeTaskInstance(try_number=number))["run_id"] == 1
    assert len(pushmetrics.triggered) == 1


def test_a_call_that_was_refused_is_made_by_the_next_try(connect_whole: Connect) -> None:
    connect_whole(trigger_tokens={"1": "another-token-0123456789"})
    with pytest.raises(PushMetricsAuthError):
        run_task()
    connect_whole()
    assert run_task(FakeTaskInstance(try_number=2))["run_id"] == 1


@pytest.mark.parametrize("wait_for_completion", MODES)
@pytest.mark.parametrize("changes", [NO_RECEIVER, {"password": None}])
def test_without_a_store_a_call_that_nobody_can_look_for_fails_without_a_retry(
    pushmetrics: FakePushMetrics, connect_whole: Connect, changes: dict[str, Any], wait_for_completion: bool
) -> None:
    connect_whole(**changes)
    pushmetrics.drops_answers, pushmetrics.hides_runs = 1, True
    operator = build(wait_for_completion=wait_for_completion)
    with pytest.raises(AirflowFailException, match="the task is not retried"):
        operator.execute({"ti": FakeTaskInstance()})  # type: ignore[typeddict-item]
    assert len(pushmetrics.triggered) == 1


# A run that nobody has named


def test_a_try_after_a_timeout_looks_for_the_run_that_nobody_has_named(
    pushmetrics: FakePushMetrics, deferrable: bool
) -> None:
    pushmetrics.honors_keys = pushmetrics.names_runs = False
    pushmetrics.hides_runs, pushmetrics.outcomes = True, ["running"]
    with pytest.raises(PushMetricsRunTimeout):
        run_task(deferrable=deferrable, timeout=0.05)
    pushmetrics.runs[0].status, pushmetrics.hides_runs = "success", False
    assert run_task(FakeTaskInstance(try_number=2), deferrable=deferrable)["run_id"] == 1
    assert len(pushmetrics.triggered) == 1


def test_tries_that_cannot_tell_their_run_from_others_start_no_more(pushmetrics: FakePushMetrics) -> None:
    pushmetrics.honors_keys = pushmetrics.names_runs = False
    pushmetrics.bystanders = 1
    for number in (1, 2, 3):
        with pytest.raises(PushMetricsAmbiguousRun):
            run_task(FakeTaskInstance(try_number=number))
    assert len(pushmetrics.triggered) == 1
    assert run_task(FakeTaskInstance(try_number=4), on_ambiguous="newest")["run_id"] == 2


def test_a_run_that_nobody_had_named_and_that_has_failed_is_followed_by_another(
    supervisor: FakeSupervisor, pushmetrics: FakePushMetrics
) -> None:
    pushmetrics.honors_keys = pushmetrics.names_runs = False
    pushmetrics.outcomes = ["failed", "success"]
    supervisor.dies, supervisor.spares = "after", 1
    with pytest.raises(Killed):
        run_task()
    assert run_task(FakeTaskInstance(try_number=2))["run_id"] == 2


# A user who kills


def start_waiting(pushmetrics: FakePushMetrics, **kwargs: Any) -> PushMetricsTriggerReportOperator:
    """Leave an operator as it is while it waits: it did not get to the end of its wait."""
    pushmetrics.outcomes = ["running"]
    operator = build(timeout=None, **kwargs)
    pushmetrics.start_run()
    operator._watched_run_id = 1
    return operator


def build_trigger(trigger: Any = None, *, map_index: int = -1) -> Any:
    """Give a trigger its task instance, as the triggerer does."""
    trigger = trigger or PushMetricsRunTrigger(report_id="1", run_id=1)
    trigger.task_instance = FakeTaskInstance(map_index=map_index)
    return trigger


def set_state(supervisor: FakeSupervisor, state: str | None, *, map_index: int = -1) -> None:
    supervisor.set_state(FakeTaskInstance(map_index=map_index), state)


@pytest.mark.parametrize(
    ("kwargs", "status"),
    [({}, "cancelled"), ({"cancel_on_kill": False}, "running"), ({"on_clear": "reuse"}, "running")],
    ids=str,
)
def test_killing_a_task_that_waits_cancels_its_run_unless_the_cleared_task_continues_with_it(
    pushmetrics: FakePushMetrics, kwargs: dict[str, Any], status: str
) -> None:
    start_waiting(pushmetrics, **kwargs).on_kill()
    assert pushmetrics.runs[0].status == status


def test_killing_a_task_whose_run_is_over_cancels_nothing(pushmetrics: FakePushMetrics) -> None:
    operator = build()
    operator.execute(build_context())
    operator.on_kill()
    assert not [seen for seen in pushmetrics.seen if seen.path.endswith("/cancel")]


@pytest.mark.parametrize("changes", [{}, {"password": None}, {"password": "wrong-api-token-123"}])
def test_a_run_that_cannot_be_cancelled_does_not_keep_a_task_from_dying(
    connect_whole: Connect, pushmetrics: FakePushMetrics, changes: dict[str, Any]
) -> None:
    connect_whole(**changes)
    pushmetrics.can_cancel = False
    start_waiting(pushmetrics).on_kill()
    asyncio.run(build_trigger().on_kill())
    assert pushmetrics.runs[0].status == "running"


@pytest.mark.parametrize(("cancel_on_kill", "status"), [(True, "cancelled"), (False, "running")])
def test_killing_a_deferred_task_cancels_its_run(
    pushmetrics: FakePushMetrics, cancel_on_kill: bool, status: str
) -> None:
    pushmetrics.outcomes = ["running"]
    with pytest.raises(TaskDeferred) as deferral:
        build(**DEFERRED, cancel_on_kill=cancel_on_kill).execute(build_context())
    asyncio.run(build_trigger(deferral.value.trigger).on_kill())
    assert pushmetrics.runs[0].status == status


@pytest.mark.parametrize("map_index", [-1, 3])
@pytest.mark.parametrize("on_clear", ["rerun", "reuse"])
@pytest.mark.parametrize(
    ("state", "cancelled_by"),
    [
        ("deferred", ()),  # the trigger has moved to another triggerer
        ("up_for_retry", ()),  # which has resumed the task, and the next try goes on with the run
        ("failed", ("rerun", "reuse")),
        ("success", ("rerun", "reuse")),
        ("skipped", ("rerun", "reuse")),  # its Dag run took too long
        ("queued", ("rerun",)),  # a cleared task
        (None, ("rerun",)),
    ],
)
def test_a_trigger_cancels_its_run_only_if_its_task_does_not_wait_any_longer(
    pushmetrics: FakePushMetrics,
    supervisor: FakeSupervisor,
    map_index: int,
    on_clear: str,
    state: str | None,
    cancelled_by: tuple[str, ...],
) -> None:
    start_waiting(pushmetrics)
    status = "cancelled" if on_clear in cancelled_by else "running"
    set_state(supervisor, "failed" if status == "running" else "deferred", map_index=map_index + 1)
    set_state(supervisor, state, map_index=map_index)
    trigger = PushMetricsRunTrigger(report_id="1", run_id=1, on_clear=on_clear)
    asyncio.run(build_trigger(trigger, map_index=map_index).on_kill())
    assert pushmetrics.runs[0].status == status


def test_deferred_task_that_is_cleared_continues_with_its_run_if_it_is_to_reuse_it(
    supervisor: FakeSupervisor, pushmetrics: FakePushMetrics
) -> None:
    pushmetrics.outcomes = ["running"]
    wanted: dict[str, Any] = {**DEFERRED, "on_clear": "reuse"}
    with pytest.raises(TaskDeferred) as deferral:
        build(**wanted).execute(build_context())
    set_state(supervisor, None)  # as clearing sets it
    asyncio.run(build_trigger(deferral.value.trigger).on_kill())
    assert pushmetrics.runs[0].status == "running"
    pushmetrics.runs[0].status = "success"
    assert run_task(FakeTaskInstance(try_number=2, max_tries=3), **wanted)["run_id"] == 1
    assert len(pushmetrics.runs) == 1


def test_a_trigger_that_cannot_ask_for_the_state_of_its_task_cancels_nothing(
    pushmetrics: FakePushMetrics, supervisor: FakeSupervisor, capfd: pytest.CaptureFixture[str]
) -> None:
    start_waiting(pushmetrics)
    supervisor.breaks = True
    asyncio.run(build_trigger().on_kill())
    assert pushmetrics.runs[0].status == "running"
    assert "run 1 could not be cancelled: RuntimeError: The pipe is broken" in capfd.readouterr().out


async def kill_with_repeated_cancels(trigger: Any) -> None:
    """Do as Airflow 3.3: cancel the trigger again at each sync, also while its ``on_kill`` is at work."""
    killing = asyncio.create_task(trigger.on_kill())
    for _ in range(3):
        await asyncio.sleep(0)
        killing.cancel()
    await killing


def test_airflow_that_cancels_on_kill_does_not_keep_the_run_from_being_cancelled(
    pushmetrics: FakePushMetrics,
) -> None:
    start_waiting(pushmetrics)
    asyncio.run(kill_with_repeated_cancels(build_trigger()))
    assert pushmetrics.runs[0].status == "cancelled"


def test_a_server_that_does_not_answer_holds_up_no_triggerer(
    pushmetrics: FakePushMetrics, capfd: pytest.CaptureFixture[str]
) -> None:
    start_waiting(pushmetrics)
    trigger = build_trigger()
    trigger.cancel_timeout_seconds = 0.0
    asyncio.run(trigger.on_kill())
    assert "run 1 could not be cancelled: no answer within 0 s" in capfd.readouterr().out


def test_a_run_that_nobody_has_named_cannot_be_cancelled(pushmetrics: FakePushMetrics) -> None:
    asyncio.run(PushMetricsRunTrigger(report_id="1").on_kill())
    assert pushmetrics.seen == []
