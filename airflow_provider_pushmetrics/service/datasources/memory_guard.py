"""
Keeps the memory of a worker under its limit.

Each query has its own limits, which its driver enforces. This guard is for the rest: many concurrent queries,
and drivers that use more than they report. Above three fifths of the limit it stops the
newest query, so that the older ones can end. Above the limit it kills the child process that uses the most,
whose query fails. Only a process that exceeds the limit by itself is ended, before the system ends others:
the runs continue in the next one, and a run that costs three workers fails.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from airflow_provider_pushmetrics.service.bounded_processes.limits import PAGE_BYTES, read_memory
from airflow_provider_pushmetrics.service.bounded_processes.pool import ChildPool
from airflow_provider_pushmetrics.service.datasources.base import Stopper
from airflow_provider_pushmetrics.serving.background import BackgroundLoop

CHECK_SECONDS = 0.05
"""How often the memory is checked."""

REST_SECONDS = 1.0
"""The interval while no query runs. The next one ends it."""

PAUSE_SECONDS = 1.0
"""The time for a stopped query to release its memory, before another is stopped."""

IDLE_SECONDS = 30.0
"""A worker without queries for this long that still uses too much memory is replaced."""

STOP_SHARE = 0.6
"""A single call can allocate a gigabyte before it is stopped: the rest of the limit is reserved for that."""

REASON = "the worker's memory is used up: let the query return less, or run fewer at the same time."
"""The error of a stopped query."""

KILLED = 128 + signal.SIGKILL
"""The exit code of a process that exceeded its memory, as if the system had killed it."""

CGROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
"""The files with the limit of a container: of version 2, and of version 1."""

log = logging.getLogger(__name__)


def find_machine_memory(limits: Iterable[Path] = CGROUP_LIMITS) -> int:
    """
    Find how many bytes of memory this machine, or its container, has.

    :param limits: Where the container's limit may be.
    """
    total = os.sysconf("SC_PHYS_PAGES") * PAGE_BYTES
    for path in limits:
        with suppress(OSError, ValueError):  # the other version, or no limit
            total = min(total, int(path.read_text("ascii")))
    return total


def release_unused() -> None:
    """Return free memory to the system that allocators keep."""
    import pyarrow as pa

    pa.default_memory_pool().release_unused()
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def end_process() -> None:
    """
    End this process at once; its work is taken over as after any crash.

    Not by a signal: the first process of a container ignores its own SIGKILL (pid_namespaces(7)).
    """
    os._exit(KILLED)


class RunningQueries:
    """The running queries of this process, the newest last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stoppers: list[Stopper] = []
        self.has_begun = threading.Event()
        """Set when a query begins."""

    @contextmanager
    def hold(self, stopper: Stopper) -> Iterator[None]:
        """Register a query while the block lasts."""
        with self._lock:
            self._stoppers.append(stopper)
        self.has_begun.set()
        try:
            yield
        finally:
            with self._lock:
                self._stoppers.remove(stopper)

    def is_any(self) -> bool:
        with self._lock:
            return bool(self._stoppers)

    def stop_newest(self, reason: str) -> bool:
        """Stop the newest query that is not stopped yet; return whether there was one."""
        with self._lock:
            stopper = next((one for one in reversed(self._stoppers) if one.reason is None), None)
        if stopper is None:
            return False
        stopper.stop(reason)
        return True


class MemoryGuard:
    """
    Watches the memory of this process and its children in a background thread.

    :param limit_bytes: The limit for all of them together.
    :param queries: The queries that can be stopped.
    :param children: The child processes of queries.
    """

    def __init__(
        self,
        limit_bytes: int,
        queries: RunningQueries,
        children: ChildPool,
        *,
        read: Callable[[], int] = read_memory,
        release: Callable[[], None] = release_unused,
        end: Callable[[], None] = end_process,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit_bytes = limit_bytes
        self._stop_bytes = int(limit_bytes * STOP_SHARE)
        self._queries = queries
        self._children = children
        self._read = read
        self._release = release
        self._end = end
        self._monotonic = monotonic
        self._paused_until = 0.0
        self._idle_since: float | None = None
        self._loop = BackgroundLoop(
            "memory-guard", self._check, pause_seconds=CHECK_SECONDS, awake=queries.has_begun
        )

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        self._loop.stop()

    def _check(self) -> float:
        self.check()
        return 0.0 if self._queries.is_any() else REST_SECONDS

    def check(self) -> None:
        """Check the memory once, and stop queries or processes if necessary."""
        own, now = self._read(), self._monotonic()
        used = own + self._children.read_memory()
        if own > self._limit_bytes:
            log.error("the worker uses %d MiB, its limit is %d MiB: ending it", *self._as_mib(own))
            self._end()
        elif used > self._limit_bytes:
            log.error("the worker and its children use %d MiB of %d MiB", *self._as_mib(used))
            self._children.kill_largest(REASON)
        elif used <= self._stop_bytes:
            self._idle_since = None
        elif now >= self._paused_until:
            self._paused_until = now + PAUSE_SECONDS
            self._release()
            self._children.close_idle()
            if self._read() + self._children.read_memory() > self._stop_bytes:
                self._relieve(used, now)

    def _relieve(self, used: int, now: float) -> None:
        if self._queries.stop_newest(REASON):
            log.warning("stopped a query: the worker uses %d MiB of %d MiB", *self._as_mib(used))
        if self._queries.is_any():
            self._idle_since = None
            return
        self._idle_since = now if self._idle_since is None else self._idle_since
        if now - self._idle_since >= IDLE_SECONDS:
            log.error("the idle worker keeps %d MiB of %d MiB: replacing it", *self._as_mib(used))
            self._end()

    def _as_mib(self, used: int) -> tuple[int, int]:
        return used // 2**20, self._limit_bytes // 2**20
