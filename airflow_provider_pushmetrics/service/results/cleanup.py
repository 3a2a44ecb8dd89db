"""Deleting old results, and partial ones of dead processes."""

from __future__ import annotations

import logging
from datetime import timedelta

from airflow_provider_pushmetrics.service.results.store import ResultStore
from airflow_provider_pushmetrics.service.storage.clock import Clock, get_now
from airflow_provider_pushmetrics.serving.background import BackgroundLoop

RESULT_CLEANUP_SECONDS = 3600.0

PARTIAL_RETENTION = timedelta(days=1)
"""A partial result that has not grown for this long belongs to a dead process."""

log = logging.getLogger(__name__)


class ResultCleanup:
    """
    Deletes old results in a background thread; several processes may do so concurrently.

    :param results: The result store.
    :param retention_days: The maximum age; None for no limit.
    """

    def __init__(self, results: ResultStore, retention_days: int | None, *, clock: Clock = get_now) -> None:
        self._results = results
        self._retention_days = retention_days
        self._clock = clock
        self._loop = BackgroundLoop(
            "cleanup", self.run_once, interval_seconds=RESULT_CLEANUP_SECONDS, starts_at_once=True
        )

    def start(self) -> None:
        """Begin, at once."""
        self._loop.start()

    def stop(self) -> bool:
        """Stop, and return whether the thread has ended."""
        return self._loop.stop()

    def run_once(self) -> None:
        """Delete old results."""
        self.clean()

    def clean(self) -> int:
        """Delete old results; return their number."""
        self._results.clean_partial(self._clock() - PARTIAL_RETENTION)
        if self._retention_days is None:
            return 0
        count = self._results.clean(self._clock() - timedelta(days=self._retention_days))
        if count:
            log.info("deleted %d results older than %d days", count, self._retention_days)
        return count
