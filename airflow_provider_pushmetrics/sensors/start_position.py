"""The position where a sensor begins: older events or runs do not count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from airflow_provider_pushmetrics.client.feed import check_consumer_name, claim_event, fetch_consumer
from airflow_provider_pushmetrics.client.run_polling import RunPoll, RunSnapshot, fetch_snapshot
from airflow_provider_pushmetrics.event_matching import EventFilter
from airflow_provider_pushmetrics.exceptions import PushMetricsEventTakenError, PushMetricsParameterError
from airflow_provider_pushmetrics.hooks.pushmetrics import PushMetricsHook
from airflow_provider_pushmetrics.tasks.state import TaskState
from airflow_provider_pushmetrics.triggers.event_filters import EventChoice


@dataclass
class StartPosition:
    """
    The position where one try of a sensor begins.

    :param state: The state that all tries of the sensor share.
    :param wanted: Which events match.
    :param choice: Which of them match, beyond the receiver's filter.
    :param after: The cursor after which events count, if the user sets it.
    :param consumer: The name of the consumer whose position the receiver keeps, if the user sets it.
    :param is_rescheduled: Whether each poke is a new process.
    :param snapshot: Without a receiver: the runs that there were when the first try began.
    :param position: The cursor that was found last. 0 if that of the consumer is unknown: an event that
        another task has claimed cannot be claimed again.
    """

    hook: PushMetricsHook
    state: TaskState
    wanted: EventFilter
    choice: EventChoice
    after: int | None = None
    consumer: str | None = None
    is_rescheduled: bool = False
    snapshot: RunSnapshot | None = None
    position: int = 0
    _cursor: int | None = None

    def find_cursor(self) -> int:
        """
        Find the cursor after which events count.

        :raises PushMetricsParameterError: if the arguments contradict each other.
        """
        self._refuse_contradictions()
        if self.hook.settings.receiver is None:
            self.position = self._fetch_snapshot()
        elif self.consumer:
            self.position = self._find_consumer_position(self.consumer)
        else:
            self.position = self._find_start()
        return self.position

    def claim(self, event_id: int) -> None:
        """
        Move the consumer to an event and record the task that claims it, so that the next try finds it.

        :raises PushMetricsEventTakenError: if another task has claimed it, or a later event.
        """
        if self.consumer:
            receiver = self.hook.settings.get_receiver()
            call = claim_event(receiver, self.consumer, event_id, taken_by=self.state.task_name)
            try:
                self.hook.call(call)
            except PushMetricsEventTakenError:
                self.position = max(self.position, event_id)
                raise

    def build_snapshot_arguments(self) -> dict[str, Any]:
        """Build the arguments of the trigger that name the runs of the snapshot."""
        seen = self.snapshot
        return {
            "newest_run_id": seen.newest_id if seen else None,
            "open_run_ids": seen.open_ids if seen else (),
        }

    def _refuse_contradictions(self) -> None:
        if self.consumer is not None:
            check_consumer_name(self.consumer)
        if self.consumer and self.after is not None:
            raise PushMetricsParameterError(
                "'after' and 'consumer' both set where to begin: set only one of them."
            )
        if self.is_rescheduled and not self.consumer and self.after is None and self.wanted.run_id is None:
            raise PushMetricsParameterError(
                "in mode 'reschedule' each poke is a new process, so the sensor needs a position to begin at:"
                " set 'run_id' or 'after', or use deferrable=True."
            )

    def _find_consumer_position(self, consumer: str) -> int:
        place = self.hook.call(fetch_consumer(self.hook.settings.get_receiver(), consumer))
        was_ours = place.taken_by == self.state.task_name
        return place.position - 1 if was_ours else place.position

    def _fetch_snapshot(self) -> int:
        """Fetch the runs that exist when the sensor begins, without a receiver and its cursor."""
        conn_id = self.hook.pushmetrics_conn_id
        if self.consumer or self.after is not None:
            raise PushMetricsParameterError(
                f"'after' and 'consumer' need a receiver, and connection {conn_id!r} has none:"
                " set its extras 'receiver_url' and 'receiver_token', or leave these out."
            )
        RunPoll(self.wanted).check_can_poll(self.hook.credentials)
        self.choice.refuse_without_receiver()
        if self.snapshot is None:
            self.snapshot = self.state.load_runs(conn_id)
        if self.snapshot is None:
            self.snapshot = self.hook.call(fetch_snapshot(self.hook.credentials, self.wanted))
            self.state.save_runs(conn_id, self.snapshot)
        return 0

    def _find_start(self) -> int:
        """Find the cursor where the first try began, if the user sets no other."""
        if self.after is not None:
            return self.after
        if self.wanted.run_id is not None:
            return 0
        conn_id = self.hook.pushmetrics_conn_id
        if self._cursor is None:
            self._cursor = self.state.load_cursor(conn_id)
        if self._cursor is None:
            self._cursor = self.hook.fetch_cursor()
            self.state.save_cursor(conn_id, self._cursor)
        return self._cursor
