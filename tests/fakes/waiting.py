"""Wait until something is so, and fail if it is not in time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

LIMIT_SECONDS = 120.0


def wait_until(is_so: Callable[[], bool], timeout_seconds: float = LIMIT_SECONDS) -> None:
    """Wait in a thread."""
    deadline = time.monotonic() + timeout_seconds
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


async def wait_until_so(is_so: Callable[[], bool], timeout_seconds: float = LIMIT_SECONDS) -> None:
    """Wait on an event loop."""
    deadline = time.monotonic() + timeout_seconds
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.005)
