from __future__ import annotations

import pytest

from airflow_provider_pushmetrics.client.protocol import Call
from airflow_provider_pushmetrics.client.retry_policy import RetryPolicy
from airflow_provider_pushmetrics.client.wait_budget import FailureBackoff, WaitBudget, until
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsAuthError,
    PushMetricsLastLookError,
    PushMetricsUnavailableError,
)
from tests.fakes.scripted import FakeClock, ScriptedDriver

AWAY = PushMetricsUnavailableError("away", status_code=503)


class Polls:
    """A poll that gives what is listed, one after the other, and then the last forever."""

    def __init__(self, *results: int | Exception | None) -> None:
        self.results = list(results)
        self.count = 0

    def __call__(self) -> Call[int | None]:
        result = self.results[min(self.count, len(self.results) - 1)]
        self.count += 1
        if isinstance(result, Exception):
            raise result
        return result
        yield


@pytest.fixture
def driver() -> ScriptedDriver:
    return ScriptedDriver([])


def build_budget(driver: ScriptedDriver, timeout: float | None = 60.0, attempts: int = 30) -> WaitBudget:
    deadline = None if timeout is None else driver.clock() + timeout
    return WaitBudget(deadline, 5.0, RetryPolicy(attempts, 1.0, 1.0, lambda low, high: high), driver.clock)


def test_what_is_left_is_counted_to_the_deadline() -> None:
    clock = FakeClock()
    budget = WaitBudget(clock() + 10, clock=clock)
    clock.advance(4)
    assert budget.compute_remaining() == 6
    clock.advance(20)
    assert budget.compute_remaining() == -14


def test_without_a_deadline_there_is_no_end() -> None:
    assert WaitBudget().compute_remaining() == float("inf")


def test_a_result_ends_the_wait_at_once(driver: ScriptedDriver) -> None:
    assert driver.run(until(build_budget(driver), Polls(7))) == 7
    assert driver.pauses == []


def test_a_falsy_result_is_a_result(driver: ScriptedDriver) -> None:
    assert driver.run(until(build_budget(driver), Polls(0))) == 0


def test_between_polls_there_is_a_pause_unless_the_server_holds_its_answers_back(
    driver: ScriptedDriver,
) -> None:
    assert driver.run(until(build_budget(driver), Polls(None, None, 7))) == 7
    assert driver.pauses == [5.0, 5.0]
    assert driver.run(until(build_budget(driver), Polls(None, None, 7), pauses=False)) == 7
    assert driver.pauses == [5.0, 5.0]


def test_after_the_deadline_there_is_one_more_poll_and_then_no_result(driver: ScriptedDriver) -> None:
    polls = Polls(None)
    assert driver.run(until(build_budget(driver, 12.0), polls)) is None
    assert driver.pauses == [5.0, 5.0, 2.0]
    assert polls.count == 4


def test_a_deadline_in_the_past_polls_once(driver: ScriptedDriver) -> None:
    assert driver.run(until(build_budget(driver, -100.0), Polls(7))) == 7


def test_failures_in_a_row_are_tolerated_up_to_a_number(driver: ScriptedDriver) -> None:
    assert driver.run(until(build_budget(driver, attempts=3), Polls(AWAY, AWAY, None, AWAY, AWAY, 7))) == 7
    with pytest.raises(PushMetricsUnavailableError, match="away"):
        driver.run(until(build_budget(driver, attempts=3), Polls(AWAY)))


def test_a_failure_after_the_deadline_names_its_cause(driver: ScriptedDriver) -> None:
    with pytest.raises(PushMetricsLastLookError, match="away") as caught:
        driver.run(until(build_budget(driver, 2.0), Polls(AWAY)))
    assert caught.value.status_code == 503


def test_a_refusal_is_not_polled_again(driver: ScriptedDriver) -> None:
    polls = Polls(PushMetricsAuthError("refused"), 7)
    with pytest.raises(PushMetricsAuthError):
        driver.run(until(build_budget(driver), polls))
    assert polls.count == 1


def test_a_poll_of_several_requests_may_reset_the_count_itself(driver: ScriptedDriver) -> None:
    budget = build_budget(driver, attempts=2)
    backoff, remaining = FailureBackoff(budget), iter([AWAY] * 5)

    def poll() -> Call[int | None]:
        backoff.reset()
        for error in remaining:
            raise error
        return 7
        yield

    assert driver.run(until(budget, poll, backoff=backoff)) == 7
