"""Work of one thread that others help with, as far as the system can start others."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import Context, copy_context
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class _SharedWork(Generic[Item, Result]):
    """The items that nobody has taken, the results, and the errors by their items."""

    def __init__(self, function: Callable[[Item], Result], items: Sequence[Item]) -> None:
        self._function = function
        # Of the span and the log.
        self._waiting: deque[tuple[int, Item, Context]] = deque(
            (number, item, copy_context()) for number, item in enumerate(items)
        )
        self.results: dict[int, Result] = {}
        self.errors: dict[int, BaseException] = {}

    def do(self) -> None:
        """Take items until there is none, or one has failed."""
        while True:
            try:
                number, item, context = self._waiting.popleft()
            except IndexError:
                return
            try:
                self.results[number] = context.run(self._function, item)
            except BaseException as error:  # raised in the thread whose work it is
                self.errors[number] = error
                self._waiting.clear()


def work_together(function: Callable[[Item], Result], items: Sequence[Item], places: int) -> list[Result]:
    """
    Call a function for each item, in this thread and in others, and return the results in order.

    If no other can be started, this thread does all. After an error no further item is begun.

    :param places: How many items are worked on at the same time, at most.
    :raises BaseException: what the function raised for the first item that failed.
    """
    work = _SharedWork(function, items)
    helpers = []
    for _ in range(min(len(items), places) - 1):
        helper = threading.Thread(target=work.do, name="shared-work", daemon=True)
        try:
            helper.start()
        except RuntimeError:  # there can be no more threads now
            break
        helpers.append(helper)
    work.do()
    for helper in helpers:
        helper.join()
    if work.errors:
        raise work.errors[min(work.errors)]
    return [work.results[number] for number in range(len(items))]
