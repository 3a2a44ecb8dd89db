"""What every long proof of the receiver is given, and what it gives back."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

MakeUrl = Callable[[], str]
"""Makes an empty inbox and gives its URL."""


@dataclass(frozen=True)
class Size:
    """How long a soak takes."""

    seeds: int = 20
    deliveries: int = 10_000
    examples: int = 100_000
    slow_connections: int = 500
    outage_seconds: float = 60
    load_seconds: float = 600
    waiters: int = 10_000
    idle_seconds: float = 20
    timings: int = 200_000
    neighbour_rounds: int = 10


QUICK = Size(
    seeds=2,
    deliveries=1500,
    examples=2000,
    slow_connections=100,
    outage_seconds=26,  # longer than a writer waits for its database
    load_seconds=5,
    waiters=1000,
    idle_seconds=5,
    timings=10_000,
    neighbour_rounds=1,
)


@dataclass(frozen=True)
class Found:
    """
    What a proof found.

    :param wanted: What had to be so.
    :param found: The figures.
    :param holds: Whether it is so.
    """

    wanted: str
    found: str
    holds: bool


Prove = Callable[[Size, MakeUrl], Found]


def say_progress(text: str) -> None:
    """Return how far a proof has come, beside its result."""
    print(f"  {text}", file=sys.stderr, flush=True)  # noqa: T201 - a command's own word
