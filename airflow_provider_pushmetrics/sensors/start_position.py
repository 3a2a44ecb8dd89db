"""Where a sensor begins: which events, or which runs, are too old to count."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_pushmetrics.client.feed import check_consumer_name, claim_event, fetch_consumer
from airflow_provider_pushmetrics.client.run_polling import RunPoll, RunSnapshot, fetch_snapshot
from airflow_provider_pushmetrics.event_matching import EventFilter
from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError
from airflow_provider_pushmetrics.hooks.pushmetrics import PushMetricsHook
from airflow_provider_pushmetrics.tasks.state import TaskState
from airflow_provider_pushmetrics.triggers.event_filters import EventChoice


@dataclass
class StartPosition:
    """
    Where one try of a sensor begins.

    :param state: What the tries of the sensor share.
    :param wanted: Which events are wanted.
    :param choice: Which of them are, beyond what the receiver can tell.
    :param after: The cursor after which events count, where the user says it.
    :param consumer: The name under which the receiver keeps the place, where the user says it.
    :param is_rescheduled: Whether each poke is a new process.
    :param snapshot: Without a receiver: the runs that there were when the first try began.
    """

    hook: PushMetricsHook
    state: TaskState
    wanted: EventFilter
    choice: EventChoice
    after: int | None = None
    consumer: str | None = None
    is_rescheduled: bool = False
    snapshot: RunSnapshot | None = None
    _cursor: int | None = None

    def find_cursor(self) -> int:
        """
        Find the cursor after which events count.

        :raises PushMetricsParameterError: if what the user says contradicts itself.
        """
        self._refuse_contradictions()
        if self.hook.settings.receiver is None:
            return self._fetch_snapshot()
        return self._find_consumer_position(self.consumer) if self.consumer else self._find_start()

    def claim(self, event_id: int) -> None:
        """Move the consumer to an event, and say whose it is: if this try dies now, the next one knows."""
        if self.consumer:
            receiver = self.hook.settings.get_receiver()
            self.hook.call(claim_event(receiver, self.consumer, event_id, taken_by=self.state.task_name))

    def _refuse_contradictions(self) -> None:
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

    def _find_consumer_position(self, consumer: str) -> int:
        place = self.hook.call(fetch_consumer(self.hook.settings.get_receiver(), consumer))
        was_ours = place.taken_by == self.state.task_name
        return place.position - 1 if was_ours else place.position

    def _fetch_snapshot(self) -> int:
        """See which runs there are when the sensor begins, where there is no receiver with a cursor."""
        conn_id = self.hook.pushmetrics_conn_id
        if self.consumer or self.after is not None:
            raise PushMetricsParameterError(
                f"'after' and 'consumer' are about a receiver's inbox, and connection {conn_id!r} names none:"
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
        """Find the cursor where the first try began, if the user names no other."""
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
