"""Waking this process's readers for events that another process committed."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Sequence

from airflow_provider_pushmetrics.receiver.feed.waiters import Notifier
from airflow_provider_pushmetrics.receiver.inbox.records import Recorded
from airflow_provider_pushmetrics.receiver.inbox.store import Inbox
from airflow_provider_pushmetrics.serving.background import STOP_SECONDS, UNTIL_WOKEN, BackgroundLoop
from airflow_provider_pushmetrics.serving.commit_signals import UNWATCHED_SECONDS, Changes, PollingChanges

RETRY_SECONDS = 1.0
WATCHED_PAGE = 1000
"""How many new events are read in one query."""

MAX_BEHIND = 100_000
"""How many new ids are looked at one by one; after more, all readers look themselves."""


class InboxWatch:
    """
    A thread that watches the database while there are waiting readers, and some time longer.

    :param inbox: The inbox.
    :param notifier: The waiting readers.
    :param retry_seconds: The delay after a failure.
    :param unwatched_seconds: How long the database is watched without a reader.
    """

    def __init__(
        self,
        inbox: Inbox,
        notifier: Notifier,
        *,
        retry_seconds: float = RETRY_SECONDS,
        unwatched_seconds: float = UNWATCHED_SECONDS,
    ) -> None:
        self._inbox = inbox
        self._notifier = notifier
        self._unwatched_seconds = unwatched_seconds
        self._waited_at = -math.inf
        self._last_id: int | None = None
        self._own: deque[tuple[int, int]] = deque()
        self._signals: Changes | None = None
        self._loop = BackgroundLoop(
            "pushmetrics-inbox-watch",
            self._watch_once,
            interval_seconds=0,
            retry_seconds=retry_seconds,
        )

    def ask(self) -> None:
        """Start watching, because a reader waits."""
        self._loop.wake()
        self._loop.start()

    def announce_own(self, new: Sequence[Recorded]) -> None:
        """Announce events of this process, so that the watch skips them if nobody else has ids in between."""
        self._notifier.announce([item.delivery for item in new])
        is_gapless = new[-1].id - new[0].id == len(new) - 1
        if self._last_id is not None and is_gapless:
            self._own.append((new[0].id, new[-1].id))

    def close(self, timeout_seconds: float = STOP_SECONDS) -> bool:
        """Stop watching; return whether the thread has ended."""
        has_ended = self._loop.stop(timeout_seconds)
        if has_ended:
            self._stop_listening()
        return has_ended

    def _watch_once(self) -> float | None:
        if self._is_idle():  # the next reader wakes the loop
            self._stop_listening()
            self._last_id = None
            self._own.clear()
            return UNTIL_WOKEN
        try:
            self._listen_once()
        except Exception:
            self._stop_listening()
            raise
        return None

    def _is_idle(self) -> bool:
        """Return whether no reader has waited for some time."""
        now = time.monotonic()
        if self._notifier.count_waiters():
            self._waited_at = now
        return now - self._waited_at >= self._unwatched_seconds

    def _listen_once(self) -> None:
        if isinstance(self._signals, PollingChanges) and self._signals.is_old():
            self._stop_listening()
        if self._signals is None:
            self._signals = self._inbox.open_changes()
            self._announce_others()  # committed before the watch began
        elif self._last_id is None or self._signals.wait(self._loop.stopping):
            self._announce_others()

    def _stop_listening(self) -> None:
        signals, self._signals = self._signals, None
        if signals is not None:
            signals.close()

    def _announce_others(self) -> None:
        newest = self._inbox.fetch_last_id()
        if self._last_id is None or newest - self._last_id > MAX_BEHIND:
            # The events since the readers read the inbox are unknown, or a backup was restored.
            self._notifier.wake_all()
            self._last_id = newest
        while self._last_id < newest:
            upto = min(newest, self._last_id + WATCHED_PAGE)
            if not self._is_own(self._last_id, upto):
                self._notifier.announce(self._inbox.fetch_subjects(after=self._last_id, limit=WATCHED_PAGE))
            self._last_id = upto

    def _is_own(self, after: int, upto: int) -> bool:
        """Return whether this process committed, and so announced, all ids of a range."""
        while self._own and self._own[0][1] <= after:
            self._own.popleft()
        covered = after
        for first, last in list(self._own):
            if first > covered + 1:
                break
            covered = last
        return covered >= upto
