"""Calls that are answered together: each has its own answer and its own error."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from airflow_provider_pushmetrics.service.runs.batcher import Batcher


class Squares:
    """Answers with squares, one batch at a time, each when it is let go."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.is_let_go = threading.Event()
        self.has_begun = threading.Event()

    def answer_all(self, numbers: Sequence[int]) -> list[int | Exception]:
        self.batches.append(list(numbers))
        self.has_begun.set()
        assert self.is_let_go.wait(10)
        if 13 in numbers:
            raise OSError("disk full")
        return [number**2 if number >= 0 else ValueError(f"{number} is mine") for number in numbers]


@pytest.fixture
def squares() -> Squares:
    return Squares()


@pytest.fixture
def batcher(squares: Squares) -> Iterator[Batcher[int, int]]:
    batcher = Batcher[int, int]("squares", squares.answer_all)
    yield batcher
    squares.is_let_go.set()
    batcher.close()


def test_calls_that_come_meanwhile_are_answered_together(
    batcher: Batcher[int, int], squares: Squares
) -> None:
    first = batcher.submit(1)
    assert squares.has_begun.wait(10)
    others = [batcher.submit(number) for number in (2, 3, 4)]
    squares.is_let_go.set()
    assert [one.result(10) for one in (first, *others)] == [1, 4, 9, 16]
    assert squares.batches == [[1], [2, 3, 4]]


def test_error_of_one_is_its_own(batcher: Batcher[int, int], squares: Squares) -> None:
    first = batcher.submit(0)
    assert squares.has_begun.wait(10)
    bad, good = batcher.submit(-2), batcher.submit(2)
    squares.is_let_go.set()
    assert (first.result(10), good.result(10)) == (0, 4)
    with pytest.raises(ValueError, match="-2 is mine"):
        bad.result(10)


def test_batch_that_fails_is_nobody_s_success_and_the_next_one_is_tried(
    batcher: Batcher[int, int], squares: Squares
) -> None:
    squares.is_let_go.set()
    with pytest.raises(OSError, match="disk full"):
        batcher.submit(13).result(10)
    assert batcher.submit(5).result(10) == 25


def test_call_that_nobody_waits_for_any_more_stops_nobody(
    batcher: Batcher[int, int], squares: Squares
) -> None:
    batcher.submit(0)
    assert squares.has_begun.wait(10)
    gone, other = batcher.submit(2), batcher.submit(3)
    assert gone.cancel()
    squares.is_let_go.set()
    assert other.result(10) == 9


class TornPool(ThreadPoolExecutor):
    """Cannot start its thread the first time, as on a machine that is full."""

    is_torn = True

    def submit(self, *work: Any, **more: Any) -> Future[Any]:
        if self.is_torn:
            self.is_torn = False
            raise RuntimeError("can't start new thread")
        return super().submit(*work, **more)


def test_thread_that_cannot_be_started_fails_its_call_and_no_later_one(squares: Squares) -> None:
    squares.is_let_go.set()
    batcher = Batcher[int, int]("squares", squares.answer_all, pool=TornPool(1))
    with pytest.raises(RuntimeError, match="new thread"):
        batcher.submit(1).result(10)
    assert batcher.submit(6).result(10) == 36
    assert squares.batches == [[6]]
    batcher.close()


def test_closing_answers_who_waits(squares: Squares) -> None:
    batcher = Batcher[int, int]("squares", squares.answer_all)
    squares.is_let_go.set()
    waiting = batcher.submit(6)
    batcher.close()
    assert waiting.result(0) == 36
