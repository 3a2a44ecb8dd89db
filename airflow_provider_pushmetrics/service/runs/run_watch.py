"""Waking pages when runs change: one thread for all of them, and only while one waits."""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.service.models import BlockResult, Run, WorkSignal
from airflow_provider_pushmetrics.service.models.workers import WORK_CHANNEL
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.serving.background import UNTIL_WOKEN, BackgroundLoop
from airflow_provider_pushmetrics.serving.commit_signals import (
    ANYTHING,
    RETRY_SECONDS,
    UNWATCHED_SECONDS,
    Changes,
    PollingChanges,
    open_changes,
)

RUN_SIGNAL = "run"
"""The name of the signal of a new run."""

RUN_CHECK_SECONDS = 1.0
"""How often unfinished runs are looked at: only new runs are signaled."""


class PageWaiter:
    """A page that waits; belongs to the running event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._woken = asyncio.Event()
        self.has_ended = False

    def wake(self) -> None:
        """End the current wait, or the next one; called on any thread."""
        try:
            self._loop.call_soon_threadsafe(self._woken.set)
        except RuntimeError:
            return  # the loop is closed

    def end(self) -> None:
        """End the wait, and tell the page to connect again; called on any thread."""
        self.has_ended = True
        self.wake()

    async def wait(self, timeout_seconds: float) -> bool:
        """Wait to be woken; return whether it was."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._woken.wait()
        except TimeoutError:
            return False
        self._woken.clear()
        return True


class RunFigures(NamedTuple):
    """
    What every change of a run changes; the counts are of runs that have not ended.

    :param unclaimed: Those that no worker has claimed.
    :param interrupted: Those of them that had begun.
    :param claimed: Those that a worker has claimed.
    :param running: Those that it has begun.
    """

    last_run_id: int
    last_result_id: int
    unclaimed: int
    interrupted: int
    claimed: int
    running: int

    def count_unfinished(self) -> int:
        """Count the runs that have not ended."""
        return self.unclaimed + self.interrupted + self.claimed + self.running

    def write_version(self) -> str:
        """Write the version of all runs: another one after each change."""
        return hashlib.sha256(repr(tuple(self)).encode()).hexdigest()[:16]


class RunWatch:
    """
    Wakes waiting pages when a run begins, makes progress or ends, whichever process executes it.

    A page is woken once when it begins to wait, so that it misses nothing. While no page waits, the database
    is not asked.

    :param database: The database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._waiters: set[PageWaiter] = set()
        self._is_closed = False
        self._changes: Changes | None = None
        self._seen: RunFigures | None = None
        self._read_at = 0.0
        self._waited_at = 0.0
        self._loop = BackgroundLoop(
            "run-watch", self._watch_once, interval_seconds=0, retry_seconds=RETRY_SECONDS
        )

    def count_waiters(self) -> int:
        with self._lock:
            return len(self._waiters)

    @property
    def version(self) -> str:
        """The version of all runs that was seen last; empty if none was."""
        seen = self._seen
        return "" if seen is None else seen.write_version()

    @contextmanager
    def wait_for_changes(self) -> Iterator[PageWaiter]:
        """Add a page of the running event loop while the block lasts."""
        waiter = PageWaiter()
        with self._lock:
            self._waiters.add(waiter)
            is_known, is_closed = self._seen is not None, self._is_closed
        if is_closed:
            waiter.end()
        elif is_known:
            waiter.wake()  # otherwise the watch wakes it as soon as it has read the database
        try:
            self._loop.wake()
            self._loop.start()
            yield waiter
        finally:
            with self._lock:
                self._waiters.discard(waiter)

    def end_waits(self) -> None:
        """End every wait, now and from now on: the server stops."""
        with self._lock:
            self._is_closed = True
        self._end_all()

    def stop(self) -> bool:
        """Stop watching; return whether the thread has ended."""
        self.end_waits()
        has_ended = self._loop.stop()
        if has_ended:
            self._close()
        return has_ended

    def _watch_once(self) -> float | None:
        if self._is_idle():
            self._close()
            return UNTIL_WOKEN
        try:
            if self._must_read():
                self._read()
        except Exception:
            self._close()
            self._seen = None
            self._end_all()  # the pages then show that the service cannot answer
            raise
        return None

    def _is_idle(self) -> bool:
        """Return whether no page has waited for some time; what was seen is then forgotten."""
        now = time.monotonic()
        with self._lock:
            if self._waiters:
                self._waited_at = now
            elif now - self._waited_at >= UNWATCHED_SECONDS:
                self._seen = None
                return True
        return False

    def _must_read(self) -> bool:
        """Wait for a signal; return whether runs may have changed."""
        if isinstance(self._changes, PollingChanges) and self._changes.is_old():
            self._close()
        if self._changes is None:
            self._changes = open_changes(
                self._database.engine,
                WORK_CHANNEL,
                WorkSignal.__tablename__,
                listen_engine=self._database.listen_engine,
            )
            return True
        names = self._changes.wait(self._loop.stopping)
        if self._seen is None or RUN_SIGNAL in names or ANYTHING in names:
            return True
        return self._has_unfinished() and time.monotonic() - self._read_at >= RUN_CHECK_SECONDS

    def _has_unfinished(self) -> bool:
        return self._seen is not None and self._seen.count_unfinished() > 0

    def _read(self) -> None:
        """Read what every change of a run changes; wake the pages if it is new."""
        self._read_at = time.monotonic()
        with self._database.reading() as session:
            found = read_figures(session)
        if found != self._seen:
            self._seen = found
            self._wake_all()

    def _wake_all(self) -> None:
        for waiter in self._list_waiters():
            waiter.wake()

    def _end_all(self) -> None:
        for waiter in self._list_waiters():
            waiter.end()

    def _list_waiters(self) -> list[PageWaiter]:
        with self._lock:
            return list(self._waiters)

    def _close(self) -> None:
        changes, self._changes = self._changes, None
        if changes is not None:
            changes.close()


def read_figures(session: Session) -> RunFigures:
    """Read what every change of a run changes, in one statement."""
    figures = (
        select(func.max(Run.id)).scalar_subquery(),
        select(func.max(BlockResult.id)).scalar_subquery(),
        # By the indexes of the rows that no worker has claimed, and of those that one has.
        _count_unfinished(Run.worker_id.is_(None), Run.started_on.is_(None)),
        _count_unfinished(Run.worker_id.is_(None), Run.started_on.is_not(None)),
        _count_unfinished(Run.worker_id.is_not(None), Run.started_on.is_(None)),
        _count_unfinished(Run.worker_id.is_not(None), Run.started_on.is_not(None)),
    )
    return RunFigures(*(int(figure or 0) for figure in session.execute(select(*figures)).one()))


def _count_unfinished(*conditions: ColumnElement[bool]) -> ColumnElement[int]:
    return select(func.count()).where(Run.finished_on.is_(None), *conditions).scalar_subquery()
