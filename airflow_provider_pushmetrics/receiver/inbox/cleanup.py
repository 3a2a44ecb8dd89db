"""What an inbox needs now and then: old events deleted, refused deliveries kept."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from airflow_provider_pushmetrics.receiver.inbox.missed_events import Gap
from airflow_provider_pushmetrics.receiver.inbox.rejections import RejectionLog
from airflow_provider_pushmetrics.receiver.inbox.store import Inbox
from airflow_provider_pushmetrics.receiver.retention import Retention
from airflow_provider_pushmetrics.serving.background import STOP_SECONDS, BackgroundLoop

log = logging.getLogger(__name__)

INBOX_CLEANUP_SECONDS = 5.0
CLEAN_INTERVAL_SECONDS = 60.0
CLEAN_BATCH = 1000
"""How many events are deleted in one transaction: deliveries wait for no more than that."""


def warn_of_gap(gap: Gap) -> None:
    """Say that a consumer misses events."""
    log.warning(
        "%d events were deleted that consumer %r had not read: it stands at %d. Keep events longer, or look"
        " whether it still reads.",
        gap.missed,
        gap.consumer,
        gap.position,
    )


def clean(
    inbox: Inbox,
    retention: Retention,
    *,
    now: datetime,
    should_stop: Callable[[], bool],
    tell: Callable[[Gap], object] = warn_of_gap,
) -> int:
    """
    Delete what is older or more than is kept, the oldest first.

    :param tell: Called with what a consumer had not read of it, for every batch.
    :return: How many events were deleted.
    """
    before = None if retention.days is None else now - timedelta(days=retention.days)
    deleted = 0
    while retention.is_limited() and not should_stop():
        gone = inbox.delete_oldest(before=before, keep=retention.events, limit=CLEAN_BATCH)
        deleted += gone.events
        for gap in gone.gaps:
            tell(gap)
        if gone.events < CLEAN_BATCH:
            break
    return deleted


class InboxCleanup:
    """
    Stores refused deliveries and deletes old events, from a thread of its own.

    :param inbox: The inbox.
    :param rejections: Holds what was refused.
    :param retention: How long events are kept.
    :param interval_seconds: The time between two looks.
    """

    def __init__(
        self,
        inbox: Inbox,
        rejections: RejectionLog,
        retention: Retention,
        *,
        interval_seconds: float = INBOX_CLEANUP_SECONDS,
    ) -> None:
        self._inbox = inbox
        self._rejections = rejections
        self._retention = retention
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
        """Store what was refused until now, then stop; tell whether the thread has ended."""
        return self._loop.stop(timeout_seconds)

    def run_once(self) -> None:
        """Store what was refused, and once a minute delete what is too old."""
        refused = self._rejections.drain()
        if refused:
            self._inbox.store_rejections(refused)
        if time.monotonic() - self._cleaned_at >= CLEAN_INTERVAL_SECONDS and not self._loop.stopping.is_set():
            self._cleaned_at = time.monotonic()
            deleted = clean(
                self._inbox,
                self._retention,
                now=datetime.now(UTC),
                should_stop=self._loop.stopping.is_set,
                tell=self._warn_once,
            )
            if deleted:
                log.info("Deleted %d events that are not kept any longer.", deleted)

    def _warn_once(self, gap: Gap) -> None:
        """Warn of a consumer that stands still once, and not every minute."""
        if self._told_positions.get(gap.consumer) != gap.position:
            self._told_positions[gap.consumer] = gap.position
            warn_of_gap(gap)
