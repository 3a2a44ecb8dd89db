"""Distinguishing the iterations of a Task Loop (Airflow 3.4)."""

from __future__ import annotations

from typing import Any
from uuid import UUID


def list_iteration_parts(ti: Any) -> tuple[str, ...]:
    """
    List what identifies the iteration of a Task Loop that a task instance belongs to.

    All iterations of a task have the same ``map_index``; they differ in their place in a region of the Dag
    run. A task outside a loop is in no region, or in the one with id zero, and gets no parts: its
    identity is the same on every version of Airflow.
    """
    region_id = getattr(ti, "region_id", None)
    if region_id is None or UUID(str(region_id)).int == 0:
        return ()
    return (str(region_id), str(ti.region_index))
