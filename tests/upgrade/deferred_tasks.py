"""Tasks of the user's Dag in Airflow, and what its database has of them while they are deferred."""

from __future__ import annotations

import importlib
import json
import runpy
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from airflow.models.crypto import get_fernet
from airflow.models.trigger import Trigger
from airflow.sdk.exceptions import TaskDeferred
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.context import TaskStateStoreAccessor
from airflow.sdk.serde import deserialize, serialize

from tests.fakes.supervisor import FakeSupervisor, FakeTaskInstance


class UserDag:
    """
    Runs tasks of the user's Dag as Airflow's workers do, each time with a new operator.

    :param path: The file of the Dag.
    :param stored_state: What earlier tries of the task have stored.
    """

    def __init__(self, path: Path, stored_state: dict[str, Any] | None = None) -> None:
        self.path = path
        self.supervisor = FakeSupervisor(store=dict(stored_state or {}))

    def load(self) -> Any:
        """Read the file, as each process of Airflow does."""
        return runpy.run_path(str(self.path))

    def defer(self, task_id: str, *, try_number: int = 1) -> dict[str, Any]:
        """Run a task until it is deferred, and give what Airflow's database then has of it."""
        with pytest.raises(TaskDeferred) as deferral:
            self.load()[task_id].execute(self._build_context(task_id, try_number))
        trigger = Trigger.from_object(deferral.value.trigger)
        return {
            "task_id": task_id,
            "classpath": trigger.classpath,
            "kwargs": json.loads(get_fernet().decrypt(trigger.encrypted_kwargs.encode())),
            "next_method": deferral.value.method_name,
            "next_kwargs": serialize(deferral.value.kwargs or {}),
            "deferred_at": time.time(),
            "stored_state": self.supervisor.store,
        }

    def resume(self, kept: dict[str, Any], payload: Any) -> Any:
        """Continue a task with the event of its trigger."""
        operator = self.load()[kept["task_id"]]
        next_kwargs: Any = deserialize(kept["next_kwargs"])
        return operator.resume_execution(
            kept["next_method"],
            {**next_kwargs, "event": payload},
            self._build_context(kept["task_id"]),
        )

    def _build_context(self, task_id: str, try_number: int = 1) -> Any:
        scope: Any = None
        return {
            "ti": FakeTaskInstance(dag_id="user_dag", task_id=task_id, try_number=try_number),
            "task_state_store": TaskStateStoreAccessor(UUID(int=1), scope),
        }


def build_trigger(classpath: str, kwargs: Any, *, deferred_at: float | None = None) -> Any:
    """
    Build a trigger that Airflow's database has, as the triggerer does.

    :param deferred_at: When its task was deferred: its deadline moves with today.
    """
    row = Trigger(classpath=classpath, kwargs={})
    row.encrypted_kwargs = json.dumps(kwargs)
    arguments = row.kwargs
    passed = 0.0 if deferred_at is None else time.time() - deferred_at
    for name in ("deadline", "not_before"):
        if arguments.get(name) is not None:
            arguments[name] += passed
    return import_class(classpath)(**arguments)


def rebuild_trigger(kept: dict[str, Any]) -> Any:
    """Build the trigger of a deferred task."""
    return build_trigger(kept["classpath"], kept["kwargs"], deferred_at=kept["deferred_at"])


def import_class(path: str) -> Any:
    """Import what a path with dots names."""
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def connect(monkeypatch: pytest.MonkeyPatch, connection: str, supervisor: FakeSupervisor) -> None:
    """Let the tasks of this process find the connection and the supervisor, and let none of them rest."""
    monkeypatch.setenv("AIRFLOW_CONN_PUSHMETRICS_DEFAULT", connection)
    monkeypatch.setenv("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", "-1")
    monkeypatch.setenv("AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME", "0")
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", supervisor, raising=False)
