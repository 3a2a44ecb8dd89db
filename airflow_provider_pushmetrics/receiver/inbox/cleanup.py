"""What an inbox needs now and then: old events deleted, refused deliveries kept."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError

from airflow_provider_pushmetrics.receiver.inbox.missed_events import Gap
from airflow_provider_pushmetrics.receiver.inbox.rejections import RejectionLog
from airflow_provider_pushmetrics.receiver.inbox.store import Inbox
from airflow_provider_pushmetrics.receiver.retention import Retention
from airflow_provider_pushmetrics.serving.logs import ThrottledLog, describe_fault

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
    One thread that looks after the inbox.

    :param inbox: The inbox.
    :param rejections: Holds what was refused.
    :param retention: How long events are kept.
    :param interval_seconds: How long it rests.
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
        self._interval_seconds = interval_seconds
        self._outage = ThrottledLog(log)
        self._rejections = rejections
        self._retention = retention
        self._told_positions: dict[str, int] = {}
        self._stop = threading.Event()
        self._cleaned_at = -CLEAN_INTERVAL_SECONDS
        self._thread = threading.Thread(target=self._run, name="pushmetrics-inbox-cleanup", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Keep what was refused until now, then stop."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        is_last = False
        while not is_last:
            is_last = self._stop.wait(self._interval_seconds)
            try:
                self._look_after()
            except SQLAlchemyError as error:
                log.debug("The inbox cannot be looked after: %s", getattr(error, "orig", error))
            except Exception as error:  # the thread's top: without it, nothing would be cleaned ever again
                self._outage.error("The inbox could not be cleaned up: %s", describe_fault(error))

    def _look_after(self) -> None:
        refused = self._rejections.take()
        if refused:
            self._inbox.store_rejections(refused)
        if time.monotonic() - self._cleaned_at >= CLEAN_INTERVAL_SECONDS and not self._stop.is_set():
            self._cleaned_at = time.monotonic()
            deleted = clean(
                self._inbox,
                self._retention,
                now=datetime.now(UTC),
                should_stop=self._stop.is_set,
                tell=self._warn_once,
            )
            if deleted:
                log.info("Deleted %d events that are not kept any longer.", deleted)

    def _warn_once(self, gap: Gap) -> None:
        """Warn of a consumer that stands still once, and not every minute."""
        if self._told_positions.get(gap.consumer) != gap.position:
            self._told_positions[gap.consumer] = gap.position
            warn_of_gap(gap)
