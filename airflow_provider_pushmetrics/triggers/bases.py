"""Base classes of the triggers: serialization, and one event for every outcome."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_pushmetrics.exceptions import PushMetricsError, PushMetricsLastLookError
from airflow_provider_pushmetrics.metrics import count_finished_run
from airflow_provider_pushmetrics.storable import clean_text, describe_error, format_error
from airflow_provider_pushmetrics.tasks.ends import TaskEnd, end_task
from airflow_provider_pushmetrics.tasks.iteration import list_iteration_parts
from airflow_provider_pushmetrics.triggers.resumption import sleep_until
from airflow_provider_pushmetrics.triggers.trigger_events import build_failure_event, build_timeout_event


class SerializableTrigger(BaseTrigger):
    """A trigger that stores each parameter in an attribute of the same name."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the constructor arguments, which contain no token."""
        names = [name for name in inspect.signature(type(self)).parameters if name != "self"]
        return f"{type(self).__module__}.{type(self).__name__}", {name: getattr(self, name) for name in names}


class WaitTrigger(SerializableTrigger):
    """
    Wait for one thing, and fire one event; never raise.

    An unexpected error becomes an event too: Airflow stores the traceback of a trigger that raised, and a NUL
    or a surrogate in it would end the triggerer with all its waits.
    """

    run_id: int | str | None
    deadline: float | None
    not_before: float | None
    end_from_trigger: bool

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and yield one event: the end of the task, or an event for a worker."""
        try:
            found = await self.find()
            event = await self._end(found) or self.build_event(found)
        except PushMetricsLastLookError as error:
            event = build_timeout_event(run_id=self.find_run_id(), cause=describe_error(error))
        except Exception as error:
            if not isinstance(error, PushMetricsError):
                self.log.error("The wait failed: %s", format_error(error))
            event = build_failure_event(error, run_id=self.find_run_id())
        # A worker continues, which must have reported its first part; in dag.test() there is none.
        if type(event) is TriggerEvent and self.task_instance is not None:
            await sleep_until(self.not_before)
        yield event

    async def find(self) -> Any:
        """Wait for the result; None if the deadline passed."""
        raise NotImplementedError

    def build_event(self, found: Any) -> TriggerEvent:
        """Build the event with which a worker continues."""
        raise NotImplementedError

    async def build_end(self, found: Any) -> TaskEnd | None:
        """Build the end of a task that ends here; None if a worker must end it."""
        raise NotImplementedError

    def find_run_id(self) -> int | None:
        """Find the run's number, if it is known."""
        return self.run_id if isinstance(self.run_id, int) else None

    async def _end(self, found: Any) -> Any | None:
        """
        End the task here, if that is requested and possible; None to let a worker continue.

        In ``dag.test()`` and in an iteration of a Task Loop it is not possible.
        """
        ti = self.task_instance
        if found is None or not self.end_from_trigger or ti is None or list_iteration_parts(ti):
            return None
        try:
            end = await self.build_end(found)
            event = None if end is None else await end_task(self, end.xcoms)
        except Exception as error:  # a persistent error occurs again on the worker, and fails the task
            self.log.warning("A worker ends the task, not the triggerer: %s", describe_error(error))
            return None
        if end is not None and event is not None:
            self._record(end)
        return event

    def _record(self, end: TaskEnd) -> None:
        """Count and log the end of a task that has ended here, as a worker does."""
        if end.status is not None:
            count_finished_run(end.status, {})
        if end.message is not None:
            self.log.info("%s", clean_text(end.message))
