from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from airflow_provider_pushmetrics.demo.processes.waiting import ConditionPoller
from airflow_provider_pushmetrics.exceptions import DemoError


@dataclass
class FakeClock:
    now: float = 0.0
    slept: list[float] = field(default_factory=list)

    def read(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def test_what_is_there_already_is_returned_without_sleeping() -> None:
    clock = FakeClock()
    waiter = ConditionPoller(clock=clock.read, sleep=clock.sleep)
    assert waiter.wait_for("a thing", lambda: "thing", timeout_seconds=0) == "thing"
    assert clock.slept == []


def test_it_looks_until_something_is_found() -> None:
    clock = FakeClock()
    answers = iter([None, None, "thing"])
    waiter = ConditionPoller(clock=clock.read, sleep=clock.sleep, interval_seconds=0.5)
    assert waiter.wait_for("a thing", lambda: next(answers), timeout_seconds=10) == "thing"
    assert clock.slept == [0.5, 0.5]


def test_it_looks_once_more_when_the_time_is_over() -> None:
    clock = FakeClock()
    waiter = ConditionPoller(clock=clock.read, sleep=clock.sleep, interval_seconds=2)
    found = waiter.wait_for("a thing", lambda: "late" if clock.now >= 2 else None, timeout_seconds=1)
    assert found == "late"


def test_a_thing_that_does_not_come_is_named_with_the_limit() -> None:
    clock = FakeClock()
    waiter = ConditionPoller(clock=clock.read, sleep=clock.sleep)
    with pytest.raises(DemoError, match=r"a healthy Airflow did not come within 3 s"):
        waiter.wait_for("a healthy Airflow", lambda: None, timeout_seconds=3)


def test_waiting_ends_as_soon_as_it_is_pointless() -> None:
    def watch() -> None:
        raise DemoError("airflow ended by itself.")

    with pytest.raises(DemoError, match="ended by itself"):
        ConditionPoller(watch=watch).wait_for("a thing", lambda: "thing", timeout_seconds=3)
