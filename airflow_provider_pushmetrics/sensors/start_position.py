"""Where a sensor begins: which events, or which runs, are too old to count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_pushmetrics.client.consumers import check_consumer_name, fetch_consumer, take_event
from airflow_provider_pushmetrics.client.feed import EventFilter
from airflow_provider_pushmetrics.client.run_polls import RunPoll, RunsSeen, see_runs
from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError
from airflow_provider_pushmetrics.hooks.pushmetrics import PushMetricsHook
from airflow_provider_pushmetrics.sensors.first_start import open_first_start
from airflow_provider_pushmetrics.task_iteration import list_iteration_parts
from airflow_provider_pushmetrics.triggers.event_filters import EventChoice

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


@dataclass
class StartPosition:
    """
    Where one try of a sensor begins.

    :param wanted: Which events are wanted.
    :param choice: Which of them are, beyond what the receiver can tell.
    :param after: The cursor after which events count, where the user says it.
    :param consumer: The name under which the receiver keeps the place, where the user says it.
    :param is_rescheduled: Whether each look is a new process.
    :param runs_seen: Without a receiver: the runs that there were when the first try began.
    """

    hook: PushMetricsHook
    wanted: EventFilter
    choice: EventChoice
    after: int | None = None
    consumer: str | None = None
    is_rescheduled: bool = False
    runs_seen: RunsSeen | None = None
    _cursor: int | None = None

    def find_cursor(self, context: Context) -> int:
        """
        Find the cursor after which events count.

        :raises PushMetricsParameterError: if what the user says contradicts itself.
        """
        if self.consumer is not None:
            check_consumer_name(self.consumer)
        if self.consumer and self.after is not None:
            raise PushMetricsParameterError(
                "'after' and 'consumer' both say where to begin: set only one of them."
            )
        if self.is_rescheduled and not self.consumer and self.after is None and self.wanted.run_id is None:
            raise PushMetricsParameterError(
                "in mode 'reschedule' each look is a new process, so the sensor must be told where to begin:"
                " set 'run_id' or 'after', or use deferrable=True."
            )
        if self.hook.settings.receiver is None:
            return self._see_runs(context)
        return self._find_consumers_place(context) if self.consumer else self._get_start(context)

    def take(self, event_id: int, context: Context) -> None:
        """Move the consumer to an event, and say whose it is: if this try dies now, the next one knows."""
        if self.consumer:
            receiver, taken_by = self.hook.settings.get_receiver(), name_task_instance(context)
            self.hook.call(take_event(receiver, self.consumer, event_id, taken_by=taken_by))

    def _find_consumers_place(self, context: Context) -> int:
        assert self.consumer is not None
        place = self.hook.call(fetch_consumer(self.hook.settings.get_receiver(), self.consumer))
        was_ours = place.taken_by == name_task_instance(context)
        return place.position - 1 if was_ours else place.position

    def _see_runs(self, context: Context) -> int:
        """See which runs there are when the sensor begins, where there is no receiver with a cursor."""
        if self.consumer or self.after is not None:
            raise PushMetricsParameterError(
                f"'after' and 'consumer' are about a receiver's inbox, and connection"
                f" {self.hook.pushmetrics_conn_id!r} names none: set its extras 'receiver_url' and"
                " 'receiver_token', or leave these out."
            )
        RunPoll(self.wanted).refuse_unaskable(self.hook.credentials)
        self.choice.refuse_without_receiver()
        if self.runs_seen is None:
            first = open_first_start(context, self.hook.pushmetrics_conn_id)
            self.runs_seen = first.load_runs()
            if self.runs_seen is None:
                self.runs_seen = self.hook.call(see_runs(self.hook.credentials, self.wanted))
                first.keep_runs(self.runs_seen)
        return 0

    def _get_start(self, context: Context) -> int:
        """Get the cursor after which events count: where the first try began, if nobody says another."""
        if self.after is not None:
            return self.after
        if self.wanted.run_id is not None:
            return 0
        if self._cursor is None:
            first = open_first_start(context, self.hook.pushmetrics_conn_id)
            self._cursor = first.load_cursor()
            if self._cursor is None:
                self._cursor = self.hook.fetch_cursor()
                first.keep_cursor(self._cursor)
        return self._cursor


def name_task_instance(context: Context) -> str:
    """Name a task instance, the same in all its tries."""
    ti: Any = context["ti"]
    parts = (ti.dag_id, ti.run_id, ti.task_id, str(ti.map_index), *list_iteration_parts(ti))
    return "/".join(parts)
