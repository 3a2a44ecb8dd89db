"""Tasks that end in the triggerer: with the same XComs as on a worker, and only where nothing is lost."""

from __future__ import annotations

import asyncio
import time
from typing import Any
from uuid import UUID

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, Asset, TaskDeferred
from airflow.triggers.base import TaskSuccessEvent, TriggerEvent

from airflow_provider_pushmetrics import compat
from airflow_provider_pushmetrics.client.credentials import EXCHANGE_PATH
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsAirflowVersionError,
    PushMetricsParameterError,
    PushMetricsRunFailed,
    PushMetricsTruncatedResultError,
)
from airflow_provider_pushmetrics.operators.pushmetrics import PushMetricsTriggerReportOperator
from airflow_provider_pushmetrics.sensors.pushmetrics import PushMetricsRunSensor
from airflow_provider_pushmetrics.triggers.bases import WaitTrigger
from airflow_provider_pushmetrics.triggers.pushmetrics import (
    PushMetricsRunTrigger,
    PushMetricsSensorTrigger,
)
from tests.fakes.airflow_versions import AIRFLOW_VERSION, capture_logs, needs_airflow
from tests.fakes.pushmetrics import FakePushMetrics
from tests.fakes.supervisor import FakeSupervisor, FakeTaskInstance, talk_to
from tests.integration.provider.conftest import Connect
from tests.integration.provider.test_operator import build, run_task
from tests.integration.provider.test_sensor import run_sensor

pytestmark = pytest.mark.usefixtures("quick_worker")

RUN_LINK, REPORT_LINK = "_link_PushMetricsRunLink", "_link_PushMetricsReportLink"


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> FakeSupervisor:
    """Answer what a trigger asks, where it asks: on Airflow 2 its event carries the XComs."""
    supervisor = FakeSupervisor()
    supervisor.set_state(FakeTaskInstance(), "deferred")
    if AIRFLOW_VERSION >= (3, 0):
        talk_to(supervisor, monkeypatch)
    return supervisor


async def fire(trigger: WaitTrigger) -> Any:
    trigger.task_instance = FakeTaskInstance()  # type: ignore[assignment]
    (event,) = [event async for event in trigger.run()]
    return event


def read_xcoms(event: Any, supervisor: FakeSupervisor) -> dict[str, Any]:
    """Read the XComs of a task that has ended, wherever this version of Airflow keeps them."""
    assert isinstance(event, TaskSuccessEvent)
    if AIRFLOW_VERSION >= (3, 0):
        assert not event.xcoms  # Airflow would encode them twice
        return supervisor.xcoms
    return dict(event.xcoms or {})


async def test_a_sensor_that_ends_in_the_triggerer_returns_the_event_as_an_object(
    pushmetrics: FakePushMetrics, supervisor: FakeSupervisor
) -> None:
    run = pushmetrics.start_run()
    event = await fire(
        PushMetricsSensorTrigger(event="report.run", end_from_trigger=True, on_failed_run="fail")
    )
    xcoms = read_xcoms(event, supervisor)
    assert xcoms["return_value"]["body"] == pushmetrics.build_event(run)
    assert xcoms[RUN_LINK] == f"{pushmetrics.url}/api/reports/1/run/1"
    assert xcoms[REPORT_LINK] == f"{pushmetrics.url}/app/reports/1"


def test_a_task_returns_the_same_in_every_way(
    pushmetrics: FakePushMetrics, supervisor: FakeSupervisor
) -> None:
    on_worker = run_task()
    deferred = run_task(FakeTaskInstance(run_id="b"), deferrable=True)
    event = asyncio.run(fire(PushMetricsRunTrigger(report_id="1", run_id=3, end_from_trigger=True)))
    assert isinstance(event, TriggerEvent)  # the run is not there yet
    pushmetrics.start_run()
    event = asyncio.run(fire(PushMetricsRunTrigger(report_id="1", run_id=3, end_from_trigger=True)))
    ended = read_xcoms(event, supervisor)["return_value"]
    assert on_worker == renumber(deferred, 2) == renumber(ended, 3)
    assert run_sensor(run_id=3) == run_sensor(run_id=3, deferrable=True)


def renumber(result: Any, number: int) -> Any:
    """Take a result for that of run 1."""
    if isinstance(result, dict):
        return {name: renumber(value, number) for name, value in result.items()}
    if isinstance(result, list):
        return [renumber(value, number) for value in result]
    if isinstance(result, str):
        return result.replace(f"un/{number}", "un/1")
    return 1 if result == number and not isinstance(result, bool) else result


async def test_link_of_a_task_that_ends_in_the_triggerer_has_no_token_of_the_events_url(
    pushmetrics: FakePushMetrics, supervisor: FakeSupervisor
) -> None:
    pushmetrics.url_query = "?key=a-key-of-the-sender"
    pushmetrics.start_run()
    event = await fire(PushMetricsRunTrigger(report_id="1", after_cursor=0, end_from_trigger=True))
    assert read_xcoms(event, supervisor)[RUN_LINK] == f"{pushmetrics.url}/api/reports/1/run/1"


async def test_a_task_that_ends_in_the_triggerer_need_not_rest_before(
    pushmetrics: FakePushMetrics, supervisor: FakeSupervisor
) -> None:
    pushmetrics.start_run()
    rest = time.time() + 600
    event = await fire(PushMetricsRunTrigger(report_id="1", run_id=1, not_before=rest, end_from_trigger=True))
    assert read_xcoms(event, supervisor)["return_value"]["status"] == "success"


# What a worker decides


@pytest.mark.parametrize(
    ("changes", "facts"),
    [
        ({}, {"outcomes": ["failed"]}),
        ({}, {"outcomes": ["cancelled"]}),
        ({}, {"row_limit": 100}),
        ({"password": None}, {}),
    ],
    ids=["failed", "cancelled", "truncated", "unknown"],
)
async def test_whatever_is_no_clean_success_is_for_a_worker_to_decide(
    connect_whole: Connect,
    pushmetrics: FakePushMetrics,
    supervisor: FakeSupervisor,
    changes: dict[str, Any],
    facts: dict[str, Any],
) -> None:
    connect_whole(**changes)
    for name, value in facts.items():
        setattr(pushmetrics, name, value)
    pushmetrics.start_run()
    event = await fire(PushMetricsRunTrigger(report_id="1", run_id=1, after_cursor=0, end_from_trigger=True))
    assert type(event) is TriggerEvent
    assert event.payload["status"] == "success"
    assert supervisor.xcoms == {}


async def test_a_sensors_failed_run_is_for_a_worker_to_decide(
    pushmetrics: FakePushMetrics, supervisor: FakeSupervisor
) -> None:
    pushmetrics.outcomes = ["failed"]
    pushmetrics.start_run()
    trigger = {"event": "report.run", "end_from_trigger": True}
    event = await fire(PushMetricsSensorTrigger(**trigger, on_failed_run="fail"))  # type: ignore[arg-type]
    assert type(event) is TriggerEvent
    assert supervisor.xcoms == {}
    event = await fire(PushMetricsSensorTrigger(**trigger, on_failed_run="succeed"))  # type: ignore[arg-type]
    assert "return_value" in read_xcoms(event, supervisor)


async def test_tasks_that_end_in_the_triggerer_exchange_the_api_token_once_for_all(
    connect_whole: Connect, pushmetrics: FakePushMetrics, supervisor: FakeSupervisor
) -> None:
    """PushMetrics allows ten exchanges a minute."""
    pushmetrics.api_token = "pmpat_0123456789"
    connect_whole(password=pushmetrics.api_token)
    run_ids = [pushmetrics.start_run().id for _ in range(12)]
    triggers = [
        PushMetricsRunTrigger(report_id="1", run_id=run_id, end_from_trigger=True) for run_id in run_ids
    ]
    events = await asyncio.gather(*map(fire, triggers))
    events.append(await fire(triggers[0]))  # when the others do not wait any longer
    assert all(isinstance(event, TaskSuccessEvent) for event in events)
    assert len([seen for seen in pushmetrics.seen if seen.path == EXCHANGE_PATH]) == 1


@needs_airflow("3.0")
async def test_an_xcom_that_cannot_be_stored_is_left_to_a_worker(
    pushmetrics: FakePushMetrics, supervisor: FakeSupervisor
) -> None:
    pushmetrics.start_run()
    supervisor.refuses = "return_value"
    event = await fire(PushMetricsRunTrigger(report_id="1", run_id=1, end_from_trigger=True))
    assert type(event) is TriggerEvent
    assert event.payload["run_id"] == 1


@needs_airflow("3.0")
@pytest.mark.parametrize("state", ["success", "running", "queued", None])
@pytest.mark.parametrize(
    "trigger",
    [
        PushMetricsRunTrigger(report_id="1", run_id=1, end_from_trigger=True),
        PushMetricsSensorTrigger(event="report.run", end_from_trigger=True),
    ],
    ids=["run", "event"],
)
async def test_trigger_whose_task_has_been_ended_elsewhere_writes_nothing(
    pushmetrics: FakePushMetrics, supervisor: FakeSupervisor, trigger: WaitTrigger, state: str | None
) -> None:
    """A triggerer that was frozen would replace the result of the run after a clearing by the one before."""
    pushmetrics.start_run()
    supervisor.set_state(FakeTaskInstance(), state)
    event = await fire(trigger)
    assert type(event) is TriggerEvent
    assert supervisor.xcoms == {}


@needs_airflow("3.0")
async def test_trigger_that_cannot_ask_whether_its_task_waits_leaves_the_end_to_a_worker(
    pushmetrics: FakePushMetrics, supervisor: FakeSupervisor
) -> None:
    pushmetrics.start_run()
    supervisor.breaks = True
    event = await fire(PushMetricsRunTrigger(report_id="1", run_id=1, end_from_trigger=True))
    assert type(event) is TriggerEvent
    assert supervisor.xcoms == {}


async def test_trigger_without_a_task_instance_as_in_dag_test_resumes_the_task_at_once(
    pushmetrics: FakePushMetrics, supervisor: FakeSupervisor
) -> None:
    pushmetrics.start_run()
    rest = time.time() + 600
    trigger = PushMetricsRunTrigger(report_id="1", run_id=1, not_before=rest, end_from_trigger=True)
    with capture_logs() as logs:
        (event,) = [event async for event in trigger.run()]
    assert (type(event), event.payload["status"]) == (TriggerEvent, "success")
    assert supervisor.xcoms == {}
    assert "A worker ends the task" not in str(logs)


# Which tasks end there


def defer(**kwargs: Any) -> dict[str, Any]:
    """Defer a task; give what its trigger is told."""
    context: Any = {"ti": kwargs.pop("ti", None) or FakeTaskInstance()}
    operator = kwargs.pop("operator", None) or build(deferrable=True, **kwargs)
    with pytest.raises(TaskDeferred) as deferral:
        operator.execute(context)
    written: dict[str, Any] = deferral.value.trigger.serialize()[1]
    return written


LOOPED = FakeTaskInstance(region_id=UUID(int=1), region_index=2)


class OwnEnd(PushMetricsTriggerReportOperator):
    """Has an end of its own."""

    def execute_complete(self, context: Any, event: dict[str, Any]) -> Any:
        return super().execute_complete(context, event)


@needs_airflow("3.3")
def test_a_deferred_task_ends_in_the_triggerer_where_nothing_is_lost_by_it(
    pushmetrics: FakePushMetrics,
) -> None:
    pushmetrics.outcomes = ["running"]
    assert defer()["end_from_trigger"] is True
    assert defer(end_from_trigger=False)["end_from_trigger"] is False


@needs_airflow("3.3")
@pytest.mark.parametrize(
    ("kwargs", "reason"),
    [
        ({"outlets": [Asset("an_asset")]}, "its outlets"),
        ({"do_xcom_push": False}, "does not push its result"),
        ({"multiple_outputs": True}, "each part of its result"),
        ({"on_success_callback": print}, "on_success_callback"),
        ({"on_success_callback": print, "end_from_trigger": True}, "on_success_callback"),
        ({"post_execute": print}, "it has a post_execute"),
        ({"ti": LOOPED}, "in a Task Loop"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_a_task_that_would_lose_something_ends_on_a_worker_and_the_log_says_why(
    pushmetrics: FakePushMetrics, kwargs: dict[str, Any], reason: str
) -> None:
    pushmetrics.outcomes = ["running"]
    with capture_logs() as logs:
        assert defer(**kwargs)["end_from_trigger"] is False
    assert reason in str(logs)


def defer_sensor(**kwargs: Any) -> Any:
    """Defer a sensor; give whether the triggerer may end it."""
    sensor = PushMetricsRunSensor(task_id="a_sensor", report_id=1, deferrable=True, **kwargs)
    with pytest.raises(TaskDeferred) as deferral:
        sensor.execute({"ti": FakeTaskInstance()})  # type: ignore[typeddict-item]
    return deferral.value.trigger.serialize()[1]["end_from_trigger"]


@needs_airflow("3.3")
@pytest.mark.parametrize(
    ("kwargs", "is_ended"),
    [
        ({}, True),
        ({"end_from_trigger": False}, False),
        ({"outlets": [Asset("an_asset")]}, False),
        ({"on_success_callback": print}, False),
        ({"on_success_callback": print, "end_from_trigger": True}, False),
        ({"do_xcom_push": False, "end_from_trigger": True}, False),
        ({"consumer": "a_consumer"}, False),
    ],
    ids=str,
)
def test_a_sensor_ends_in_the_triggerer_where_nothing_is_lost_by_it(
    pushmetrics: FakePushMetrics, kwargs: dict[str, Any], is_ended: bool
) -> None:
    assert defer_sensor(**kwargs) is is_ended


@pytest.mark.skipif(AIRFLOW_VERSION >= (3, 3), reason="of older versions")
def test_before_airflow_3_3_a_sensor_ends_in_the_triggerer_only_if_that_is_asked_for(
    pushmetrics: FakePushMetrics,
) -> None:
    assert defer_sensor() is False
    assert defer_sensor(end_from_trigger=True) is True


def test_success_callback_keeps_a_task_on_a_worker_where_nothing_else_runs_it(
    pushmetrics: FakePushMetrics,
) -> None:
    """The Dag processor of Airflow 3 ignores the request; that of Airflow 2 runs the callback."""
    is_ended = AIRFLOW_VERSION < (3, 0)
    assert defer_sensor(on_success_callback=print, end_from_trigger=True) is is_ended


@needs_airflow("3.3")
def test_a_subclass_with_an_end_of_its_own_ends_on_a_worker(pushmetrics: FakePushMetrics) -> None:
    pushmetrics.outcomes = ["running"]
    operator = OwnEnd(task_id="a_task", report_id=1, deferrable=True, defer_after=0)
    assert defer(operator=operator)["end_from_trigger"] is False


@needs_airflow("3.3")
def test_a_task_ends_on_a_worker_where_a_listener_is_to_hear_of_it(pushmetrics: FakePushMetrics) -> None:
    pushmetrics.outcomes = ["running"]
    listeners = compat.get_listener_manager().pm
    listeners.register(listener := type("Listener", (), {})())
    try:
        assert defer()["end_from_trigger"] is False
    finally:
        listeners.unregister(listener)
    assert defer()["end_from_trigger"] is True


@needs_airflow("3.3")
async def test_trigger_that_airflow_has_started_leaves_the_end_to_a_worker_where_a_listener_is_to_hear_of_it(
    pushmetrics: FakePushMetrics, supervisor: FakeSupervisor
) -> None:
    pushmetrics.start_run()
    trigger = PushMetricsSensorTrigger(event="report.run", timeout_seconds=60, end_from_trigger=True)
    listeners = compat.get_listener_manager().pm
    listeners.register(listener := type("Listener", (), {})())
    try:
        assert type(await fire(trigger)) is TriggerEvent
        assert supervisor.xcoms == {}
    finally:
        listeners.unregister(listener)
    assert isinstance(await fire(trigger), TaskSuccessEvent)


@pytest.mark.skipif(AIRFLOW_VERSION >= (3, 3), reason="of older versions")
def test_before_airflow_3_3_a_worker_ends_every_task(pushmetrics: FakePushMetrics) -> None:
    pushmetrics.outcomes = ["running"]
    assert defer()["end_from_trigger"] is False
    with pytest.raises(PushMetricsAirflowVersionError, match=r"end_from_trigger=True needs Airflow 3\.3"):
        build(end_from_trigger=True)


@pytest.mark.parametrize(
    "build_task",
    [
        pytest.param(build, marks=needs_airflow("3.3")),
        lambda **kwargs: PushMetricsRunSensor(task_id="a_sensor", run_id=1, **kwargs),
    ],
    ids=["operator", "sensor"],
)
def test_a_task_with_outlets_cannot_be_made_to_end_in_the_triggerer(build_task: Any) -> None:
    """Airflow makes asset events only when a worker ends the task."""
    with pytest.raises(PushMetricsParameterError, match="cannot be combined with 'outlets'"):
        build_task(end_from_trigger=True, outlets=[Asset("an_asset")])


# Results that were cut


def test_a_result_that_was_cut_is_told_of_in_the_log_and_in_xcom(
    pushmetrics: FakePushMetrics, deferrable: bool
) -> None:
    pushmetrics.row_limit = 100
    with capture_logs() as logs:
        (query,) = run_task(deferrable=deferrable)["queries"]
    assert (query["is_truncated"], query["row_limit"]) == (True, 100)
    assert "are incomplete: 'by_carrier' (limit: 100 rows)" in str(logs)


def test_a_server_that_says_nothing_of_missing_rows_fails_only_the_task_that_wants_all(
    pushmetrics: FakePushMetrics, deferrable: bool
) -> None:
    pushmetrics.tells_truncation = False
    (query,) = run_task(deferrable=deferrable)["queries"]
    assert (query["is_truncated"], query["row_limit"]) == (None, None)
    with pytest.raises(PushMetricsTruncatedResultError, match="does not say whether"):
        run_task(FakeTaskInstance(run_id="b"), deferrable=deferrable, on_truncated="fail")


@pytest.mark.parametrize("on_truncated", ["warn", "fail"])
async def test_a_task_that_wants_all_rows_ends_in_the_triggerer_only_if_the_server_says_that_it_has_them(
    pushmetrics: FakePushMetrics, supervisor: FakeSupervisor, on_truncated: str
) -> None:
    pushmetrics.start_run()
    kwargs: dict[str, Any] = {
        "report_id": "1",
        "run_id": 1,
        "end_from_trigger": True,
        "on_truncated": on_truncated,
    }
    assert type(await fire(PushMetricsRunTrigger(**kwargs))) is not TriggerEvent
    pushmetrics.tells_truncation = False
    assert (type(await fire(PushMetricsRunTrigger(**kwargs))) is TriggerEvent) is (on_truncated == "fail")


def test_a_result_that_was_cut_fails_the_task_where_that_is_wanted(
    pushmetrics: FakePushMetrics, deferrable: bool
) -> None:
    pushmetrics.row_limit = 100
    with pytest.raises(PushMetricsTruncatedResultError, match=r"'by_carrier' \(limit: 100 rows\)") as caught:
        run_task(deferrable=deferrable, on_truncated="fail")
    assert caught.value.run_id == 1
    assert isinstance(caught.value, AirflowFailException)  # Airflow does not retry after that
    pushmetrics.row_limit, pushmetrics.outcomes = None, ["failed"]
    with pytest.raises(PushMetricsRunFailed):
        run_task(FakeTaskInstance(run_id="b"), deferrable=deferrable, on_truncated="fail")
