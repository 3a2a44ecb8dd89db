"""Many calls answered by one: a database takes a hundred rows in hardly more time than one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Call = TypeVar("Call")
Answer = TypeVar("Answer")


class Batcher(Generic[Call, Answer]):
    """
    Answers the calls that wait together, from a thread of its own, while the next ones gather.

    :param name: Names the thread.
    :param answer_all: Gives an answer for each of some calls, in their order; an exception is raised where
        that call waits. One that it raises is the answer to all of them.
    :param pool: The one thread; made here, unless given.
    """

    def __init__(
        self,
        name: str,
        answer_all: Callable[[Sequence[Call]], Sequence[Answer | Exception]],
        *,
        pool: ThreadPoolExecutor | None = None,
    ) -> None:
        self._answer_all = answer_all
        self._lock = threading.Lock()
        self._waiting: list[tuple[Call, Future[Answer]]] = []
        self._thread = pool or ThreadPoolExecutor(1, thread_name_prefix=name)

    def submit(self, call: Call) -> Future[Answer]:
        """Let a call wait for the next batch."""
        future: Future[Answer] = Future()
        with self._lock:
            is_first = not self._waiting
            self._waiting.append((call, future))
        if is_first:  # the others go with it
            try:
                self._thread.submit(self._work)
            except RuntimeError as error:  # no thread to be had, or closed: nobody would come for them
                self._fail(self._take(), error)
        return future

    def close(self) -> None:
        """Answer what waits, and end."""
        self._thread.shutdown()

    def _work(self) -> None:
        batch = self._take()
        if not batch:
            return  # they failed when the thread could not be started
        try:
            answers = self._answer_all([call for call, _ in batch])
        except BaseException as error:
            self._fail(batch, error)
            return
        for (_, future), answer in zip(batch, answers, strict=True):
            _resolve(future, answer)

    def _take(self) -> list[tuple[Call, Future[Answer]]]:
        with self._lock:
            batch, self._waiting = self._waiting, []
        return batch

    def _fail(self, batch: Sequence[tuple[Call, Future[Answer]]], error: BaseException) -> None:
        for _, future in batch:
            _resolve(future, error)


def _resolve(future: Future[Answer], answer: Answer | BaseException) -> None:
    if not future.set_running_or_notify_cancel():
        return  # nobody waits for it any more
    if isinstance(answer, BaseException):
        future.set_exception(answer)
    else:
        future.set_result(answer)
