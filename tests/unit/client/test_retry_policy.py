from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_pushmetrics.client.retry_policy import (
    MAX_PAUSE_SECONDS,
    RetryPolicy,
)


def take_longest(shortest: float, longest: float) -> float:
    assert 0 <= shortest <= longest
    return longest


def test_waits_double_up_to_the_longest() -> None:
    policy = RetryPolicy(attempts=7, base_seconds=0.5, max_seconds=4.0, choose=take_longest)
    assert [policy.compute_wait(attempt) for attempt in range(1, 8)] == [0.5, 1.0, 2.0, 4.0, 4.0, 4.0, None]


def test_waits_are_spread_over_their_upper_half() -> None:
    shortest = RetryPolicy(choose=lambda low, high: low).compute_wait(1)
    longest = RetryPolicy(choose=lambda low, high: high).compute_wait(1)
    assert (shortest, longest) == (0.25, 0.5)


def test_the_server_decides_the_wait_if_it_asks_for_one() -> None:
    assert RetryPolicy(max_seconds=1.0).compute_wait(1, 17.0) == 17.0


def test_a_server_that_asks_for_too_long_a_wait_ends_the_attempts() -> None:
    assert RetryPolicy().compute_wait(1, MAX_PAUSE_SECONDS) == MAX_PAUSE_SECONDS
    assert RetryPolicy().compute_wait(1, MAX_PAUSE_SECONDS + 1) is None


def test_a_wish_of_the_server_buys_no_further_attempt() -> None:
    assert RetryPolicy(attempts=2).compute_wait(2, 1.0) is None


@given(st.integers(1, 10**9), st.floats(0, 1e9))
def test_a_wait_is_always_finite_and_never_negative(attempt: int, retry_after_seconds: float) -> None:
    policy = RetryPolicy(attempts=10**10, max_seconds=30.0)
    for wait in (policy.compute_wait(attempt), policy.compute_wait(attempt, retry_after_seconds)):
        assert wait is None or 0 <= wait <= MAX_PAUSE_SECONDS
