"""Work that must finish although Airflow cancels the trigger that does it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any


async def finish(work: Coroutine[Any, Any, None], timeout_seconds: float) -> None:
    """
    Wait for the work to end, even if the wait is cancelled.

    Airflow 3.3 cancels a trigger that it removes at each sync, about once a second, until the
    trigger has ended. So the second cancellation would interrupt an ``on_kill`` that takes longer.

    :param work: The work.
    :param timeout_seconds: After how long to give up, with a ``TimeoutError``.
    """
    task = asyncio.create_task(asyncio.wait_for(work, timeout_seconds))
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([task])
    task.result()
