"""Deleting results that are too old, and what is left of broken ones."""

from __future__ import annotations

import logging
from datetime import timedelta

from airflow_provider_pushmetrics.service.results.store import ResultStore
from airflow_provider_pushmetrics.service.storage.clock import Clock, get_now
from airflow_provider_pushmetrics.serving.background import BackgroundLoop

RESULT_CLEANUP_SECONDS = 3600.0

PARTIAL_RETENTION = timedelta(days=1)
"""A result that has not grown for so long is not being written any more: its process has died."""

log = logging.getLogger(__name__)


class ResultCleanup:
    """
    Cleans up, from a thread of its own; several processes may do so at the same time.

    :param results: Where results are kept.
    :param retention_days: How long; None is forever.
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
        """Stop, and tell whether the thread has ended."""
        return self._loop.stop()

    def run_once(self) -> None:
        """Delete what is too old."""
        self.clean()

    def clean(self) -> int:
        """Delete what is too old; give the number of results."""
        self._results.clean_partial(self._clock() - PARTIAL_RETENTION)
        if self._retention_days is None:
            return 0
        count = self._results.clean(self._clock() - timedelta(days=self._retention_days))
        if count:
            log.info("deleted %d results older than %d days", count, self._retention_days)
        return count
