"""A clock that the test moves."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Clock:
    """Gives the time that was set."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now
