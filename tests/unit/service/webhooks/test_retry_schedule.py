"""The schedule of attempts: a table, and what moves a wait away from it."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from airflow_provider_pushmetrics.service.webhooks.retry_schedule import (
    DELIVERY_DELAYS_SECONDS,
    DISABLE_AFTER,
    MAX_DELIVERY_DELAY_SECONDS,
    compute_delay,
    is_given_up,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def keep(low: float, high: float) -> float:
    return (low + high) / 2


def test_there_are_ten_attempts_in_the_specification_s_time() -> None:
    assert len(DELIVERY_DELAYS_SECONDS) == 10
    assert timedelta(seconds=sum(DELIVERY_DELAYS_SECONDS)) == timedelta(hours=75, minutes=35, seconds=5)
    assert compute_delay(10) is None


@pytest.mark.parametrize("made", range(1, 10))
def test_every_wait_is_within_a_fifth_of_the_table(made: int) -> None:
    spread = random.Random(made).uniform
    ratios = [(compute_delay(made, spread=spread) or 0) / DELIVERY_DELAYS_SECONDS[made] for _ in range(500)]
    assert 0.8 <= min(ratios) < 0.85
    assert 1.15 < max(ratios) <= 1.2


def test_endpoint_may_ask_for_more_time_but_not_for_less_nor_for_ever() -> None:
    assert compute_delay(1, 60.0, spread=keep) == 60.0
    assert compute_delay(2, 60.0, spread=keep) == 300.0
    assert compute_delay(1, 1e9, spread=keep) == MAX_DELIVERY_DELAY_SECONDS


def test_endpoint_is_given_up_after_five_days() -> None:
    assert not is_given_up(None, NOW)
    assert not is_given_up(NOW - DISABLE_AFTER + timedelta(seconds=1), NOW)
    assert is_given_up(NOW - timedelta(days=5), NOW)
