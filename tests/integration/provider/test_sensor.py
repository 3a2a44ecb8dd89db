"""The sensor against the receiver, faked at the wire, poking and in a triggerer."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout, TaskDeferred

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.sensors.pushmetrics import PushMetricsRunSensor
from airflow_provider_pushmetrics.triggers.pushmetrics import PushMetricsSensorTrigger
from tests.fakes.airflow_versions import AirflowRescheduleException, needs_airflow
from tests.fakes.pushmetrics import FakePushMetrics
from tests.fakes.supervisor import FakeTaskInstance
from tests.integration.provider.conftest import Connect

MODES = [{"deferrable": False, "poke_interval": 0.01}, {"deferrable": True}]


@pytest.fixture(autouse=True)
def quick_worker(monkeypatch: pytest.MonkeyPatch, connect_whole: Connect) -> None:
    """Let the worker report at once, so that a deferred task need not rest; and connect."""
    monkeypatch.setenv("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", "-1")
    connect_whole()


def build(**kwargs: Any) -> PushMetricsRunSensor:
    defaults: dict[str, Any] = {"task_id": "a_sensor", "timeout": 5}
    return PushMetricsRunSensor(**defaults | kwargs)


def run_sensor(on_deferral: Any = None, ti: FakeTaskInstance | None = None, **kwargs: Any) -> Any:
    """Run a sensor as Airflow does; something may happen between the worker and the triggerer."""
    context: Any = {"ti": ti or FakeTaskInstance()}
    try:
        return build(**kwargs).execute(context)
    except TaskDeferred as deferral:
        if on_deferral:
            on_deferral()
        written = json.loads(json.dumps(deferral.trigger.serialize()[1]))
        event = asyncio.run(fire(PushMetricsSensorTrigger(**written)))
        return getattr(build(**kwargs), deferral.method_name)(context, event)


async def fire(trigger: PushMetricsSensorTrigger) -> Any:
    (event,) = [event async for event in trigger.run()]
    return json.loads(json.dumps(event.payload))


@pytest.mark.parametrize("mode", MODES)
def test_an_event_that_came_before_the_sensor_began_counts_for_a_known_run(
    pushmetrics: FakePushMetrics, mode: dict[str, Any]
) -> None:
    for _ in range(3):
        pushmetrics.start_run()
    found = run_sensor(run_id="2", report_id=1, **mode)
    assert found == {
        "id": 2,
        "source": "demo",
        "received_at": "2026-01-01T00:00:00+00:00",
        "body": pushmetrics.build_event(pushmetrics.runs[1]),
    }


@pytest.mark.parametrize("mode", MODES)
def test_an_event_after_a_cursor_counts(pushmetrics: FakePushMetrics, mode: dict[str, Any]) -> None:
    for _ in range(3):
        pushmetrics.start_run()
    assert run_sensor(after=1, **mode)["id"] == 2


@pytest.mark.parametrize("mode", MODES)
def test_an_event_that_came_before_does_not_count_for_just_any_run(
    pushmetrics: FakePushMetrics, mode: dict[str, Any]
) -> None:
    pushmetrics.start_run()
    with pytest.raises(AirflowSensorTimeout):
        run_sensor(**mode | {"timeout": 0.1})


@pytest.mark.parametrize("wanted", [{"report_id": 1}, {"event": "query.run", "query_id": 9}])
def test_a_deferred_sensor_takes_the_first_event_after_it_began(
    pushmetrics: FakePushMetrics, wanted: dict[str, Any]
) -> None:
    pushmetrics.start_run()

    def arrive() -> None:
        pushmetrics.start_run("2")
        pushmetrics.start_run("1")
        query_result = f"{pushmetrics.url}/api/reports/1/queries/9/run/4"
        pushmetrics.inbox.add(
            {"event": "query.run", "report_id": 1, "query_id": 9, "query_result": query_result}
        )

    found = run_sensor(on_deferral=arrive, deferrable=True, **wanted)
    assert found["id"] == (3 if "report_id" in wanted else 4)


def test_a_poking_sensor_takes_the_first_event_after_its_first_look(pushmetrics: FakePushMetrics) -> None:
    pushmetrics.start_run()
    sensor, context = build(), FakeTaskInstance()
    assert not sensor.poke({"ti": context})  # type: ignore[typeddict-item]
    run = pushmetrics.start_run()
    found = sensor.poke({"ti": context})  # type: ignore[typeddict-item]
    assert found.is_done
    assert found.xcom_value is not None
    assert found.xcom_value["body"] == pushmetrics.build_event(run)


@pytest.mark.parametrize("mode", MODES)
def test_no_event_in_time_is_a_sensor_timeout(mode: dict[str, Any]) -> None:
    with pytest.raises(AirflowSensorTimeout):
        run_sensor(run_id=7, **mode | {"timeout": 0.1})


@needs_airflow("3.0")  # Airflow 2 asks its database when the sensor began
def test_a_sensor_that_is_rescheduled_looks_and_comes_back(pushmetrics: FakePushMetrics) -> None:
    class Instance(FakeTaskInstance):
        def get_first_reschedule_date(self, context: Any) -> None:
            return None

    context: Any = {"ti": Instance()}
    with pytest.raises(AirflowRescheduleException):
        build(mode="reschedule", run_id=1).execute(context)
    pushmetrics.start_run()
    assert build(mode="reschedule", run_id=1).execute(context)["id"] == 1


def test_a_deferred_sensor_hands_all_its_settings_to_the_trigger() -> None:
    context: Any = {"ti": FakeTaskInstance()}
    with pytest.raises(TaskDeferred) as caught:
        build(
            event="query.run", report_id="1", query_id=2, run_id="7", after=3, deferrable=True, timeout=60
        ).execute(context)
    _, written = caught.value.trigger.serialize()
    assert written["deadline"] == pytest.approx(time.time() + 60, abs=5)
    assert written["not_before"] == pytest.approx(time.time(), abs=5)
    kept = {name: value for name, value in written.items() if name not in ("deadline", "not_before")}
    assert kept == {
        "event": "query.run",
        "report_id": 1,
        "query_id": 2,
        "run_id": 7,
        "after": 3,
        "pushmetrics_conn_id": "pushmetrics_default",
    }
    assert caught.value.timeout is not None
    assert caught.value.timeout.total_seconds() == 360


@pytest.mark.parametrize("mode", MODES)
def test_a_sensor_without_a_receiver_fails_with_the_way_out(
    connect_whole: Connect, mode: dict[str, Any]
) -> None:
    connect_whole(receiver_url=None, receiver_token=None)
    with pytest.raises(PushMetricsConfigurationError, match="'receiver_url' and 'receiver_token'"):
        run_sensor(**mode)


@pytest.mark.parametrize("mode", MODES)
def test_a_sensor_needs_neither_api_token_nor_trigger_token(
    connect_whole: Connect, pushmetrics: FakePushMetrics, mode: dict[str, Any]
) -> None:
    connect_whole(password=None, trigger_tokens=None)
    pushmetrics.start_run()
    assert run_sensor(run_id=1, **mode)["id"] == 1
    assert pushmetrics.seen == []
