"""Work that must be done although Airflow cancels the trigger that does it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any


async def finish(work: Coroutine[Any, Any, None], timeout_seconds: float) -> None:
    """
    Wait for the work to end, whoever cancels the wait.

    Airflow 3.3 sends a trigger that it removes a cancellation at each sync, about once a second, until the
    trigger has ended. So the second one would interrupt an ``on_kill`` that takes longer.

    :param work: What must be done.
    :param timeout_seconds: After how long to give the work up, with a ``TimeoutError``; in seconds.
    """
    task = asyncio.create_task(asyncio.wait_for(work, timeout_seconds))
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([task])
    task.result()
