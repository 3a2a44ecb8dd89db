"""The threads that send what the outbox holds."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Protocol

from sqlalchemy import select, update

from airflow_provider_pushmetrics.exceptions import (
    NotificationDelayedError,
    NotificationError,
    NotificationRefusedError,
)
from airflow_provider_pushmetrics.service.models import OutgoingMessage
from airflow_provider_pushmetrics.service.models.statuses import FAILED, PENDING
from airflow_provider_pushmetrics.service.notifications.outbox import KEPT, KINDS, SENT
from airflow_provider_pushmetrics.service.storage.clock import Clock, get_now
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.service.storage.failures import log_failure
from airflow_provider_pushmetrics.serving.background import STOP_SECONDS, BackgroundLoop, stop_loops

MESSAGE_DELAYS_SECONDS = (0, 60, 300, 1800, 7200, 21600, 43200, 86400)
"""The wait before each attempt, counted from the one before: 45 hours in all. Later it would be outdated."""

MAX_RETRY_AFTER_SECONDS = 86_400.0
"""The longest time that a server may ask to wait; it is also the longest wait of the table."""

LEASE_SECONDS = 300
"""For how long other processes leave a message alone that one of them sends: longer than an attempt takes."""

BATCH_SIZE = 100

log = logging.getLogger(__name__)


class MessageTransport(Protocol):
    """Hands messages of one kind to their server. It blocks."""

    def send(self, message: OutgoingMessage) -> None:
        """
        Make one attempt.

        :raises NotificationDelayedError: if it may work later.
        :raises NotificationRefusedError: if the server does not take it, now or later.
        """


class OutboxSender:
    """
    Sends messages at least once. Any number of processes may have one.

    Each kind has a thread of its own: a slow mail server does not delay Slack.

    :param transports: Who sends each kind; messages of a kind without one are kept.
    """

    def __init__(
        self, database: Database, transports: Mapping[str, MessageTransport], *, clock: Clock = get_now
    ) -> None:
        self._database = database
        self._transports = transports
        self._clock = clock
        self._loops = {kind: BackgroundLoop(f"outbox-{kind}", partial(self._send, kind)) for kind in KINDS}

    def start(self) -> None:
        """Start the threads."""
        for loop in self._loops.values():
            loop.start()

    def wake(self) -> None:
        """Look for what is due now."""
        for loop in self._loops.values():
            loop.wake()

    def stop(self, timeout_seconds: float = STOP_SECONDS) -> bool:
        """
        Stop.

        :param timeout_seconds: How long to wait for what is being sent.
        :return: Whether it was sent. What was not is sent again when its lease ends.
        """
        return stop_loops(self._loops.values(), timeout_seconds)

    def run_once(self) -> None:
        """Send what is due now; what cannot be sent keeps nothing else waiting."""
        for kind in KINDS:
            self._send(kind)

    def _send(self, kind: str) -> None:
        for message_id in self._list_due(kind):
            with log_failure(f"send message {message_id}"):  # its lease ends, and then it is tried again
                if not self._loops[kind].stopping.is_set():
                    self._attempt(message_id)

    def _list_due(self, kind: str) -> list[int]:
        due = select(OutgoingMessage.id).where(
            OutgoingMessage.kind == kind,
            OutgoingMessage.status == PENDING,
            OutgoingMessage.next_attempt_on <= self._clock(),
        )
        oldest = due.order_by(OutgoingMessage.next_attempt_on, OutgoingMessage.id).limit(BATCH_SIZE)
        with self._database.reading() as session:
            return list(session.scalars(oldest))

    def _attempt(self, message_id: int) -> None:
        message = self._claim(message_id)
        if message is None:
            return
        transport = self._transports.get(message.kind)
        error = None if transport is None else _try_to_send(transport, message)
        with self._database.writing() as session:
            row = session.get(OutgoingMessage, message_id, with_for_update=True)
            if row is not None and row.status == PENDING:
                self._record(row, error)

    def _claim(self, message_id: int) -> OutgoingMessage | None:
        """Lease a message to this process; None if another one was first."""
        now = self._clock()
        due = update(OutgoingMessage).where(
            OutgoingMessage.id == message_id,
            OutgoingMessage.status == PENDING,
            OutgoingMessage.next_attempt_on <= now,
        )
        leased = due.values(next_attempt_on=now + timedelta(seconds=LEASE_SECONDS))
        with self._database.writing() as session:
            changed = session.execute(leased.execution_options(synchronize_session=False))
            return session.get(OutgoingMessage, message_id) if getattr(changed, "rowcount", 0) else None

    def _record(self, row: OutgoingMessage, error: NotificationError | None) -> None:
        if row.kind not in self._transports:
            row.status = KEPT
            return
        row.attempt_count += 1
        row.error = None if error is None else str(error)
        delay = find_delay(error, row.attempt_count)
        if delay is None:
            row.status, row.finished_on = (SENT if error is None else FAILED), self._clock()
        else:
            row.next_attempt_on = self._clock() + timedelta(seconds=delay)


def find_delay(error: NotificationError | None, attempts: int) -> float | None:
    """Find the seconds until the next attempt; None if there is none."""
    if not isinstance(error, NotificationDelayedError) or attempts >= len(MESSAGE_DELAYS_SECONDS):
        return None
    return max(
        float(MESSAGE_DELAYS_SECONDS[attempts]),
        min(error.retry_after_seconds or 0.0, MAX_RETRY_AFTER_SECONDS),
    )


def _try_to_send(transport: MessageTransport, message: OutgoingMessage) -> NotificationError | None:
    try:
        transport.send(message)
    except NotificationError as error:
        return error
    except Exception as error:
        # It would be the same the next time, and for ever: nobody knows that it can pass.
        log.exception("message %s cannot be sent", message.id)
        return NotificationRefusedError(
            f"the message to {message.recipient!r} was not sent: {type(error).__name__}; the log has more."
        )
    return None
