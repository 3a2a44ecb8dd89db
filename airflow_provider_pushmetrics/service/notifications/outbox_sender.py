"""Sends the messages of the outbox: one attempt for each claim, and a record of its result."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Protocol

from airflow_provider_pushmetrics.exceptions import (
    NotificationDelayedError,
    NotificationError,
    NotificationRefusedError,
)
from airflow_provider_pushmetrics.service.bounded_processes.child import ChildDiedError
from airflow_provider_pushmetrics.service.models import OutgoingMessage
from airflow_provider_pushmetrics.service.models.statuses import FAILED, PENDING, RETRIED
from airflow_provider_pushmetrics.service.notifications.message_outbox import KEPT, KINDS, SENT
from airflow_provider_pushmetrics.service.storage.clock import DatabaseClock, read_database_clock
from airflow_provider_pushmetrics.service.storage.database import (
    Database,
    Persist,
    is_unavailable,
    persist_once,
)
from airflow_provider_pushmetrics.serving.metrics import LONG_SECONDS, Histogram

MESSAGE_DELAYS_SECONDS = (0, 60, 300, 1800, 7200, 21600, 43200, 86400)
"""The delay of each attempt after the one before: 45 hours in total. Later, a message would be outdated."""

MAX_RETRY_AFTER_SECONDS = 86_400.0
"""The maximum delay that a server can request; it is also the longest delay of the table."""

log = logging.getLogger(__name__)


class MessageTransport(Protocol):
    """Sends messages of one kind to their server. It blocks."""

    def send(self, message: OutgoingMessage) -> None:
        """
        Make one attempt.

        :raises NotificationDelayedError: if a later attempt may succeed.
        :raises NotificationRefusedError: if the server rejects it.
        """


class OutboxSender:
    """
    Sends messages at least once.

    :param transports: The transport of each kind. Messages of a kind without one are kept.
    """

    def __init__(
        self,
        database: Database,
        transports: Mapping[str, MessageTransport],
        *,
        clock: DatabaseClock = read_database_clock,
    ) -> None:
        self._database = database
        self._transports = transports
        self._clock = clock
        self.attempt_seconds = Histogram(
            "pushmetrics_service_message_attempt_seconds",
            "Duration of an attempt to send a message.",
            LONG_SECONDS,
            {"kind": KINDS, "outcome": (SENT, RETRIED, FAILED)},
        )

    def attempt(self, message_id: int, *, persist: Persist = persist_once) -> bool:
        """
        Make an attempt and record it, with the end of the claim.

        :param persist: Commits the record, with retries, so that a database error does not send the message
        again.
        :return: Whether it was recorded; False if the message is no longer pending.
        """
        with self._database.reading() as session:
            message = session.get(OutgoingMessage, message_id)
        if message is None or message.status != PENDING:
            return False
        transport = self._transports.get(message.kind)
        began = time.perf_counter()
        error = None if transport is None else _try_to_send(transport, message)
        seconds = time.perf_counter() - began
        return persist(lambda: self._record(message, error, seconds))

    def _record(self, message: OutgoingMessage, error: NotificationError | None, seconds: float) -> bool:
        with self._database.writing() as session:
            row = session.get(OutgoingMessage, message.id, with_for_update=True)
            # Another worker may have recorded this attempt.
            if row is None or (row.status, row.attempt_count) != (PENDING, message.attempt_count):
                return False
            row.worker_id = None
            if row.kind not in self._transports:
                row.status = KEPT
                return True
            row.attempt_count += 1
            row.error = None if error is None else str(error)
            delay, now = find_delay(error, row.attempt_count), self._clock(session)
            if delay is None:
                row.status, row.finished_on = (SENT if error is None else FAILED), now
            else:
                row.next_attempt_on = now + timedelta(seconds=delay)
            outcome = RETRIED if row.status == PENDING else row.status
        self.attempt_seconds.observe(seconds, row.kind, outcome)
        return True


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
    except ChildDiedError as error:
        return NotificationDelayedError(f"a picture of the message could not be drawn: {error}")
    except Exception as error:
        if is_unavailable(error):
            raise  # the database is away: the attempt was not made
        log.exception("message %s cannot be sent", message.id)
        said = f"the message to {message.recipient!r} was not sent: {type(error).__name__}; the log has more."
        if isinstance(error, OSError | RuntimeError | MemoryError):
            return NotificationDelayedError(said)  # this process has no threads, files or memory left now
        # An unexpected error: there is no reason why a later attempt would succeed.
        return NotificationRefusedError(said)
    return None
