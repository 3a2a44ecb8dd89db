"""Retries: without end while the database is unavailable, a few times after other errors."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from airflow_provider_pushmetrics.service.storage.database import is_unavailable
from airflow_provider_pushmetrics.serving.logs import ThrottledLog

FIRST_RETRY_SECONDS = 0.2
LONGEST_RETRY_SECONDS = 15.0
"""The maximum delay of work after the database is available again."""

FAULT_PAUSES_SECONDS = (0.2, 1.0, 5.0, 15.0)
"""The pauses after other errors. Expected failures are recorded, so these are bugs."""

Outcome = TypeVar("Outcome")

log = logging.getLogger(__name__)


class WorkInterruptedError(BaseException):
    """
    Work was interrupted because this process stops.

    It is no ``Exception``: those end a run as failed, and this run continues later.
    """


class RetryLoop:
    """
    Repeats work that continues where it was interrupted.

    :param wait: Waits for so many seconds, and returns whether this process is stopping.
    """

    def __init__(self, wait: Callable[[float], bool]) -> None:
        self._wait = wait
        self._log = ThrottledLog(log)

    def do(self, work: Callable[[], Outcome]) -> Outcome:
        """
        Do the work, with retries, and return its result.

        :raises WorkInterruptedError: if this process stops first.
        """
        away_seconds, fault_pauses = FIRST_RETRY_SECONDS, iter(FAULT_PAUSES_SECONDS)
        while True:
            try:
                return work()
            except Exception as error:
                if is_unavailable(error):
                    pause_seconds = away_seconds
                    away_seconds = min(2 * away_seconds, LONGEST_RETRY_SECONDS)
                    self._log.warning("work waits for the database: %s", error)
                elif (seconds := next(fault_pauses, None)) is None:
                    raise
                else:
                    pause_seconds = seconds
                    log.exception("work failed; trying again in %s s", pause_seconds)
                if self._wait(pause_seconds):
                    raise WorkInterruptedError from error
