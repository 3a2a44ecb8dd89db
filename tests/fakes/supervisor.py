"""Stand-ins for what runs a task in Airflow: the supervisor, whom it asks for XComs, and its own instance."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest


class Killed(BaseException):
    """What a test raises in the place of a SIGKILL."""


class FakeStateStore(dict[str, Any]):
    """The store of a task that all its tries share, as far as it is used; for every version of Airflow."""

    def set(self, key: str, value: Any) -> None:
        """Store a value."""
        self[key] = value

    def delete(self, key: str) -> None:
        """Delete a value, if there is one."""
        self.pop(key, None)


@dataclass
class FakeSupervisor:
    """
    Answers what a process of Airflow asks while it runs a task.

    :param xcoms: The XComs, by key.
    :param refuses: The key of an XCom that cannot be stored.
    :param store: What the task keeps between its tries.
    :param dies: When the process dies: ``before`` or ``after`` the task keeps something.
    :param spares: How often the task keeps something before that.
    :param variables: Airflow's variables.
    :param asset_store: What the stores of assets contain, by the asset's name and the key.
    :param refuses_asset_store: Whether they accept nothing.
    :param breaks: Whether asking for a variable, a store or a state fails in an unexpected way.
    :param task_states: The states of task instances by Dag, run, task and map index; None for none.
    """

    xcoms: dict[str, Any] = field(default_factory=dict)
    refuses: str | None = None
    store: dict[str, Any] = field(default_factory=dict)
    dies: str | None = None
    spares: int = 0
    variables: dict[str, str] = field(default_factory=dict)
    asset_store: dict[tuple[str, str], Any] = field(default_factory=dict)
    refuses_asset_store: bool = False
    breaks: bool = False
    task_states: dict[tuple[str, str, str, int], str | None] = field(default_factory=dict)

    def send(self, message: Any) -> Any:
        """Answer one message."""
        # Old versions of Airflow have no supervisor, or none with a store.
        from airflow.sdk.exceptions import ErrorType
        from airflow.sdk.execution_time import comms

        kind = type(message).__name__
        if self.breaks and any(word in kind for word in ("Variable", "AssetStateStore", "TaskStates")):
            raise RuntimeError("The pipe is broken")
        if kind == "GetTaskStates":
            return comms.TaskStatesResult(task_states=self._find_states(message))
        if kind == "GetXCom":
            return comms.XComResult(key=message.key, value=self.xcoms.get(message.key))
        if kind == "GetTaskStateStore":
            if message.key not in self.store:
                return comms.ErrorResponse(error=ErrorType.TASK_STORE_NOT_FOUND)
            return comms.TaskStateStoreResult(value=self.store[message.key])
        if kind == "GetVariable":
            if message.key not in self.variables:
                return comms.ErrorResponse(error=ErrorType.VARIABLE_NOT_FOUND)
            return comms.VariableResult(key=message.key, value=self.variables[message.key])
        if kind == "PutVariable":
            self.variables[message.key] = message.value
        if kind == "DeleteVariable":
            self.variables.pop(message.key, None)
        if kind == "GetAssetStateStoreByName":
            if (message.name, message.key) not in self.asset_store:
                return comms.ErrorResponse(error=ErrorType.ASSET_STORE_NOT_FOUND)
            return comms.AssetStateStoreResult(value=self.asset_store[message.name, message.key])
        if kind == "SetAssetStateStoreByName":
            if self.refuses_asset_store:
                from airflow.sdk.exceptions import AirflowRuntimeError

                raise AirflowRuntimeError(comms.ErrorResponse(error=ErrorType.API_SERVER_ERROR))
            self.asset_store[message.name, message.key] = message.value
        if kind == "SetXCom":
            if message.key == self.refuses:
                raise RuntimeError("422: the value cannot be stored")
            self.xcoms[message.key] = message.value
        if kind == "SetTaskStateStore":
            self._keep(message)
        if kind == "DeleteTaskStateStore":
            self.store.pop(message.key, None)
        return None

    def set_state(self, ti: FakeTaskInstance, state: str | None) -> None:
        """Set the state of a task instance; None for a cleared one."""
        self.task_states[ti.dag_id, ti.run_id, ti.task_id, ti.map_index] = state

    def _find_states(self, message: Any) -> dict[str, dict[str, str | None]]:
        """Find states as the Execution API gives them: it filters by index only those of mapped tasks."""
        states: dict[str, dict[str, str | None]] = {}
        for (dag_id, run_id, task_id, index), state in self.task_states.items():
            is_wanted = dag_id == message.dag_id and run_id in message.run_ids and task_id in message.task_ids
            if is_wanted and (message.map_index < 0 or index == message.map_index):
                name = task_id if index < 0 else f"{task_id}_{index}"
                states.setdefault(run_id, {})[name] = state
        return states

    def _keep(self, message: Any) -> None:
        if self.spares > 0:
            self.spares -= 1
            self.store[message.key] = message.value
            return
        when, self.dies = self.dies, None
        if when == "before":
            raise Killed
        self.store[message.key] = message.value
        if when == "after":
            raise Killed


def talk_to(supervisor: FakeSupervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process ask a supervisor, as the process of a task does since Airflow 3."""
    task_runner = pytest.importorskip("airflow.sdk.execution_time.task_runner")
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", supervisor, raising=False)


@dataclass
class FakeTaskInstance:
    """A task instance, as far as operators use it; keeps the XComs that are pushed."""

    dag_id: str = "a_dag"
    run_id: str = "manual__2026-01-01"
    task_id: str = "a_task"
    map_index: int = -1
    try_number: int = 1
    max_tries: int = 2
    retries: int = 2
    region_id: UUID | None = None
    region_index: int | None = None
    xcoms: dict[str, Any] = field(default_factory=dict)

    @property
    def task(self) -> SimpleNamespace:
        """The operator, as far as task instances and triggers use it."""
        return SimpleNamespace(retries=self.retries, template_ext=(), template_fields=())

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = value
