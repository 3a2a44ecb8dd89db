"""Wait for something that another process does, with a timeout and a check that the process is alive."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from airflow_provider_pushmetrics.exceptions import DemoError

Found = TypeVar("Found")


def _watch_nothing() -> None:
    return None


@dataclass(frozen=True)
class ConditionPoller:
    """
    Polls conditions.

    :param watch: Called before every poll: raises if waiting is pointless, for example when a process died.
    :param interval_seconds: The interval between two polls.
    :param clock: Returns the time in seconds.
    :param sleep: Sleeps for seconds.
    """

    watch: Callable[[], None] = _watch_nothing
    interval_seconds: float = 0.2
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def wait_for(self, what: str, find: Callable[[], Found | None], *, timeout_seconds: float) -> Found:
        """
        Call ``find`` until it returns something.

        :param what: What is waited for, for the error message.
        :raises DemoError: on a timeout.
        """
        deadline = self.clock() + timeout_seconds
        while True:
            self.watch()
            found = find()
            if found is not None:
                return found
            if self.clock() >= deadline:
                raise DemoError(
                    f"{what} did not come within {timeout_seconds:g} s. If this machine is busy, try again"
                    " later."
                )
            self.sleep(self.interval_seconds)
