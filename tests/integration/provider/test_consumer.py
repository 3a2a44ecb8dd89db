"""A sensor with a named consumer: each task instance takes the next event, all tries of one the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_pushmetrics.client.feed import claim_event
from airflow_provider_pushmetrics.exceptions import PushMetricsApiError, PushMetricsAuthError
from airflow_provider_pushmetrics.hooks.pushmetrics import PushMetricsHook
from airflow_provider_pushmetrics.sensors.pushmetrics import PushMetricsRunSensor
from tests.fakes.pushmetrics import FakePushMetrics
from tests.fakes.supervisor import FakeTaskInstance
from tests.fakes.triggerer import fire
from tests.integration.provider.conftest import Connect, Mode
from tests.integration.provider.test_sensor import run_sensor

CONSUMER = "departure_delays"


pytestmark = pytest.mark.usefixtures("quick_worker")


def take(run_id: str, mode: Mode, **kwargs: Any) -> int:
    """Run the sensor of one Dag run; give the event that it took."""
    ti = FakeTaskInstance(run_id=run_id)
    found: int = run_sensor(ti=ti, consumer=CONSUMER, **mode | kwargs)["id"]
    return found


OVERTAKING: list[Callable[[], object]] = []
"""What happens while a sensor looks at an event that it has found."""


def overtake(body: dict[str, Any]) -> bool:
    """Let another task be faster."""
    while OVERTAKING:
        OVERTAKING.pop()()
    return True


def claim_first() -> None:
    """Claim the first event, as the task of another Dag run does."""
    hook = PushMetricsHook()
    hook.call(claim_event(hook.settings.get_receiver(), CONSUMER, 1, taken_by="a_dag/second/a_task/-1"))


def test_every_event_is_taken_by_one_run_also_when_several_arrive_at_once(
    pushmetrics: FakePushMetrics, mode: Mode
) -> None:
    for _ in range(5):
        pushmetrics.start_run()
    assert [take(f"run_{number}", mode) for number in range(5)] == [1, 2, 3, 4, 5]
    assert pushmetrics.inbox.positions == {CONSUMER: 5}
    assert pushmetrics.inbox.takers == {CONSUMER: "a_dag/run_4/a_task/-1"}


def test_an_event_that_arrives_while_the_sensor_is_deferred_is_taken(pushmetrics: FakePushMetrics) -> None:
    def arrive() -> None:
        for _ in range(2):
            pushmetrics.start_run()

    assert take("first", {"deferrable": True, "on_deferral": arrive}) == 1
    assert take("second", {"deferrable": True}) == 2


def test_receiver_that_is_away_when_the_position_is_asked_for_ends_no_wait(
    pushmetrics: FakePushMetrics, mode: Mode
) -> None:
    """A poll asks five times."""
    pushmetrics.start_run()
    pushmetrics.inbox.position_outages = 10 if mode["deferrable"] is False else 5
    assert take("first", mode) == 1


def test_receiver_that_is_away_after_a_lost_claim_ends_no_wait(pushmetrics: FakePushMetrics) -> None:
    async def fire_late(trigger: Any) -> Any:
        pushmetrics.start_run()
        event = await fire(trigger)
        pushmetrics.inbox.positions[CONSUMER] = 1
        pushmetrics.inbox.position_outages = 5
        return event

    with pytest.raises(TaskDeferred) as again:
        take("first", {"deferrable": True, "fires": fire_late})
    assert again.value.trigger.after == 1


def test_refusal_of_the_receiver_names_its_token(connect_whole: Connect, mode: Mode) -> None:
    connect_whole(receiver_token="another-token-0123456789")
    with pytest.raises(PushMetricsAuthError, match=r"/consumers/.*Check the extra 'receiver_token' of"):
        take("first", mode)


def test_each_iteration_of_a_task_loop_takes_an_event_of_its_own(
    pushmetrics: FakePushMetrics, mode: Mode
) -> None:
    for _ in range(2):
        pushmetrics.start_run()
    loop = UUID("0198c1de-0000-7000-8000-000000000001")
    taken = [
        run_sensor(ti=FakeTaskInstance(region_id=loop, region_index=iteration), consumer=CONSUMER, **mode)[
            "id"
        ]
        for iteration in (0, 0, 1, 1)  # a second try takes what the first one took
    ]
    assert taken == [1, 1, 2, 2]
    assert pushmetrics.inbox.takers == {CONSUMER: f"a_dag/manual__2026-01-01/a_task/-1/{loop}/1"}


def test_a_try_after_a_crash_takes_the_event_that_the_one_before_took(
    pushmetrics: FakePushMetrics, mode: Mode
) -> None:
    for _ in range(2):
        pushmetrics.start_run()
    assert take("first", mode) == 1  # and died before Airflow knew
    assert take("first", mode) == 1
    assert take("second", mode) == 2


def test_a_run_that_died_before_it_took_an_event_leaves_it_to_the_next(
    pushmetrics: FakePushMetrics, mode: Mode
) -> None:
    pushmetrics.start_run()
    pushmetrics.inbox.refuses_positions = True
    with pytest.raises(PushMetricsApiError):
        take("first", mode)
    pushmetrics.inbox.refuses_positions = False
    assert take("second", mode) == 1


def test_an_event_that_is_gone_is_not_waited_for(pushmetrics: FakePushMetrics, mode: Mode) -> None:
    for _ in range(2):
        pushmetrics.start_run()
    assert take("first", mode) == 1
    del pushmetrics.inbox.events[0]
    assert take("first", mode) == 2


def test_events_that_are_not_wanted_are_passed_over(pushmetrics: FakePushMetrics, mode: Mode) -> None:
    for report in ("2", "1", "2", "1"):
        pushmetrics.start_run(report)
    assert [take(name, mode, report_id=1) for name in ("first", "second")] == [2, 4]


def test_mapped_task_instances_take_an_event_each(pushmetrics: FakePushMetrics) -> None:
    for _ in range(2):
        pushmetrics.start_run()
    sensor = PushMetricsRunSensor(task_id="a_sensor", consumer=CONSUMER, deferrable=True)
    contexts: list[Any] = [{"ti": dataclasses.replace(FakeTaskInstance(), map_index=n)} for n in range(2)]
    assert [sensor.execute(context)["id"] for context in contexts] == [1, 2]


def test_a_late_sensor_waits_for_the_next_event_and_the_consumer_moves_forwards_only(
    pushmetrics: FakePushMetrics, mode: Mode
) -> None:
    for _ in range(2):
        pushmetrics.start_run()
    OVERTAKING.append(claim_first)
    assert take("first", mode, event_filter=f"{__name__}.overtake") == 2
    assert pushmetrics.inbox.stored == [1, 2]
    assert pushmetrics.inbox.takers == {CONSUMER: "a_dag/first/a_task/-1"}


def test_a_sensor_that_is_resumed_too_late_defers_again_until_the_same_deadline(
    pushmetrics: FakePushMetrics,
) -> None:
    async def fire_late(trigger: Any) -> Any:
        deadlines.append(trigger.deadline)
        pushmetrics.start_run()
        event = await fire(trigger)
        pushmetrics.inbox.positions[CONSUMER] = 1
        return event

    deadlines: list[float] = []
    with pytest.raises(TaskDeferred) as again:
        take("first", {"deferrable": True, "fires": fire_late})
    assert deadlines == [again.value.trigger.deadline]
    assert again.value.trigger.after == 1
    assert pushmetrics.inbox.stored == []


def test_a_receiver_of_an_earlier_version_moves_the_consumer_as_before(
    pushmetrics: FakePushMetrics, mode: Mode
) -> None:
    pushmetrics.inbox.is_old = True
    for _ in range(2):
        pushmetrics.start_run()
    OVERTAKING.append(claim_first)
    assert take("first", mode, event_filter=f"{__name__}.overtake") == 1
    assert pushmetrics.inbox.stored == [1, 1]


def test_a_sensor_without_a_consumer_moves_no_position(pushmetrics: FakePushMetrics) -> None:
    pushmetrics.start_run()
    assert run_sensor(run_id=1, deferrable=True)["id"] == 1
    assert pushmetrics.inbox.positions == {}
