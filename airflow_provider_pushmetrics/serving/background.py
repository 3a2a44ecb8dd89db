"""Background threads that run a function periodically."""

from __future__ import annotations

import logging
import math
import queue
import threading
import traceback
from collections.abc import Callable

from sqlalchemy.exc import SQLAlchemyError

from airflow_provider_pushmetrics.serving.logs import ThrottledLog

INTERVAL_SECONDS = 1.0
"""The maximum delay of due work."""

STOP_SECONDS = 5.0
"""How long to wait for the running call when stopping."""

REUSE_SECONDS = 10.0
"""How long a thread waits for the next call."""

UNTIL_WOKEN = math.inf
"""Returned by a loop that waits until it is woken."""

log = logging.getLogger(__name__)


class BackgroundLoop:
    """
    A thread that calls a function until it is stopped, whatever the function raises.

    A failure is logged once a minute, without the values in an error of SQLAlchemy or ours.

    :param name: The name of the thread, and of its work in the log.
    :param run_once: Does the work once, and returns the seconds until the next call; None for the interval.
    :param interval_seconds: The time between two calls.
    :param starts_at_once: Whether the first call is at the start instead of after an interval.
    :param pause_seconds: The minimum time between two calls, however often the loop is woken.
    :param retry_seconds: The time after a failure; None for the interval.
    :param runs_at_end: Whether there is a last call when the loop is stopped.
    :param stopping: Set when the loop is stopped; a long call checks it.
    :param awake: Set to end a wait.
    """

    def __init__(
        self,
        name: str,
        run_once: Callable[[], float | None],
        *,
        interval_seconds: float = INTERVAL_SECONDS,
        starts_at_once: bool = False,
        pause_seconds: float = 0.0,
        retry_seconds: float | None = None,
        runs_at_end: bool = False,
        stopping: threading.Event | None = None,
        awake: threading.Event | None = None,
    ) -> None:
        self._name = name
        self._run_once = run_once
        self._interval_seconds = interval_seconds
        self._first_seconds = 0.0 if starts_at_once else interval_seconds
        self._pause_seconds = pause_seconds
        self._retry_seconds = interval_seconds if retry_seconds is None else retry_seconds
        self._runs_at_end = runs_at_end
        self.stopping = stopping or threading.Event()
        self._awake = awake or threading.Event()
        self._log = ThrottledLog(log)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """
        Start the thread, unless it was started or the loop is stopped.

        :raises RuntimeError: if the system cannot start another thread; a later call tries again.
        """
        with self._lock:
            if self._thread is None and not self.stopping.is_set():
                thread = threading.Thread(target=self.run, name=self._name, daemon=True)
                thread.start()
                self._thread = thread

    def wake(self) -> None:
        """Call the function now, or again after the running call."""
        self._awake.set()

    def request_stop(self) -> None:
        """Ask the loop to end after the running call, without waiting for it."""
        self.stopping.set()
        self._awake.set()

    def stop(self, timeout_seconds: float = STOP_SECONDS) -> bool:
        """
        Stop, and wait for the running call.

        :return: Whether the thread has ended.
        """
        self.request_stop()
        with self._lock:
            thread = self._thread
        if thread is None:
            return True
        thread.join(timeout_seconds)
        return not thread.is_alive()

    def run(self) -> None:
        """Call the function until the loop is stopped; runs in the thread."""
        self._wait(self._first_seconds)
        while not self.stopping.is_set():
            seconds = self._run_safely()
            if seconds is None:  # waking does not shorten the delay after a failure
                self.stopping.wait(self._retry_seconds)
                continue
            if self._pause_seconds:
                self.stopping.wait(self._pause_seconds)
            self._wait(seconds)
        if self._runs_at_end:
            self._run_safely()

    def _wait(self, seconds: float) -> None:
        if seconds > 0 and not self.stopping.is_set():
            self._awake.wait(None if seconds == UNTIL_WOKEN else seconds)
        self._awake.clear()

    def _run_safely(self) -> float | None:
        """Call the function; None if it failed."""
        try:
            seconds = self._run_once()
        except SQLAlchemyError as error:
            # Only the driver's message: SQLAlchemy's own contains the values.
            reason = getattr(error, "orig", None) or type(error).__name__
            self._log.warning("%s failed, retrying: %s", self._name, reason)
            return None
        except Exception as error:  # without this handler the thread would end
            where = "".join(traceback.format_tb(error.__traceback__)).rstrip()
            self._log.error("%s failed, retrying: %s\n%s", self._name, type(error).__name__, where)
            return None
        return self._interval_seconds if seconds is None else seconds


class ReusedThreads:
    """
    Calls functions in threads, each of which then waits for another one: to start a thread takes longer.

    They do not keep their process alive.

    :param name: The name of the threads.
    """

    def __init__(self, name: str, *, idle_seconds: float = REUSE_SECONDS) -> None:
        self._name = name
        self._idle_seconds = idle_seconds
        self._lock = threading.Lock()
        self._free = 0  # the threads that wait, without those that have a call
        self._calls: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()

    def start(self, call: Callable[[], object]) -> None:
        """
        Call a function in a thread that is free, or in a new one.

        :param call: Must not raise: its thread would end.
        :raises RuntimeError: if the system cannot start another thread.
        """
        with self._lock:
            if self._free:
                self._free -= 1
                self._calls.put(call)
                return
        threading.Thread(target=self._run, args=(call,), name=self._name, daemon=True).start()

    def _run(self, first: Callable[[], object]) -> None:
        call: Callable[[], object] | None = first
        while call is not None:
            call()
            with self._lock:
                self._free += 1
            call = self._wait()

    def _wait(self) -> Callable[[], object] | None:
        """Wait for the next call; None if the thread is to end."""
        try:
            return self._calls.get(timeout=self._idle_seconds)
        except queue.Empty:
            with self._lock:
                if self._free:
                    self._free -= 1
                    return None
        return self._calls.get()  # it was given one just now
