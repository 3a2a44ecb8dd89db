"""The key under which PushMetrics starts at most one run for a task, however often it is tried."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from airflow_provider_pushmetrics.task_iteration import list_iteration_parts

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


def build_idempotency_key(context: Context, epoch: str) -> str:
    """
    Build the key of a task instance.

    :param epoch: Which clearing of the task it is for; see ``task_epoch.find_epoch``.
    """
    ti: Any = context["ti"]
    return hash_key(ti.dag_id, ti.run_id, ti.task_id, str(ti.map_index), epoch, *list_iteration_parts(ti))


def hash_key(*parts: str) -> str:
    """Hash what makes up a key, so that it has one length and gives nothing away."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:48]
