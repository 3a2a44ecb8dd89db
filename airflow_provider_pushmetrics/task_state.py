"""State that the tries of a task share: the idempotency key and the run that they started (Airflow 3.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_pushmetrics.client.waits import RunTarget
from airflow_provider_pushmetrics.operators.idempotency import build_idempotency_key
from airflow_provider_pushmetrics.task_epoch import find_epoch

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

STORE_KEY = "pushmetrics_run"


@dataclass(frozen=True)
class StartedRun:
    """
    A run that a try of this task has started, or may have.

    :param epoch: Which clearing of the task it belongs to.
    :param report_id: Its report.
    :param run_id: Its number; None as long as nobody has named it.
    :param after_cursor: The receiver's cursor before the call; None without a receiver.
    :param after_run_id: The newest run before the call; None if nobody could tell.
    :param is_accepted: Whether PushMetrics has said that it took the call.
    """

    epoch: str
    report_id: str
    run_id: int | None = None
    after_cursor: int | None = None
    after_run_id: int | None = None
    is_accepted: bool = True

    def build_target(self) -> RunTarget:
        """Build what tells the run from others."""
        return RunTarget(self.report_id, self.run_id, self.after_cursor, self.after_run_id)


@dataclass(frozen=True)
class TaskState:
    """
    The state that the tries of a task share.

    :param store: The task's store; None before Airflow 3.3.
    :param epoch: Which clearing of the task it is for; see ``task_epoch.find_epoch``.
    :param key: The idempotency key of all tries that are to share a run.
    """

    store: Any
    epoch: str
    key: str

    @property
    def is_durable(self) -> bool:
        """Whether the next try will see what is kept."""
        return self.store is not None

    def load(self, report_id: str) -> StartedRun | None:
        """Get what an earlier try has kept; None if the task was cleared or runs another report."""
        kept = self.store.get(STORE_KEY) if self.store is not None else None
        started = read_started_run(kept)
        is_ours = started and started.epoch == self.epoch and started.report_id == report_id
        return started if is_ours else None

    def save(self, target: RunTarget, *, is_accepted: bool) -> None:
        """Save what is known of the run, so that the next try finds it if this one dies."""
        if self.store is None:
            return
        started = StartedRun(
            self.epoch,
            target.report_id,
            target.run_id,
            target.after_cursor,
            target.after_run_id,
            is_accepted,
        )
        self.store.set(STORE_KEY, asdict(started))

    def delete(self) -> None:
        """Delete the run: the next try starts another one."""
        if self.store is not None:
            self.store.delete(STORE_KEY)


def open_task_state(context: Context, *, is_reused: bool = False) -> TaskState:
    """
    Open the state that the tries of a task share.

    :param is_reused: Whether a cleared task is to go on with its run, as if it was retried.
    """
    epoch = find_epoch(context, is_reused=is_reused)
    return TaskState(context.get("task_state_store"), epoch, build_idempotency_key(context, epoch))


def read_started_run(kept: object) -> StartedRun | None:
    """Read what a try has kept; None if it is nothing of ours."""
    if not isinstance(kept, Mapping):
        return None
    epoch, report_id = kept.get("epoch"), kept.get("report_id")
    numbers = [kept.get(name) for name in ("run_id", "after_cursor", "after_run_id")]
    if not isinstance(epoch, str) or not isinstance(report_id, str):
        return None
    if not all(isinstance(number, int | None) for number in numbers):
        return None
    run_id, after_cursor, after_run_id = numbers
    is_accepted = kept.get("is_accepted") is not False
    return StartedRun(epoch, report_id, run_id, after_cursor, after_run_id, is_accepted)
