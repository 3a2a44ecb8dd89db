"""Cancelled triggers: whether they must cancel their run, and work that finishes nevertheless."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Coroutine
from typing import Any

from airflow_provider_pushmetrics.compat import fetch_task_state

WAITING_STATES = frozenset({"deferred", "up_for_retry"})
"""The states of a task that goes on with its run; no user's act on a deferred task leads to one of them."""

GIVEN_UP_STATES = frozenset({"failed", "success", "skipped", "removed"})
"""The states of a task that was marked, or whose Dag run was; a cleared task is in none of them."""


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


async def end_tasks(tasks: Collection[asyncio.Future[Any]]) -> None:
    """Cancel tasks and wait until they have closed their connections."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # retrieved, so that asyncio does not report it


async def find_reason_to_keep(ti: Any, *, is_reused: bool) -> str | None:
    """
    Find why the run of a task whose trigger is cancelled is not to be cancelled; None if it is.

    Airflow 3.3 also cancels a trigger that it has assigned to another triggerer: to a triggerer without a
    heartbeat for ``[triggerer] triggerer_health_check_threshold``, that trigger looks like one of which the
    task was marked or cleared. Later versions distinguish the two, but not a task that the other triggerer
    has already resumed, and that now waits for its retry.

    :param ti: The trigger's task instance.
    :param is_reused: Whether a cleared task continues with its run.
    :raises Exception: what Airflow raises if the state cannot be read.
    """
    state = await fetch_task_state(ti)
    if state in WAITING_STATES:
        return "the task waits for it in another triggerer"
    if is_reused and state not in GIVEN_UP_STATES:
        return "the task was cleared, and continues with it (on_clear='reuse')"
    return None
