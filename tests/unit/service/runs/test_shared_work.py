"""Blocks of a wave at the same time, as far as there are threads."""

from __future__ import annotations

import threading
from contextvars import ContextVar

import pytest

from airflow_provider_pushmetrics.service.runs.execution.shared_work import work_together
from tests.fakes.threads import run_out_of_threads

NAME: ContextVar[str] = ContextVar("NAME")


def test_items_are_worked_on_at_the_same_time_and_their_results_are_in_order() -> None:
    NAME.set("a run")
    barrier = threading.Barrier(3)

    def work(number: int) -> tuple[int, str]:
        barrier.wait(120)
        return number, NAME.get()

    assert work_together(work, range(6), 3) == [(number, "a run") for number in range(6)]


def test_one_thread_does_all_where_no_other_can_be_started() -> None:
    with run_out_of_threads():
        assert work_together(lambda number: (number, threading.get_ident()), range(4), 4) == [
            (number, threading.get_ident()) for number in range(4)
        ]


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_first_error_is_raised_when_what_has_begun_has_ended(error: BaseException) -> None:
    barrier, done = threading.Barrier(2), list[int]()

    def work(number: int) -> None:
        if number < 2:
            barrier.wait(120)
        if number == 0:
            raise error
        done.append(number)

    with pytest.raises(type(error)):
        work_together(work, range(9), 2)
    assert 1 in done
    assert work_together(work, [], 2) == []
