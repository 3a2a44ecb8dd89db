from __future__ import annotations

import pytest

from airflow_provider_pushmetrics.client.models import TriggeredRun
from airflow_provider_pushmetrics.client.retry_policy import MAX_PAUSE_SECONDS, RetryPolicy
from airflow_provider_pushmetrics.exceptions import PushMetricsDeliveryUnknownError
from airflow_provider_pushmetrics.operators.run_starter import mark_replay, wait_to_repeat
from tests.fakes.scripted import ScriptedDriver


@pytest.mark.parametrize(
    ("run_id", "newest_before", "was_replayed"),
    [(7, 7, True), (3, 7, True), (8, 7, False), (7, None, False), (None, 7, False), (1, 0, False)],
)
def test_a_run_that_was_there_before_the_call_is_a_replay(
    run_id: int | None, newest_before: int | None, was_replayed: bool
) -> None:
    assert mark_replay(TriggeredRun(run_id=run_id), newest_before).was_replayed is was_replayed
    assert mark_replay(TriggeredRun(run_id=run_id, was_replayed=True), newest_before).was_replayed


@pytest.mark.parametrize(("retry_after", "pause"), [(30.0, 30.0), (0.0, 0.0), (None, 0.5)])
def test_call_is_repeated_after_the_time_that_the_server_asks_for_or_else_after_a_short_one(
    retry_after: float | None, pause: float
) -> None:
    driver = ScriptedDriver([])
    policy = RetryPolicy(choose=lambda low, high: high)
    error = PushMetricsDeliveryUnknownError("no answer", retry_after_seconds=retry_after)
    driver.run(wait_to_repeat(error, policy))
    assert driver.pauses == [pause]


def test_call_is_not_repeated_if_the_server_asks_to_wait_for_too_long() -> None:
    error = PushMetricsDeliveryUnknownError("no answer", retry_after_seconds=MAX_PAUSE_SECONDS + 1)
    with pytest.raises(PushMetricsDeliveryUnknownError, match="no answer"):
        ScriptedDriver([]).run(wait_to_repeat(error))
