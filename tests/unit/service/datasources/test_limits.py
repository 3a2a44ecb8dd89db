"""The limits of a query."""

from __future__ import annotations

import pyarrow as pa

from airflow_provider_pushmetrics.service.datasources.limits import QueryLimits, RowCutter


def make_batches(*sizes: int) -> list[pa.RecordBatch]:
    return [pa.RecordBatch.from_pydict({"n": list(range(size))}) for size in sizes]


def test_block_can_only_narrow_the_limits() -> None:
    limits = QueryLimits(100, 10)
    assert limits.narrow({"limit": 5, "timeout_seconds": 3}) == QueryLimits(5, 3)
    assert limits.narrow({"limit": 500, "timeout_seconds": 30}) == limits
    assert limits.narrow({}) == limits


def test_block_cannot_change_the_limits_of_memory() -> None:
    limits = QueryLimits(max_memory_bytes=7, max_value_bytes=5)
    assert limits.narrow({"max_memory_bytes": 1, "max_value_bytes": 1, "limit": 3}) == QueryLimits(
        3, max_memory_bytes=7, max_value_bytes=5
    )


def test_rows_are_cut_in_the_middle_of_a_batch() -> None:
    cutter = RowCutter(5)
    assert [batch.num_rows for batch in cutter.cut(iter(make_batches(3, 3, 3)))] == [3, 2]
    assert cutter.is_truncated


def test_as_many_rows_as_the_limit_are_not_cut() -> None:
    cutter = RowCutter(6)
    assert [batch.num_rows for batch in cutter.cut(iter(make_batches(3, 3)))] == [3, 3]
    assert not cutter.is_truncated
