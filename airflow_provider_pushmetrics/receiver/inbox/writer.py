"""Writing webhooks to the inbox in groups."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError

from airflow_provider_pushmetrics.receiver.errors import Unavailable
from airflow_provider_pushmetrics.receiver.inbox.records import IncomingWebhook, Recorded
from airflow_provider_pushmetrics.receiver.inbox.store import Inbox
from airflow_provider_pushmetrics.receiver.metrics import CommitFigures
from airflow_provider_pushmetrics.serving.group_commit import Batch, GroupCommit
from airflow_provider_pushmetrics.serving.logs import ThrottledLog, describe_fault

log = logging.getLogger(__name__)

UNAVAILABLE = "The inbox cannot be written now. Send it again later."
MAX_WAITING = 4096

LATE_SECONDS = 5.0
"""A commit that takes this long counts as one that fails."""

PROOF_SECONDS = 10.0
"""How long the result of the last commit tells whether the next one would succeed."""

Outcome = Recorded | Exception


class InboxWriter:
    """
    Records webhooks of any event loop, in groups.

    :param inbox: The inbox.
    :param announce: Called from the writer's thread with the committed events, without duplicates.
    """

    def __init__(self, inbox: Inbox, announce: Callable[[Sequence[Recorded]], None]) -> None:
        self._inbox = inbox
        self._announce = announce
        self._writing_since: float | None = None
        self._stored_at = self._failed_at = -math.inf
        self._is_closed = self._is_abandoned = False
        self._outage = ThrottledLog(log)
        self.commits = CommitFigures()
        self._group = GroupCommit[IncomingWebhook, Recorded](
            "pushmetrics-inbox-writer", self._commit, after=self._announce_new
        )

    async def record(self, delivery: IncomingWebhook) -> Recorded:
        """
        Record a webhook and return when it is committed.

        :raises Unavailable: if it was not stored.
        """
        if self._is_closed or self._group.count_waiting() >= MAX_WAITING:
            raise Unavailable("The receiver is too busy. Send it again later.")
        try:
            return await self._group.submit(delivery)
        except RuntimeError:  # closed, or no thread can be started
            raise Unavailable(UNAVAILABLE) from None

    def is_failing(self) -> bool:
        """Return whether a commit takes too long, or whether the last one has just failed."""
        now, since = time.monotonic(), self._writing_since
        if since is not None and now - since > LATE_SECONDS:
            return True
        return self._failed_at > self._stored_at and now - self._failed_at < PROOF_SECONDS

    def has_just_stored(self) -> bool:
        """Return whether a new webhook has just been committed."""
        return time.monotonic() - self._stored_at < PROOF_SECONDS

    def abandon(self) -> None:
        """Reject what is not written yet: the database does not respond, and the process must end."""
        self._is_closed = self._is_abandoned = True

    def close(self) -> None:
        """Write accepted webhooks, then stop."""
        self._is_closed = True
        self._group.close()

    def _commit(self, deliveries: Batch[IncomingWebhook, Recorded]) -> Sequence[Outcome]:
        try:
            return self._record(deliveries, add_waiting=deliveries.fill)
        except Exception as error:
            self._outage.error(
                "The inbox could not be written because of an error in the receiver: %s",
                describe_fault(error),
            )
            return _refuse(deliveries)

    def _record(
        self, deliveries: Sequence[IncomingWebhook], add_waiting: Callable[[], None] | None = None
    ) -> Sequence[Outcome]:
        if self._is_abandoned:
            return _refuse(deliveries)
        began = time.perf_counter()
        self._writing_since = time.monotonic()
        try:
            recorded = self._inbox.record(deliveries, add_waiting=add_waiting)
            # Before the senders are answered: a check that follows them needs no write of its own.
            if any(item.is_new for item in recorded):
                self._stored_at = time.monotonic()
            self.commits.observe(deliveries=len(deliveries), seconds=time.perf_counter() - began)
            self._outage.end("The inbox can be written again.")
            return recorded
        except SQLAlchemyError as error:
            if len(deliveries) > 1 and not _is_outage(error):
                # One of them cannot be stored; the others are written without it.
                return [outcome for delivery in deliveries for outcome in self._record([delivery])]
            # Only the driver's message: SQLAlchemy's own contains the values, and so the body.
            reason = getattr(error, "orig", None) or type(error).__name__
            self._outage.error("The inbox could not be written: %s", reason)
            if _is_outage(error):  # one that cannot be stored says nothing about the others
                self._failed_at = time.monotonic()
            return _refuse(deliveries)
        finally:
            self._writing_since = None

    def _announce_new(self, outcomes: Sequence[Outcome]) -> None:
        new = [item for item in outcomes if isinstance(item, Recorded) and item.is_new]
        if new:
            self._announce(new)


def _refuse(deliveries: Sequence[IncomingWebhook]) -> list[Outcome]:
    return [Unavailable(UNAVAILABLE) for _ in deliveries]


def _is_outage(error: SQLAlchemyError) -> bool:
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    return isinstance(error, OperationalError | InterfaceError)
