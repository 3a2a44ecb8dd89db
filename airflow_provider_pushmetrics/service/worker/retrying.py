"""Trying again: while the database is away without end, after any other fault a few times."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import TypeVar

from airflow_provider_pushmetrics.service.storage.database import is_unavailable
from airflow_provider_pushmetrics.serving.logs import ThrottledLog

FIRST_RETRY_SECONDS = 0.2
LONGEST_RETRY_SECONDS = 15.0
"""How late work may go on when the database is back."""

FAULT_PAUSES_SECONDS = (0.2, 1.0, 5.0, 15.0)
"""The waits after other faults: what can go wrong in a run or a delivery is recorded, so these are ours."""

Outcome = TypeVar("Outcome")

log = logging.getLogger(__name__)


class WorkInterruptedError(BaseException):
    """
    Work stops in the middle, since its process does.

    It is no ``Exception``: those are recorded as the end of a run, and this one shall go on.
    """


class RetryLoop:
    """
    Does work that goes on where it was.

    :param wait: Waits for so many seconds, or less if this process is to stop, and tells whether it is.
    """

    def __init__(self, wait: Callable[[float], bool]) -> None:
        self._wait = wait
        self._log = ThrottledLog(log)

    def do(self, work: Callable[[], Outcome]) -> Outcome:
        """
        Do it, again and again if need be, and give what it gives.

        :raises WorkInterruptedError: if this process is to stop before it is done.
        """
        away_pauses = _double(FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS)
        fault_pauses = iter(FAULT_PAUSES_SECONDS)
        while True:
            try:
                return work()
            except Exception as error:
                is_away = is_unavailable(error)
                pause_seconds = next(away_pauses if is_away else fault_pauses, None)
                if pause_seconds is None:
                    raise
                if is_away:
                    self._log.warning("the database is away, and work waits for it: %s", error)
                else:
                    log.exception("work failed; trying again in %s s", pause_seconds)
                if self._wait(pause_seconds):
                    raise WorkInterruptedError from error


def _double(seconds: float, limit: float) -> Iterator[float]:
    while True:
        yield seconds
        seconds = min(2 * seconds, limit)
