"""
The one thread that writes: deliveries that arrive while it commits share its next transaction (group commit).

A commit waits for the disk. Sixteen deliveries in one transaction wait for it once.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError

from airflow_provider_pushmetrics.receiver.errors import Unavailable
from airflow_provider_pushmetrics.receiver.inbox.expiry import Expiry
from airflow_provider_pushmetrics.receiver.inbox.recording import Recorded
from airflow_provider_pushmetrics.receiver.inbox.records import Delivery
from airflow_provider_pushmetrics.receiver.inbox.store import Inbox
from airflow_provider_pushmetrics.receiver.metrics import CommitFigures
from airflow_provider_pushmetrics.serving.logs import ThrottledLog, describe_fault

log = logging.getLogger(__name__)

UNAVAILABLE = "The inbox cannot be written now. Send it again later."
MAX_BATCH = 256
MAX_QUEUED = 4096
COMMIT_TIMEOUT_SECONDS = 20.0
"""A sender waits 15 to 30 s for an answer, as the Standard Webhooks specification recommends."""

STUCK_SECONDS = 45.0
"""
A commit that takes so long waits for a database that is no longer there: its server would have ended the
statement after 30 s.
"""

Outcome = Recorded | Unavailable


@dataclass(frozen=True, eq=False)
class _Request:
    delivery: Delivery
    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[Recorded]


class InboxWriter:
    """
    Records deliveries of any event loop, in groups.

    :param inbox: Where to.
    :param announce: Called from the writer's thread with what was just committed, duplicates left out.
    :param timeout_seconds: How long one delivery may wait for its commit.
    :param stuck_seconds: How long a commit may take before the next delivery has the database hung up on.
    """

    def __init__(
        self,
        inbox: Inbox,
        announce: Callable[[Sequence[Recorded]], None],
        *,
        timeout_seconds: float = COMMIT_TIMEOUT_SECONDS,
        stuck_seconds: float = STUCK_SECONDS,
    ) -> None:
        self._inbox = inbox
        self._stuck_seconds = stuck_seconds
        self._writing_since: float | None = None
        self._timeout_seconds = timeout_seconds
        self._announce = announce
        self.commits = CommitFigures()
        self._outage = ThrottledLog(log)
        self._queue: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._expiries: WeakKeyDictionary[asyncio.AbstractEventLoop, Expiry] = WeakKeyDictionary()
        self._is_closed = self._is_abandoned = False
        # A daemon: nobody tells a mounted app that the process ends. What is lost then was not acknowledged.
        self._thread = threading.Thread(target=self._run, name="pushmetrics-inbox-writer", daemon=True)
        self._thread.start()

    async def record(self, delivery: Delivery) -> Recorded:
        """
        Record a delivery and return when it is committed.

        :raises Unavailable: if it was not kept.
        """
        self._free_if_stuck()
        if self._is_closed or self._queue.qsize() >= MAX_QUEUED:
            raise Unavailable("The receiver is too busy. Send it again later.")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Recorded] = loop.create_future()
        self._queue.put(_Request(delivery, loop, answer))
        self._get_expiry(loop).add(answer)
        return await answer

    def _get_expiry(self, loop: asyncio.AbstractEventLoop) -> Expiry:
        expiry = self._expiries.get(loop)
        if expiry is None:
            expiry = self._expiries[loop] = Expiry(self._timeout_seconds)
        return expiry

    def _free_if_stuck(self) -> None:
        since = self._writing_since
        if since is not None and time.monotonic() - since > self._stuck_seconds:
            self._writing_since = None  # once is enough
            self._inbox.hang_up()

    def abandon(self) -> None:
        """Refuse what is not written yet: the database does not answer, and the process has to end."""
        self._is_closed = self._is_abandoned = True

    def close(self) -> None:
        """Write what was taken, then stop."""
        self._is_closed = True
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while True:
            batch, is_last = self._take_batch()
            if batch:
                self._write_or_refuse(batch)
            if is_last:
                return

    def _take_batch(self) -> tuple[list[_Request], bool]:
        batch: list[_Request] = []
        item = self._queue.get()
        while item is not None:
            batch.append(item)
            if len(batch) == MAX_BATCH:
                return batch, False
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return batch, False
        return batch, True

    def _write_or_refuse(self, batch: Sequence[_Request]) -> None:
        try:
            self._write(batch)
        except Exception as error:  # the thread's top: without it, nothing would be written ever again
            self._outage.error(
                "The inbox could not be written, by a fault of the receiver: %s", describe_fault(error)
            )
            _answer((request, Unavailable(UNAVAILABLE)) for request in batch)

    def _write(self, batch: Sequence[_Request]) -> None:
        outcomes = self._record([request.delivery for request in batch])
        _answer(zip(batch, outcomes, strict=True))
        new = [item for item in outcomes if isinstance(item, Recorded) and item.is_new]
        if new:
            self._announce(new)

    def _record(self, deliveries: Sequence[Delivery]) -> Sequence[Outcome]:
        if self._is_abandoned:
            return [Unavailable(UNAVAILABLE) for _ in deliveries]
        began = time.perf_counter()
        self._writing_since = time.monotonic()
        try:
            recorded = self._inbox.record(deliveries)
            self.commits.observe(deliveries=len(deliveries), seconds=time.perf_counter() - began)
            self._outage.end("The inbox can be written again.")
            return recorded
        except SQLAlchemyError as error:
            if len(deliveries) > 1 and not _is_outage(error):
                # One of them cannot be kept; the others must not suffer for it.
                return [outcome for delivery in deliveries for outcome in self._record([delivery])]
            # The driver's message alone: SQLAlchemy's own shows the values, and so the body.
            reason = getattr(error, "orig", None) or type(error).__name__
            self._outage.error("The inbox could not be written: %s", reason)
            return [Unavailable(UNAVAILABLE) for _ in deliveries]
        finally:
            self._writing_since = None


def _is_outage(error: SQLAlchemyError) -> bool:
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    return isinstance(error, OperationalError | InterfaceError)


def _answer(answered: Iterable[tuple[_Request, Outcome]]) -> None:
    """Answer all requests of one loop by one call to it."""
    by_loop = defaultdict(list)
    for request, outcome in answered:
        by_loop[request.loop].append((request.answer, outcome))
    for loop, answers in by_loop.items():
        try:
            loop.call_soon_threadsafe(_resolve, answers)
        except RuntimeError:
            continue  # the loop is closed: whoever asked is gone, and the commit stands


def _resolve(answers: Sequence[tuple[asyncio.Future[Recorded], Outcome]]) -> None:
    for answer, outcome in answers:
        if answer.done():  # whoever asked has gone away
            continue
        if isinstance(outcome, Recorded):
            answer.set_result(outcome)
        else:
            answer.set_exception(outcome)
