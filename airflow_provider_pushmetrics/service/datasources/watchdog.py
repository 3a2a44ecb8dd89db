"""Stopping a query at its timeout, or when its run must not continue."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from airflow_provider_pushmetrics.service.datasources.base import Stopper

WATCH_SECONDS = 0.5
"""How often a running query is checked: the maximum delay of a cancellation."""


@contextmanager
def watch(timeout_seconds: float, find_reason: Callable[[], str | None]) -> Iterator[Stopper]:
    """
    Watch the query in the block, and stop it at its timeout.

    :param find_reason: Returns why it must stop earlier; None if it need not.
    """
    stopper, is_over = Stopper(), threading.Event()
    deadline = time.monotonic() + timeout_seconds

    def poll() -> None:
        while not is_over.wait(min(WATCH_SECONDS, max(deadline - time.monotonic(), 0.01))):
            if time.monotonic() >= deadline:
                stopper.stop(f"the query took longer than {timeout_seconds:g} s and was stopped.")
            elif (reason := find_reason()) is not None:
                stopper.stop(reason)

    watcher = threading.Thread(target=poll, name="query-watch", daemon=True)
    watcher.start()
    try:
        yield stopper
    finally:
        is_over.set()
        watcher.join()
