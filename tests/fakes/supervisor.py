"""Stand-ins for what runs a task in Airflow: the supervisor, whom it asks for XComs, and its own instance."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from airflow.sdk.execution_time.comms import GetXCom, XComResult


@dataclass
class FakeSupervisor:
    """
    Answers what a process of Airflow asks while it runs a task.

    :param xcoms: The XComs, by key.
    """

    xcoms: dict[str, Any] = field(default_factory=dict)

    def send(self, message: Any) -> Any:
        """Answer one message."""
        if isinstance(message, GetXCom):
            return XComResult(key=message.key, value=self.xcoms.get(message.key))
        return None


@dataclass
class FakeTaskInstance:
    """A task instance, as far as operators use it; keeps the XComs that are pushed."""

    dag_id: str = "a_dag"
    run_id: str = "manual__2026-01-01"
    task_id: str = "a_task"
    map_index: int = -1
    try_number: int = 1
    max_tries: int = 2
    xcoms: dict[str, Any] = field(default_factory=dict)

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = value
