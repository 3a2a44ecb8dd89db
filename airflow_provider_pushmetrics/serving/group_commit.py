"""
Group commit: items submitted during a commit share the next transaction.

A commit waits for the disk. Sixteen items in one transaction wait for it once.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from airflow_provider_pushmetrics.serving.logs import ThrottledLog, describe_fault

MAX_BATCH = 256
"""The maximum number of items in a transaction."""

Item = TypeVar("Item")
Result = TypeVar("Result")

StartThread = Callable[[str, Callable[[], None]], threading.Thread]

log = logging.getLogger(__name__)


def start_daemon(name: str, run: Callable[[], None]) -> threading.Thread:
    """
    Start a thread that does not keep its process alive.

    A process may end without closing a group. The lost items were not acknowledged.

    :raises RuntimeError: if the system cannot start another thread.
    """
    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    return thread


@dataclass(slots=True, eq=False)
class _Request(Generic[Item, Result]):
    item: Item
    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[Result]


class Batch(list[Item], Generic[Item, Result]):
    """
    The items of a transaction.

    :param waiting: The requests that wait; the first is waited for, and None is the end of them.
    """

    def __init__(self, waiting: queue.SimpleQueue[_Request[Item, Result] | None]) -> None:
        super().__init__()
        self._waiting = waiting
        self.requests: list[_Request[Item, Result]] = []
        self.is_last = False
        self._add(waiting.get())
        self.fill()

    def fill(self) -> None:
        """
        Add the items that wait now.

        For a transaction that has waited for a lock: what was submitted meanwhile needs no other.
        """
        while len(self) < MAX_BATCH and not self.is_last:
            try:
                self._add(self._waiting.get_nowait())
            except queue.Empty:
                return

    def _add(self, request: _Request[Item, Result] | None) -> None:
        if request is None:
            self.is_last = True
        elif not request.answer.done():  # otherwise its task was cancelled
            self.requests.append(request)
            self.append(request.item)


class GroupCommit(Generic[Item, Result]):
    """
    Commits items of any event loop in groups, in its own thread, which starts with the first item.

    :param name: The name of the thread.
    :param commit: Commits a batch in one transaction, and returns the result of each item in their order: an
        exception is raised where that item was submitted. An exception that it raises is the result of all of
        them.
    :param after: Called in the thread with the results of a transaction, after they were delivered.
    """

    def __init__(
        self,
        name: str,
        commit: Callable[[Batch[Item, Result]], Sequence[Result | Exception]],
        *,
        after: Callable[[Sequence[Result | Exception]], None] | None = None,
        start_thread: StartThread = start_daemon,
    ) -> None:
        self._name = name
        self._commit = commit
        self._after = after
        self._start_thread = start_thread
        self._lock = threading.Lock()
        self._queue: queue.SimpleQueue[_Request[Item, Result] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._is_closed = False
        self._log = ThrottledLog(log)

    async def submit(self, item: Item) -> Result:
        """
        Submit an item, and return its result when it is committed.

        An item whose task is cancelled before its transaction begins is not committed.

        :raises RuntimeError: if the group is closed, or its thread cannot be started.
        """
        loop = asyncio.get_running_loop()
        request: _Request[Item, Result] = _Request(item, loop, loop.create_future())
        with self._lock:  # nothing is added after the end marker of the queue
            if self._is_closed:
                raise RuntimeError(f"{self._name} is closed and accepts nothing.")
            if self._thread is None or not self._thread.is_alive():
                self._thread = self._start_thread(self._name, self._run)
            self._queue.put(request)
        return await request.answer

    def count_waiting(self) -> int:
        """Count the items whose transaction has not begun."""
        return self._queue.qsize()

    def close(self) -> None:
        """Commit the submitted items, then stop."""
        with self._lock:
            self._is_closed = True
            self._queue.put(None)
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        is_last = False
        while not is_last:
            batch = Batch[Item, Result](self._queue)
            try:
                if batch:
                    self._commit_batch(batch)
            except Exception as error:  # without this handler the thread would end
                self._log.error("%s cannot answer: %s", self._name, describe_fault(error))
            is_last = batch.is_last

    def _commit_batch(self, batch: Batch[Item, Result]) -> None:
        results = self._get_results(batch)
        try:
            _answer(zip(batch.requests, results, strict=True))
        except MemoryError:  # those that have their answer keep it
            _answer(zip(batch.requests, results, strict=True))
        if self._after is not None:
            try:
                self._after(results)
            except Exception as error:  # without this handler the thread would end
                self._log.error("%s failed after a commit: %s", self._name, describe_fault(error))

    def _get_results(self, items: Batch[Item, Result]) -> Sequence[Result | Exception]:
        try:
            results = self._commit(items)
            if len(results) != len(items):
                raise RuntimeError(f"{self._name} returned {len(results)} results for {len(items)} items.")
            return results
        except Exception as error:
            return [error] * len(items)
        except BaseException as error:  # raised here, it would end the thread and the server
            return [RuntimeError(f"{self._name} was interrupted: {type(error).__name__}.")] * len(items)


def _answer(answered: Iterable[tuple[_Request[Item, Result], Result | Exception]]) -> None:
    """Resolve all requests of one loop by one call to it."""
    by_loop = defaultdict(list)
    for request, result in answered:
        by_loop[request.loop].append((request.answer, result))
    for loop, answers in by_loop.items():
        try:
            loop.call_soon_threadsafe(_resolve, answers)
        except RuntimeError:
            continue  # the loop is closed; the commit remains


def _resolve(answers: Sequence[tuple[asyncio.Future[Result], Result | Exception]]) -> None:
    for answer, result in answers:
        if answer.done():  # its task was cancelled
            continue
        if isinstance(result, Exception):
            answer.set_exception(result)
        else:
            answer.set_result(result)
