"""What a task keeps between its tries, where Airflow has a place for it (3.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_pushmetrics.client.waits import RunTarget

STORE_KEY = "pushmetrics_run"


@dataclass(frozen=True)
class StartedRun:
    """
    A run that a try of this task has started.

    :param epoch: Which clearing of the task it belongs to.
    """

    epoch: str
    report_id: str
    run_id: int
    after_cursor: int | None = None


def find_epoch(context: Context, *, is_reused: bool = False) -> str:
    """
    Tell a clear from a retry: clearing raises ``max_tries``, retrying does not.

    :param is_reused: Whether a cleared task is to go on with its run, as if it was retried.
    """
    ti: Any = context["ti"]
    return "any" if is_reused else str(ti.max_tries)


def load_started_run(context: Context, report_id: str, epoch: str) -> StartedRun | None:
    """Get the run that an earlier try has started; None if the task was cleared or runs another report."""
    store: Any = context.get("task_state_store")
    kept = store.get(STORE_KEY) if store is not None else None
    if not isinstance(kept, Mapping) or not isinstance(kept.get("run_id"), int):
        return None
    started = StartedRun(
        str(kept.get("epoch")), str(kept.get("report_id")), kept["run_id"], kept.get("after_cursor")
    )
    is_ours = started.epoch == epoch and started.report_id == report_id
    return started if is_ours else None


def keep_started_run(context: Context, target: RunTarget, epoch: str) -> None:
    """Keep the run before anybody waits for it, so that the next try finds it if this one dies."""
    store: Any = context.get("task_state_store")
    if store is not None and target.run_id is not None:
        started = StartedRun(epoch, target.report_id, target.run_id, target.after_cursor)
        store.set(STORE_KEY, asdict(started))


def forget_started_run(context: Context) -> None:
    """Forget the run: it has failed, and the next try is to start another one."""
    store: Any = context.get("task_state_store")
    if store is not None:
        store.delete(STORE_KEY)
