"""The thread that starts scheduled runs."""

from __future__ import annotations

from collections.abc import Callable

from airflow_provider_pushmetrics.service.runs.schedules import find_wait, fire_due
from airflow_provider_pushmetrics.service.storage.clock import DatabaseClock, read_database_clock
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.serving.background import STOP_SECONDS, BackgroundLoop

RETRY_SECONDS = 1.0
"""The wait for a schedule that is due and that could not be started."""

LONGEST_WAIT_SECONDS = 15.0
"""How late a schedule may be noticed of whose change no notification arrived."""


class Scheduler:
    """
    Starts scheduled runs. Any number of processes may have one.

    :param fire: Starts what is due, and gives the number of runs.
    """

    def __init__(
        self,
        database: Database,
        *,
        clock: DatabaseClock = read_database_clock,
        fire: Callable[[Database, DatabaseClock], int] = fire_due,
    ) -> None:
        self._database = database
        self._clock = clock
        self._fire = fire
        self._loop = BackgroundLoop("scheduler", self.run_once, retry_seconds=RETRY_SECONDS)

    def start(self) -> None:
        self._loop.start()

    def wake(self) -> None:
        """Look for what is due now."""
        self._loop.wake()

    def stop(self, timeout_seconds: float = STOP_SECONDS) -> bool:
        """Stop, and return whether the thread has ended."""
        return self._loop.stop(timeout_seconds)

    def run_once(self) -> float:
        """Start what is due now, and give the seconds until there is more, as far as that is known."""
        self._fire(self._database, self._clock)
        seconds = find_wait(self._database, self._clock)
        if seconds is None:
            return LONGEST_WAIT_SECONDS
        return min(seconds, LONGEST_WAIT_SECONDS) if seconds > 0 else RETRY_SECONDS
