"""Stopping a query at its timeout, or when its run must not continue."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from airflow_provider_pushmetrics.service.datasources.base import Stopper
from airflow_provider_pushmetrics.serving.logs import ThrottledLog, describe_fault

WATCH_SECONDS = 0.5
"""How often a running query is checked: the maximum delay of a cancellation."""

LONGEST_TIMER_SECONDS = 3600.0
"""The system cannot wait for as long as a timeout may be."""

START_PAUSE_SECONDS = 0.1
"""The minimum time between two looks for queries that still run."""

log = logging.getLogger(__name__)
failures = ThrottledLog(log)
interrupt_failures = ThrottledLog(log)


class Watch:
    """
    What stops one query: two threads of its own, since a check may take longer than the query may.

    :param find_reason: Returns why it must stop before its timeout; None if it need not.
    """

    def __init__(self, timeout_seconds: float, find_reason: Callable[[], str | None]) -> None:
        self.stopper = Stopper()
        self.began = time.monotonic()
        self._timeout_seconds = timeout_seconds
        self._find_reason = find_reason
        self._is_over = threading.Event()
        self._lock = threading.Lock()
        self._started: list[threading.Thread] = []

    def start(self) -> None:
        """
        Check the query from now on, unless it is over.

        :raises RuntimeError: if the system cannot start another thread.
        """
        with self._lock:
            for target in (self._watch_time, self._ask)[len(self._started) :]:
                if not self._is_over.is_set():
                    thread = threading.Thread(target=target, name="query-watch", daemon=True)
                    thread.start()
                    self._started.append(thread)

    def end(self) -> None:
        """End the checks, and wait for one that is stopping the query. One that asks has no more effect."""
        self._is_over.set()
        with self._lock:
            pass

    def _watch_time(self) -> None:
        deadline = self.began + self._timeout_seconds
        seconds = deadline - time.monotonic()
        while not self._is_over.wait(min(max(0.0, seconds), LONGEST_TIMER_SECONDS)):
            if time.monotonic() >= deadline:
                self._stop(f"the query took longer than {self._timeout_seconds:g} s and was stopped.")
            seconds = max(WATCH_SECONDS, deadline - time.monotonic())

    def _ask(self) -> None:
        seconds = self.began + WATCH_SECONDS - time.monotonic()
        while not self._is_over.wait(max(0.0, seconds)):
            reason = _try_to_find(self._find_reason)
            if reason is not None:
                self._stop(reason)
            seconds = WATCH_SECONDS

    def _stop(self, reason: str) -> None:
        """Stop the query, unless it is over; if the driver fails to, the next check tries again."""
        try:
            with self._lock:
                if not self._is_over.is_set():
                    self.stopper.stop(reason)
        except Exception as error:  # without this handler the watch would end
            interrupt_failures.error("cannot interrupt a query: %s", describe_fault(error))


class WatchStarter:
    """Starts to check the queries that still run after a moment. Most have ended, and cost no thread."""

    def __init__(self) -> None:
        self._has_more = threading.Condition()
        self._waiting: deque[Watch] = deque()
        self._thread: threading.Thread | None = None
        self._log = ThrottledLog(log)

    def add(self, watch: Watch) -> None:
        """
        Start to check a query in a moment.

        :raises RuntimeError: if the system cannot start another thread.
        """
        with self._has_more:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="watch-starter", daemon=True)
                thread.start()
                self._thread = thread
            self._waiting.append(watch)
            self._has_more.notify()

    def _run(self) -> None:
        while True:
            with self._has_more:
                self._has_more.wait_for(lambda: self._waiting)
                due = self._waiting[0].began + WATCH_SECONDS
            time.sleep(max(due - time.monotonic(), START_PAUSE_SECONDS))
            self._start_due()

    def _start_due(self) -> None:
        while self._waiting and self._waiting[0].began + WATCH_SECONDS <= time.monotonic():
            try:
                self._waiting[0].start()
            except RuntimeError as error:  # there can be no more threads now
                self._log.warning("a query cannot be watched yet: %s", error)
                return
            self._waiting.popleft()


WATCHES = WatchStarter()


@contextmanager
def watch(timeout_seconds: float, find_reason: Callable[[], str | None]) -> Iterator[Stopper]:
    """
    Watch the query in the block, and stop it at its timeout.

    :param find_reason: Returns why it must stop earlier; None if it need not.
    """
    watching = Watch(timeout_seconds, find_reason)
    if timeout_seconds <= WATCH_SECONDS:
        watching.start()
    else:
        WATCHES.add(watching)
    try:
        yield watching.stopper
    finally:
        watching.end()


def _try_to_find(find_reason: Callable[[], str | None]) -> str | None:
    """Return why a query must stop; None if that cannot be found out now: its timeout is still watched."""
    try:
        return find_reason()
    except Exception as error:  # without this handler the watch would end
        failures.error("cannot check whether a query must stop: %s", describe_fault(error))
        return None
