"""The thread that starts the runs that are due."""

from __future__ import annotations

from collections.abc import Callable

from airflow_provider_pushmetrics.service.runs.schedules import fire_due
from airflow_provider_pushmetrics.service.storage.clock import Clock, get_now
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.service.storage.failures import log_failure
from airflow_provider_pushmetrics.serving.background import STOP_SECONDS, BackgroundLoop


class Scheduler:
    """
    Starts scheduled runs. Any number of processes may have one.

    :param fire: Starts what is due, and gives the number of runs.
    """

    def __init__(
        self,
        database: Database,
        *,
        clock: Clock = get_now,
        fire: Callable[[Database, Clock], int] = fire_due,
    ) -> None:
        self._database = database
        self._clock = clock
        self._fire = fire
        self._loop = BackgroundLoop("scheduler", self.run_once)

    def start(self) -> None:
        """Start the thread."""
        self._loop.start()

    def wake(self) -> None:
        """Look for what is due now."""
        self._loop.wake()

    def stop(self, timeout_seconds: float = STOP_SECONDS) -> bool:
        """Stop, and tell whether the thread has ended."""
        return self._loop.stop(timeout_seconds)

    def run_once(self) -> None:
        """Start what is due now."""
        with log_failure("start what is due"):
            self._fire(self._database, self._clock)
