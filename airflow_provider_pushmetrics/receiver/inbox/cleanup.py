"""Periodic maintenance of an inbox: old events are deleted, rejected webhooks stored."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import timedelta

from airflow_provider_pushmetrics.receiver.inbox.consumer_gaps import Gap
from airflow_provider_pushmetrics.receiver.inbox.rejections import RejectionLog
from airflow_provider_pushmetrics.receiver.inbox.store import Inbox
from airflow_provider_pushmetrics.serving.background import STOP_SECONDS, BackgroundLoop

log = logging.getLogger(__name__)

INBOX_CLEANUP_SECONDS = 5.0
CLEAN_INTERVAL_SECONDS = 60.0
CLEAN_BATCH = 1000
"""How many events are deleted in one transaction, for which incoming webhooks wait."""


def warn_of_gap(gap: Gap) -> None:
    """Warn that a consumer misses events."""
    log.warning(
        "%d events were deleted that consumer %r had not read: its position is %d. Keep events longer, or"
        " check whether it still reads.",
        gap.missed,
        gap.consumer,
        gap.position,
    )


def clean(
    inbox: Inbox,
    keep_days: float,
    *,
    should_stop: Callable[[], bool],
    on_gap: Callable[[Gap], object] = warn_of_gap,
) -> int:
    """
    Delete events beyond the age to keep, the oldest first.

    :param on_gap: Called with the unread events of a consumer, for every batch.
    :return: How many events were deleted.
    """
    deleted = 0
    while not should_stop():
        gone = inbox.delete_oldest(keep=timedelta(days=keep_days), limit=CLEAN_BATCH)
        deleted += gone.events
        for gap in gone.gaps:
            on_gap(gap)
        if gone.events < CLEAN_BATCH:
            break
    return deleted


class InboxCleanup:
    """
    Stores rejected webhooks and deletes old events, in a background thread.

    :param inbox: The inbox.
    :param rejections: Collects rejected webhooks.
    :param keep_days: The age at which events are deleted; None keeps them.
    :param interval_seconds: The time between two runs.
    """

    def __init__(
        self,
        inbox: Inbox,
        rejections: RejectionLog,
        keep_days: float | None,
        *,
        interval_seconds: float = INBOX_CLEANUP_SECONDS,
    ) -> None:
        self._inbox = inbox
        self._rejections = rejections
        self._keep_days = keep_days
        self._storing = threading.Lock()
        self._told_positions: dict[str, int] = {}
        self._cleaned_at = -CLEAN_INTERVAL_SECONDS
        self._loop = BackgroundLoop(
            "pushmetrics-inbox-cleanup",
            self.run_once,
            interval_seconds=interval_seconds,
            runs_at_end=True,
        )
        self._loop.start()

    def close(self, timeout_seconds: float = STOP_SECONDS) -> bool:
        """Store the collected rejections, then stop; return whether the thread has ended."""
        return self._loop.stop(timeout_seconds)

    def run_once(self) -> None:
        """Store rejected webhooks, and once a minute delete old events."""
        self.store_rejections()
        if self._keep_days is not None and time.monotonic() - self._cleaned_at >= CLEAN_INTERVAL_SECONDS:
            self._cleaned_at = time.monotonic()
            deleted = clean(
                self._inbox,
                self._keep_days,
                should_stop=self._loop.stopping.is_set,
                on_gap=self._warn_once,
            )
            if deleted:
                log.info("Deleted %d events beyond the retention limits.", deleted)

    def store_rejections(self) -> None:
        """Store the collected rejections; those that cannot be stored now stay collected."""
        with self._storing:
            rejected = self._rejections.drain()
            try:
                if rejected:
                    self._inbox.store_rejections(rejected)
            except BaseException:
                self._rejections.restore(rejected)
                raise

    def _warn_once(self, gap: Gap) -> None:
        """Warn of a consumer that does not move once, and not every minute."""
        if self._told_positions.get(gap.consumer) != gap.position:
            self._told_positions[gap.consumer] = gap.position
            warn_of_gap(gap)
