"""Waiting for what happens in another thread or process; the limit is for a machine that does much else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

T = TypeVar("T")

LIMIT_SECONDS = 120.0
PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.01, 0.1


def _list_pauses() -> Iterator[float]:
    """List the seconds between looks: more and more, since looks too keep a busy machine busy."""
    pause = PAUSE_SECONDS
    while True:
        yield pause
        pause = min(pause * 1.2, LONGEST_PAUSE_SECONDS)


def wait_until(look: Callable[[], T | None], what: object = "it", limit_seconds: float = LIMIT_SECONDS) -> T:
    """
    Look until something true is found, and give it.

    :param what: What is waited for, for the message of the failure.
    """
    deadline, pauses = time.monotonic() + limit_seconds, _list_pauses()
    while not (found := look()):
        assert time.monotonic() < deadline, f"not in {limit_seconds} seconds: {what}"
        time.sleep(next(pauses))
    return found


async def until_async(
    look: Callable[[], Awaitable[T | None]], what: object = "it", limit_seconds: float = LIMIT_SECONDS
) -> T:
    """Look, as ``until``, by something that has to be awaited."""
    deadline, pauses = time.monotonic() + limit_seconds, _list_pauses()
    while not (found := await look()):
        assert time.monotonic() < deadline, f"not in {limit_seconds} seconds: {what}"
        await asyncio.sleep(next(pauses))
    return found


async def until(look: Callable[[], T | None], what: object = "it", limit_seconds: float = LIMIT_SECONDS) -> T:
    """Look, as ``wait_until``, while the event loop goes on."""

    async def look_at_once() -> T | None:
        return look()

    return await until_async(look_at_once, what, limit_seconds)
