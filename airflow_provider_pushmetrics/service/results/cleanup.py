"""What must be done now and then: results that are too old are deleted, and what is left of broken ones."""

from __future__ import annotations

import logging
import threading
from datetime import timedelta

from airflow_provider_pushmetrics.service.results.store import ResultStore
from airflow_provider_pushmetrics.service.storage.clock import Clock, get_now

RESULT_CLEANUP_SECONDS = 3600.0

PARTIAL_RETENTION = timedelta(days=1)
"""A result that has not grown for so long is not being written any more: its process has died."""

log = logging.getLogger(__name__)


class ResultCleanup:
    """
    Cleans up, from a thread of its own; several processes may do so at the same time.

    :param results: Where results are kept.
    :param retention_days: How long; None is for ever.
    """

    def __init__(self, results: ResultStore, retention_days: int | None, *, clock: Clock = get_now) -> None:
        self._results = results
        self._retention_days = retention_days
        self._clock = clock
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="cleanup", daemon=True)

    def start(self) -> None:
        """Begin, at once."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def clean(self) -> int:
        """Delete what is too old; give the number of results."""
        self._results.clean_partial(self._clock() - PARTIAL_RETENTION)
        if self._retention_days is None:
            return 0
        count = self._results.clean(self._clock() - timedelta(days=self._retention_days))
        if count:
            log.info("deleted %d results older than %d days", count, self._retention_days)
        return count

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                self.clean()
            except Exception:
                log.exception("cannot clean up; trying again in %s s", RESULT_CLEANUP_SECONDS)
            self._stopping.wait(RESULT_CLEANUP_SECONDS)
