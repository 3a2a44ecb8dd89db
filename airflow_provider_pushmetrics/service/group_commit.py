"""Many small transactions in one commit: on SQLite a commit waits for the disk, and so do all behind it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from sqlalchemy.orm import Session

Result = TypeVar("Result")


class _Ticket:
    """One that waits, and what came of it."""

    def __init__(self, action: Callable[[Session], Any]) -> None:
        self.action = action
        self.is_done = False
        self.result: Any = None
        self.error: BaseException | None = None


class GroupCommit:
    """
    Commits what waits together.

    Whoever gets the turn does the work of all who wait; they find it done when the turn comes to them.

    :param turn: Held by the one who writes.
    :param transaction: Opens a transaction; called by who has the turn.
    """

    def __init__(
        self, turn: AbstractContextManager[Any], transaction: Callable[[], AbstractContextManager[Session]]
    ) -> None:
        self._turn = turn
        self._transaction = transaction
        self._lock = threading.Lock()
        self._waiting: list[_Ticket] = []

    def run(self, action: Callable[[Session], Result]) -> Result:
        """Do something in a transaction; when this returns, it is committed. Its error is its own only."""
        ticket = _Ticket(action)
        with self._lock:
            self._waiting.append(ticket)
        with self._turn:
            if not ticket.is_done:
                self._work()
        if ticket.error is not None:
            raise ticket.error
        result: Result = ticket.result
        return result

    def _work(self) -> None:
        with self._lock:
            batch, self._waiting = self._waiting, []
        try:
            with self._transaction() as session:
                for ticket in batch:
                    _try(session, ticket)
        except BaseException as error:
            for ticket in batch:  # nothing is committed
                ticket.error = ticket.error or error
        finally:
            for ticket in batch:
                ticket.is_done = True


def _try(session: Session, ticket: _Ticket) -> None:
    try:
        with session.begin_nested():
            ticket.result = ticket.action(session)
    except Exception as error:
        ticket.error = error
