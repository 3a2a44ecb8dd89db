"""Telling a task that was cleared from one that is retried."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


def find_epoch(context: Context, *, is_reused: bool = False) -> str:
    """
    Tell a clear from a retry: clearing raises ``max_tries``, retrying does not.

    Clearing a task *while it runs* does not raise it either (``clear_task_instances`` of Airflow 3.3.2), and
    nothing else tells the two apart: ``clear_number`` is the Dag run's, so it counts other tasks' clearings.

    :param is_reused: Whether a cleared task is to go on with its run, as if it was retried.
    """
    ti: Any = context["ti"]
    return "any" if is_reused else str(ti.max_tries)
