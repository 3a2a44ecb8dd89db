"""When a deferred task may be resumed on a worker: not before the end of its first part was reported."""

from __future__ import annotations

import asyncio
import time

from airflow_provider_pushmetrics.compat import conf

LOCAL_EXECUTORS = ("LocalExecutor", "SequentialExecutor")
LOCAL_MARGIN_SECONDS = 1.0
REMOTE_MARGIN_SECONDS = 10.0
"""A pod must end, and a result backend be read, before an executor on other machines reports the end."""


def compute_not_before(executor: str | None = None) -> float:
    """
    Return the earliest time at which a task that is deferred now may be resumed, in Unix seconds.

    The worker that deferred may notice only after its heartbeat interval that the process of the task has
    ended, and reports it only then; the scheduler reads the report once in each of its loops. If the task
    runs again by that time, the scheduler attributes the report to this second part, finds it running, and
    fails the task:
    "finished with state success, but the task instance's state attribute is running". Seen on Airflow 3.3.2
    with a report that took 0.7 s. No delay excludes this; a retry makes it harmless.

    :param executor: The executor of the task; None for the first one of the configuration.
    """
    interval = conf.getfloat("workers", "min_heartbeat_interval", fallback=5.0)
    idle = conf.getfloat("scheduler", "scheduler_idle_sleep_time", fallback=1.0)
    margin = LOCAL_MARGIN_SECONDS if is_local_executor(executor) else REMOTE_MARGIN_SECONDS
    return time.time() + float(interval) + float(idle) + margin


def is_local_executor(executor: str | None) -> bool:
    """
    Return whether an executor runs tasks on the scheduler's machine, by its name, alias or import path.

    Names are as ``[core] executor`` has them: ``alias:path`` or ``team=path`` are read by their last part.
    """
    name = executor or str(conf.get("core", "executor", fallback="")).split(",")[0]
    return name.replace("=", ":").rpartition(":")[2].strip().rpartition(".")[2] in LOCAL_EXECUTORS


async def sleep_until(moment: float | None) -> None:
    """Sleep until a moment, in Unix seconds; not at all if that is None or over."""
    if moment is not None:
        await asyncio.sleep(max(0.0, moment - time.time()))
