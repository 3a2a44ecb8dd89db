"""Threads that do one thing again and again."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from airflow_provider_pushmetrics.service.storage.database import is_unavailable
from airflow_provider_pushmetrics.serving.logs import ThrottledLog

INTERVAL_SECONDS = 1.0
"""How late something that is due may be."""

STOP_SECONDS = 5.0
"""How long stopping waits for servers of others."""

log = logging.getLogger(__name__)


class BackgroundLoop:
    """
    A thread that calls a function until it is stopped, whatever the function raises.

    :param name: The name of the thread, and of the work in the log.
    :param run_once: What is done each time.
    """

    def __init__(self, name: str, run_once: Callable[[], object]) -> None:
        self._name = name
        self._run_once = run_once
        self._log = ThrottledLog(log)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.stopping = threading.Event()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def join(self, timeout_seconds: float) -> bool:
        """Wait for the thread to end; tell whether it has."""
        if self._thread.is_alive():
            self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self.stopping.wait(INTERVAL_SECONDS):
            try:
                self._run_once()
            except Exception as error:
                # A database that is away comes back, and this thread must be there then.
                self._log.warning("%s failed, trying again: %s", self._name, error)


def stop_loops(loops: Iterable[BackgroundLoop], timeout_seconds: float = STOP_SECONDS) -> bool:
    """
    Stop all loops at once.

    :param timeout_seconds: How long to wait for what they are doing.
    :return: Whether all have ended.
    """
    loops = list(loops)
    for loop in loops:
        loop.stopping.set()
    deadline = time.monotonic() + timeout_seconds
    return all([loop.join(max(deadline - time.monotonic(), 0)) for loop in loops])


@contextmanager
def log_failure(task: str) -> Iterator[None]:
    """Log what goes wrong in the block, and go on, unless the database is away: all else needs it too."""
    try:
        yield
    except Exception as error:
        if is_unavailable(error):
            raise
        log.exception("cannot %s", task)
