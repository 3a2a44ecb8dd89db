"""What happens by the clock: schedules that are due, and mail and messages that wait to be sent."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

from sqlalchemy import select, update

from airflow_provider_pushmetrics.exceptions import NotificationDelayedError, NotificationError
from airflow_provider_pushmetrics.service.clock import Clock, get_now
from airflow_provider_pushmetrics.service.database import Database, is_unavailable
from airflow_provider_pushmetrics.service.logs import SparingLog
from airflow_provider_pushmetrics.service.models import OutgoingMail, SlackMessage
from airflow_provider_pushmetrics.service.notifications.outgoing import (
    ATTEMPT_DELAYS_SECONDS,
    KEPT,
    SENT,
    Postman,
)
from airflow_provider_pushmetrics.service.notifications.slack import SlackMessenger
from airflow_provider_pushmetrics.service.schedules import fire_due
from airflow_provider_pushmetrics.service.statuses import FAILED, PENDING

LOOK_SECONDS = 1.0
"""How late something may be."""

STOP_SECONDS = 5.0
"""How long the end waits for a server of others."""

LEASE_SECONDS = 300
"""For how long others leave alone what one process sends: longer than any attempt takes."""

Outgoing = TypeVar("Outgoing", type[OutgoingMail], type[SlackMessage])

log = logging.getLogger(__name__)


class Timekeeper:
    """
    Looks at the clock in threads of its own. Any number of processes may have one.

    What is due has a thread, and mail and Slack have one each: their servers may take their time.

    :param wake: Says that a run was started.
    :param postman: Sends mail.
    :param messenger: Posts to Slack; None where it is not connected.
    :param fire: Starts what is due, and says how much that was.
    """

    def __init__(
        self,
        database: Database,
        wake: Callable[[], None],
        postman: Postman,
        messenger: SlackMessenger | None,
        *,
        clock: Clock = get_now,
        fire: Callable[[Database, Clock], int] = fire_due,
    ) -> None:
        self._database = database
        self._wake = wake
        self._postman = postman
        self._messenger = messenger
        self._clock = clock
        self._fire = fire
        self._log = SparingLog(log)
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(look,), name=f"timekeeper-{name}", daemon=True)
            for name, look in {
                "due": self._start_due,
                "mail": self._send_mail,
                "slack": self._send_slack,
            }.items()
        ]

    def start(self) -> None:
        """Begin to look."""
        for thread in self._threads:
            thread.start()

    def stop(self, patience_seconds: float = STOP_SECONDS) -> bool:
        """
        Stop.

        :param patience_seconds: How long to wait for what is being sent.
        :return: Whether it was sent. What was not is tried again when its lease ends.
        """
        self._stopping.set()
        end = time.monotonic() + patience_seconds
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(end - time.monotonic(), 0))
        return not any(thread.is_alive() for thread in self._threads)

    def look(self) -> None:
        """Do what is due now; what cannot be done keeps nothing else waiting."""
        self._start_due()
        self._send_mail()
        self._send_slack()

    def _start_due(self) -> None:
        with _going_on("start what is due"):
            if self._fire(self._database, self._clock):
                self._wake()

    def _send_mail(self) -> None:
        with _going_on("send mail"):
            self._send(OutgoingMail, self._postman.list_due(), self._postman.attempt)

    def _send_slack(self) -> None:
        with _going_on("post to Slack"):
            self._send(SlackMessage, self._list_messages(), self._post)

    def _run(self, look: Callable[[], None]) -> None:
        while not self._stopping.wait(LOOK_SECONDS):
            try:
                look()
            except Exception as error:
                # A database that is away comes back, and this thread must be there then.
                self._log.warning("cannot see what is due, trying again: %s", error)

    def _send(self, kind: Outgoing, ids: Iterable[int], attempt: Callable[[int], object]) -> None:
        for row_id in ids:
            with _going_on(f"send {kind.__tablename__} {row_id}"):  # it is tried again when its lease ends
                if not self._stopping.is_set() and self._claim(kind, row_id):
                    attempt(row_id)

    def _claim(self, kind: Outgoing, row_id: int) -> bool:
        """Take a row for this process, unless another one was first."""
        now = self._clock()
        mine = update(kind).where(kind.id == row_id, kind.status == PENDING, kind.next_attempt_on <= now)
        with self._database.writing() as session:
            claimed = session.execute(mine.values(next_attempt_on=now + timedelta(seconds=LEASE_SECONDS)))
            return bool(getattr(claimed, "rowcount", 0))

    def _list_messages(self) -> list[int]:
        due = select(SlackMessage.id).where(
            SlackMessage.status == PENDING, SlackMessage.next_attempt_on <= self._clock()
        )
        with self._database.reading() as session:
            return list(session.scalars(due.order_by(SlackMessage.id).limit(100)))

    def _post(self, message_id: int) -> None:
        with self._database.reading() as session:
            message = session.get_one(SlackMessage, message_id)
        error = None
        if self._messenger is not None:
            try:
                self._messenger.post(message.channel, message.text)
            except NotificationError as fault:
                error = fault
        with self._database.writing() as session:
            row = session.get(SlackMessage, message_id)
            if row is not None:
                self._record(row, error)

    def _record(self, row: SlackMessage, error: NotificationError | None) -> None:
        if self._messenger is None:
            row.status = KEPT
            return
        row.attempt_count += 1
        row.error = None if error is None else str(error)
        can_wait = isinstance(error, NotificationDelayedError) and row.attempt_count < len(
            ATTEMPT_DELAYS_SECONDS
        )
        if can_wait and isinstance(error, NotificationDelayedError):
            delay = max(ATTEMPT_DELAYS_SECONDS[row.attempt_count], error.retry_after_seconds or 0)
            row.next_attempt_on = self._clock() + timedelta(seconds=delay)
            return
        row.status, row.finished_on = (SENT if error is None else FAILED), self._clock()


@contextmanager
def _going_on(what: str) -> Iterator[None]:
    """Log what goes wrong in the block, and go on, unless the database is away: all else needs it too."""
    try:
        yield
    except Exception as error:
        if is_unavailable(error):
            raise
        log.exception("cannot %s", what)
