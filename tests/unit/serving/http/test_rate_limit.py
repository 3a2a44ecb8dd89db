"""How often something may be done."""

from __future__ import annotations

import pytest
from starlette.exceptions import HTTPException

from airflow_provider_pushmetrics.serving.http import rate_limit
from airflow_provider_pushmetrics.serving.http.rate_limit import RateLimit
from tests.fakes.clock import Clock


def test_so_many_times_a_minute_and_then_as_they_come_back() -> None:
    clock = Clock()
    limit = RateLimit(6, clock=clock)
    assert [limit.acquire("a") for _ in range(6)] == [0.0] * 6
    assert limit.acquire("a") == pytest.approx(10.0)
    clock.now += 10
    assert limit.acquire("a") == 0.0
    assert limit.acquire("a") == pytest.approx(10.0)


def test_callers_are_counted_apart() -> None:
    limit = RateLimit(1, clock=Clock())
    assert limit.acquire("a") == limit.acquire("b") == 0.0
    assert limit.acquire("a") > 0


def test_nothing_is_counted_without_a_limit() -> None:
    limit = RateLimit(0)
    assert {limit.acquire("a") for _ in range(1000)} == {0.0}


def test_answer_says_when_to_try_again_in_whole_seconds() -> None:
    clock = Clock()
    limit = RateLimit(7, clock=clock)
    for _ in range(7):
        limit.check("a")
    with pytest.raises(HTTPException) as caught:
        limit.check("a")
    assert (caught.value.status_code, caught.value.headers) == (429, {"Retry-After": "9"})


def test_memory_does_not_grow_with_the_number_of_callers() -> None:
    limit = RateLimit(1, clock=Clock())
    for number in range(rate_limit.MAX_CALLERS + 100):
        limit.acquire(str(number))
    assert len(limit._buckets) == rate_limit.MAX_CALLERS
