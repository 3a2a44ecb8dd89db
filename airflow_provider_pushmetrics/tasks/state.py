"""The state that all tries of a task share: its identity, and what an earlier try saved (Airflow 3.3)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_pushmetrics.client.run_polling import RunSnapshot
from airflow_provider_pushmetrics.client.waits import RunTarget
from airflow_provider_pushmetrics.tasks.iteration import list_iteration_parts
from airflow_provider_pushmetrics.tracing import TaskOrigin

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

RUN_KEY = "pushmetrics_run"
SENSOR_START_KEY = "pushmetrics_sensor_start"

ANY_EPOCH = "any"
"""The epoch of a task that continues with its run after it was cleared."""


@dataclass(frozen=True)
class StartedRun:
    """
    A run that a try of this task has started, or may have started.

    :param epoch: The task's epoch in which it was started.
    :param report_id: Its report.
    :param run_id: Its number; None until it is known.
    :param after_cursor: The receiver's cursor before the call; None without a receiver.
    :param after_run_id: The newest run before the call; None if unknown.
    :param is_accepted: Whether PushMetrics accepted the call.
    :param parameters_digest: The digest of the parameters of the call; None if unknown.
    """

    epoch: str
    report_id: str
    run_id: int | None = None
    after_cursor: int | None = None
    after_run_id: int | None = None
    is_accepted: bool = True
    parameters_digest: str | None = None

    def build_target(self) -> RunTarget:
        """Build what distinguishes the run from others."""
        return RunTarget(
            self.report_id, self.run_id, self.after_cursor, self.after_run_id, self.parameters_digest
        )


@dataclass(frozen=True)
class TaskState:
    """
    The state of a task instance that all its tries share.

    Without a store, which Airflow has since 3.3, nothing is saved, and every ``load`` returns None.

    :param task: The identity of the task instance: its Dag, Dag run, task, map index and iteration.
    :param epoch: Changes when the task is cleared, but not when it is retried.
    :param store: Airflow's store of the task; None before Airflow 3.3.
    :param try_number: The number of this try.
    :param first_try: The number of the first try since the task was created or cleared.
    """

    task: tuple[str, ...]
    epoch: str
    store: Any = field(default=None, compare=False, repr=False)
    try_number: int = 1
    first_try: int = 1

    @classmethod
    def open(cls, context: Context, *, is_reused: bool = False) -> TaskState:
        """
        Open the state of the running task instance.

        Clearing a task raises its ``max_tries``, and a retry does not. Clearing a task *while it runs* does
        not raise it either (``clear_task_instances`` of Airflow 3.3.2), and nothing else tells the two apart:
        ``clear_number`` is that of the Dag run, so it counts the clearing of other tasks.

        It raises it to ``try_number + retries``, so a task whose ``retries`` were lowered may keep its epoch:
        ``first_try`` tells that it was cleared.

        :param is_reused: Whether a cleared task continues with its run, as a retry does.
        """
        ti: Any = context["ti"]
        task = (ti.dag_id, ti.run_id, ti.task_id, str(ti.map_index), *list_iteration_parts(ti))
        epoch, first_try = (
            (ANY_EPOCH, 0) if is_reused else (str(ti.max_tries), ti.max_tries - ti.task.retries + 1)
        )
        return cls(task, epoch, context.get("task_state_store"), ti.try_number, first_try)

    @property
    def is_first_try(self) -> bool:
        """Whether no try has run since the task was created or cleared."""
        return self.try_number == self.first_try

    @property
    def was_never_tried(self) -> bool:
        """
        Whether no try of the task has run, so that no run of any kind is its own.

        Not by ``first_try``, which is 0 if a cleared task is to continue with its run, and below 1 if
        ``retries`` were raised since Airflow created the task.
        """
        return self.try_number == 1

    @property
    def is_reused(self) -> bool:
        """Whether the task continues with its run after it was cleared."""
        return self.epoch == ANY_EPOCH

    @property
    def is_durable(self) -> bool:
        """Whether the next try reads what this one saves."""
        return self.store is not None

    @property
    def is_in_loop(self) -> bool:
        """Whether the task instance is an iteration of a Task Loop."""
        return len(self.task) > 4

    @property
    def task_name(self) -> str:
        """The name of the task instance, the same in all its tries and after it was cleared."""
        return "/".join(self.task)

    @property
    def idempotency_key(self) -> str:
        """The key that makes PushMetrics start at most one run for the task, however often it is tried."""
        dag_id, run_id, task_id, map_index, *iteration = self.task
        return hash_key(dag_id, run_id, task_id, map_index, self.epoch, *iteration)

    # The run of an operator

    def load_run(self, report_id: str) -> StartedRun | None:
        """Load the run of an earlier try; None if the task was cleared or runs another report."""
        started = read_started_run(self._load(RUN_KEY))
        is_ours = started and started.epoch == self.epoch and started.report_id == report_id
        return started if is_ours else None

    def save_run(self, target: RunTarget, *, is_accepted: bool) -> None:
        """Save what is known of the run, so that the next try finds it if this one dies."""
        self._save(RUN_KEY, asdict(StartedRun(self.epoch, **vars(target), is_accepted=is_accepted)))

    def delete_run(self) -> None:
        """Delete the run: the next try starts another one."""
        if self.store is not None:
            self.store.delete(RUN_KEY)

    # The start position of a sensor

    def load_cursor(self, conn_id: str) -> int | None:
        """Load the cursor at which the first try began; None in the first try, or on another connection."""
        cursor = self._load_start(conn_id).get("cursor")
        return cursor if isinstance(cursor, int) else None

    def save_cursor(self, conn_id: str, cursor: int) -> None:
        """Save the cursor at which the first try begins."""
        self._save_start(conn_id, cursor=cursor)

    def load_runs(self, conn_id: str) -> RunSnapshot | None:
        """Load the runs that existed when the first try began; None as for the cursor."""
        kept = self._load_start(conn_id)
        newest_id, open_ids = kept.get("newest_run_id"), kept.get("open_run_ids")
        if not isinstance(newest_id, int) or not isinstance(open_ids, list):
            return None
        return RunSnapshot(newest_id, tuple(open_ids))

    def save_runs(self, conn_id: str, seen: RunSnapshot) -> None:
        """Save the runs that exist when the first try begins."""
        self._save_start(conn_id, newest_run_id=seen.newest_id, open_run_ids=list(seen.open_ids))

    def _load_start(self, conn_id: str) -> Mapping[str, Any]:
        kept = self._load(SENSOR_START_KEY)
        if not isinstance(kept, Mapping):
            return {}
        try_number = kept.get("try_number")
        if isinstance(try_number, int) and try_number < self.first_try:
            return {}  # the task was cleared since
        is_ours = (kept.get("epoch"), kept.get("conn_id")) == (self.epoch, conn_id)
        return kept if is_ours else {}

    def _save_start(self, conn_id: str, **facts: Any) -> None:
        start = {"epoch": self.epoch, "try_number": self.try_number, "conn_id": conn_id, **facts}
        self._save(SENSOR_START_KEY, start)

    def _load(self, key: str) -> object:
        return None if self.store is None else self.store.get(key)

    def _save(self, key: str, value: dict[str, Any]) -> None:
        if self.store is not None:
            self.store.set(key, value)


def build_origin(context: Context) -> TaskOrigin:
    """Build what PushMetrics is told of the running task."""
    ti: Any = context["ti"]
    return TaskOrigin(ti.dag_id, ti.task_id, ti.run_id, ti.try_number, ti.map_index)


def hash_key(*parts: str) -> str:
    """Hash the parts of an idempotency key, so that it has a fixed length and discloses nothing."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:48]


def read_started_run(kept: object) -> StartedRun | None:
    """Read the run that a try saved; None if the value has another shape."""
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
    digest = kept.get("parameters_digest")
    digest = digest if isinstance(digest, str) else None
    return StartedRun(epoch, report_id, run_id, after_cursor, after_run_id, is_accepted, digest)
