"""Waking this process's waiters for events that another process committed."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Sequence

from sqlalchemy.exc import SQLAlchemyError

from airflow_provider_pushmetrics.receiver.feed.waiters import Notifier
from airflow_provider_pushmetrics.receiver.inbox.recording import Recorded
from airflow_provider_pushmetrics.receiver.inbox.store import Inbox
from airflow_provider_pushmetrics.serving.logs import ThrottledLog, describe_fault

log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
WATCHED_PAGE = 1000
"""How many new events are looked at in one query."""


class InboxWatch:
    """
    One thread that listens to the database while anybody waits, and sleeps while nobody does.

    :param inbox: The inbox.
    :param notifier: Knows who waits.
    :param retry_seconds: How long it rests when the inbox cannot be watched.
    """

    def __init__(self, inbox: Inbox, notifier: Notifier, *, retry_seconds: float = RETRY_SECONDS) -> None:
        self._inbox = inbox
        self._retry_seconds = retry_seconds
        self._notifier = notifier
        self._outage = ThrottledLog(log)
        self._last_id: int | None = None
        self._own: deque[tuple[int, int]] = deque()
        self._is_needed = threading.Event()
        self._stop = threading.Event()
        self._start_lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def ask(self) -> None:
        """Say that somebody waits."""
        self._is_needed.set()
        if self._thread is None:
            with self._start_lock:
                if self._thread is None and not self._stop.is_set():
                    self._thread = threading.Thread(
                        target=self._run, name="pushmetrics-inbox-watch", daemon=True
                    )
                    self._thread.start()

    def announce_own(self, new: Sequence[Recorded]) -> None:
        """Announce what this process committed; its ids follow each other, and nobody need look for them."""
        self._notifier.announce([item.delivery for item in new])
        if self._thread is not None:
            self._own.append((new[0].id, new[-1].id))

    def close(self) -> None:
        """Stop listening."""
        self._stop.set()
        self._is_needed.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._listen()
            except SQLAlchemyError as error:
                log.debug("The inbox cannot be watched: %s", getattr(error, "orig", error))
                self._stop.wait(self._retry_seconds)
            except Exception as error:  # the thread's top: without it, nobody would be woken ever again
                self._outage.error("The inbox could not be watched: %s", describe_fault(error))
                self._stop.wait(self._retry_seconds)

    def _listen(self) -> None:
        changes = self._inbox.open_changes()
        try:
            self._announce_others()  # what came while nobody listened
            while not self._stop.is_set():
                if not self._notifier.count_waiters():
                    self._rest()
                    self._announce_others()
                elif changes.wait(self._stop):
                    self._announce_others()
        finally:
            changes.close()

    def _rest(self) -> None:
        self._is_needed.clear()
        if not self._notifier.count_waiters():  # asked between the look and the clear
            self._own.clear()
            self._is_needed.wait()
        self._last_id = None

    def _announce_others(self) -> None:
        newest = self._inbox.fetch_last_id()
        if self._last_id is None:
            # Nobody knows what came since the waiters looked themselves.
            self._notifier.wake_all()
            self._last_id = newest
        while self._last_id < newest:
            upto = min(newest, self._last_id + WATCHED_PAGE)
            if not self._is_own(self._last_id, upto):
                self._notifier.announce(self._inbox.fetch_subjects(after=self._last_id, limit=WATCHED_PAGE))
            self._last_id = upto

    def _is_own(self, after: int, upto: int) -> bool:
        """Tell whether this process committed, and so announced, all ids of a range."""
        while self._own and self._own[0][1] <= after:
            self._own.popleft()
        covered = after
        for first, last in list(self._own):
            if first > covered + 1:
                break
            covered = last
        return covered >= upto
