"""The bounds of a query."""

from __future__ import annotations

import threading

import pyarrow as pa

from airflow_provider_pushmetrics.service.datasources.base import Stopper
from airflow_provider_pushmetrics.service.datasources.limits import QueryLimits, RowCutter, watch


def make_batches(*sizes: int) -> list[pa.RecordBatch]:
    return [pa.RecordBatch.from_pydict({"n": list(range(size))}) for size in sizes]


def test_block_can_only_narrow_the_limits() -> None:
    limits = QueryLimits(100, 10)
    assert limits.narrow({"limit": 5, "timeout_seconds": 3}) == QueryLimits(5, 3)
    assert limits.narrow({"limit": 500, "timeout_seconds": 30}) == limits
    assert limits.narrow({}) == limits


def test_rows_are_cut_in_the_middle_of_a_batch() -> None:
    cutter = RowCutter(5)
    assert [batch.num_rows for batch in cutter.cut(iter(make_batches(3, 3, 3)))] == [3, 2]
    assert cutter.is_truncated


def test_as_many_rows_as_the_limit_are_not_cut() -> None:
    cutter = RowCutter(6)
    assert [batch.num_rows for batch in cutter.cut(iter(make_batches(3, 3)))] == [3, 3]
    assert not cutter.is_truncated


def test_query_is_interrupted_for_the_first_reason_and_not_after_its_end() -> None:
    stopper, calls = Stopper(), list[int]()
    stopper.register(lambda: calls.append(1))
    stopper.stop("first")
    stopper.stop("second")
    stopper.register(None)
    stopper.stop("third")
    assert (stopper.reason, calls) == ("first", [1, 1])


def test_watch_stops_what_takes_too_long() -> None:
    interrupted = threading.Event()
    with watch(0.01, lambda: None) as stopper:
        stopper.register(interrupted.set)
        assert interrupted.wait(10)
    assert stopper.reason == "the query took longer than 0.01 s and was stopped."
