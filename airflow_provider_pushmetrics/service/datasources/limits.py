"""Limits of a query: rows, time and memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

MIB = 1024 * 1024


@dataclass(frozen=True)
class QueryLimits:
    """
    The limits of a query.

    :param max_rows: More rows are dropped, and the result is marked as truncated.
    :param timeout_seconds: A query that takes longer is stopped, and fails.
    :param max_memory_bytes: The memory for the rows and intermediate results of a query in the worker.
    :param max_value_bytes: The size of a single value. A query that returns a larger one fails.
    """

    max_rows: int = 10_000_000
    timeout_seconds: int = 3600
    max_memory_bytes: int = 512 * MIB
    max_value_bytes: int = 16 * MIB

    def narrow(self, content: Mapping[str, Any]) -> QueryLimits:
        """Reduce the limits to those of a block."""
        return replace(
            self,
            max_rows=min(self.max_rows, content.get("limit") or self.max_rows),
            timeout_seconds=min(self.timeout_seconds, content.get("timeout_seconds") or self.timeout_seconds),
        )


DEFAULT_LIMITS = QueryLimits()


def take_rows(batches: Iterator[pa.RecordBatch], max_rows: int) -> Iterator[pa.RecordBatch]:
    """Pass batches on up to a number of rows; the source is not asked for more."""
    for batch in batches:
        yield batch.slice(0, max_rows)
        max_rows -= batch.num_rows
        if max_rows <= 0:
            return


class RowCutter:
    """
    Passes rows on up to a limit.

    :param max_rows: The limit.
    """

    def __init__(self, max_rows: int) -> None:
        self._left = max_rows
        self.is_truncated = False
        """Whether there were more."""

    def cut(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Pass the batches on, the last one truncated."""
        for batch in batches:
            if batch.num_rows > self._left:
                self.is_truncated = True
                yield batch.slice(0, self._left)
                return
            self._left -= batch.num_rows
            yield batch
            del batch  # not kept while the next one is read
