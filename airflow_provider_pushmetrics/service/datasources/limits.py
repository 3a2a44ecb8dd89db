"""Bounds of a query: how long it may take, how many rows it may give, and stopping it in the middle."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_pushmetrics.service.datasources.base import Stopper

if TYPE_CHECKING:
    import pyarrow as pa

WATCH_SECONDS = 0.5
"""How often a running query is looked at: how late it is stopped when its run was cancelled."""


@dataclass(frozen=True)
class QueryLimits:
    """
    What a query may take.

    :param max_rows: More rows are cut off, and the result says so.
    :param timeout_seconds: A query that takes longer is stopped, and fails.
    """

    max_rows: int = 10_000_000
    timeout_seconds: int = 3600

    def narrow(self, content: Mapping[str, Any]) -> QueryLimits:
        """Take the limits of a block, where they are tighter than these."""
        return QueryLimits(
            min(self.max_rows, content.get("limit") or self.max_rows),
            min(self.timeout_seconds, content.get("timeout_seconds") or self.timeout_seconds),
        )


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
        """Pass the batches on, the last one cut."""
        for batch in batches:
            if batch.num_rows > self._left:
                self.is_truncated = True
                yield batch.slice(0, self._left)
                return
            self._left -= batch.num_rows
            yield batch


@contextmanager
def watch(timeout_seconds: float, find_reason: Callable[[], str | None]) -> Iterator[Stopper]:
    """
    Watch what runs in the block, and stop it when its time is over.

    :param find_reason: Says why it must stop now, whatever the time; None if it need not.
    """
    stopper, is_over = Stopper(), threading.Event()
    deadline = time.monotonic() + timeout_seconds

    def look() -> None:
        while not is_over.wait(min(WATCH_SECONDS, max(deadline - time.monotonic(), 0.01))):
            if time.monotonic() >= deadline:
                stopper.stop(f"the query took longer than {timeout_seconds:g} s and was stopped.")
            elif (reason := find_reason()) is not None:
                stopper.stop(reason)

    watcher = threading.Thread(target=look, name="query-watch", daemon=True)
    watcher.start()
    try:
        yield stopper
    finally:
        is_over.set()
        watcher.join()
