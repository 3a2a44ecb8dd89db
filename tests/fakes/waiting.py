"""Waiting for what happens in another thread or process; the limit is for a machine that does much else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

LIMIT_SECONDS = 120.0
PAUSE_SECONDS = 0.01


def wait_until(look: Callable[[], T | None], what: object = "it", limit_seconds: float = LIMIT_SECONDS) -> T:
    """
    Look until something true is found, and give it.

    :param what: What is waited for, for the message of the failure.
    """
    deadline = time.monotonic() + limit_seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"not in {limit_seconds} seconds: {what}"
        time.sleep(PAUSE_SECONDS)
    return found


async def until(look: Callable[[], T | None], what: object = "it", limit_seconds: float = LIMIT_SECONDS) -> T:
    """Look, as ``wait_until``, while the event loop goes on."""
    deadline = time.monotonic() + limit_seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"not in {limit_seconds} seconds: {what}"
        await asyncio.sleep(PAUSE_SECONDS)
    return found
