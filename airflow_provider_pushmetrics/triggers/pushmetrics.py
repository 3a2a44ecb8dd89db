"""Triggers: what waits in the triggerer, without a worker slot."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Any

from airflow.providers.common.compat.sdk import conf
from airflow.triggers.base import BaseTrigger, TaskSuccessEvent, TriggerEvent

from airflow_provider_pushmetrics.client import waits
from airflow_provider_pushmetrics.client.consumers import MAX_NAME_LENGTH, check_consumer_name
from airflow_provider_pushmetrics.client.feed import EventFilter
from airflow_provider_pushmetrics.client.models import FeedEvent
from airflow_provider_pushmetrics.client.retries import ONE_ATTEMPT
from airflow_provider_pushmetrics.client.run_polls import RunsSeen
from airflow_provider_pushmetrics.client.waits import FinishedRun, Patience, RunTarget
from airflow_provider_pushmetrics.compat import BaseEventTrigger
from airflow_provider_pushmetrics.exceptions import PushMetricsError, PushMetricsParameterError, rebuild_error
from airflow_provider_pushmetrics.hooks.async_client import PushMetricsAsyncClient
from airflow_provider_pushmetrics.hooks.pushmetrics import PushMetricsHook
from airflow_provider_pushmetrics.metrics import time_wait
from airflow_provider_pushmetrics.storable import describe_error, format_error, make_storable
from airflow_provider_pushmetrics.triggers.argument_checks import check_seconds
from airflow_provider_pushmetrics.triggers.event_choice import EventChoice, read_number
from airflow_provider_pushmetrics.triggers.inbox_producer import (
    InboxProducer,
    build_position_name,
    dump_event,
)
from airflow_provider_pushmetrics.triggers.joint_waits import wait_for_event, wait_for_run

_PATH = "airflow_provider_pushmetrics.triggers.pushmetrics"


class PushMetricsRunTrigger(BaseTrigger):
    """
    Wait for a report run to end, and fire one event.

    It only reads, so a triggerer that restarts may run it again without harm.

    :param report_id: The report.
    :param run_id: The run; None to take the first one that ends after ``after_cursor``.
    :param after_cursor: The receiver's cursor before the run was started.
    :param pushmetrics_conn_id: The connection.
    :param deadline: When to give up, in Unix seconds; None for never.
    :param not_before: When the event may be fired at the earliest, in Unix seconds; see
        ``compute_not_before``.
    :param poll_interval_seconds: How often to ask the API where there is no receiver.
    :param cancel_on_kill: Cancel the run when a user marks or clears the task.
    """

    def __init__(
        self,
        *,
        report_id: str,
        run_id: int | None = None,
        after_cursor: int | None = None,
        pushmetrics_conn_id: str = PushMetricsHook.default_conn_name,
        deadline: float | None = None,
        not_before: float | None = None,
        poll_interval_seconds: float = waits.DEFAULT_POLL_INTERVAL_SECONDS,
        cancel_on_kill: bool = True,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        check_seconds("poll_interval_seconds", poll_interval_seconds)
        self.report_id = report_id
        self.run_id = run_id
        self.after_cursor = after_cursor
        self.pushmetrics_conn_id = pushmetrics_conn_id
        self.deadline = deadline
        self.not_before = not_before
        self.poll_interval_seconds = poll_interval_seconds
        self.cancel_on_kill = cancel_on_kill

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Write down what it takes to build this trigger elsewhere; no token among it."""
        return f"{_PATH}.{type(self).__name__}", {
            "report_id": self.report_id,
            "run_id": self.run_id,
            "after_cursor": self.after_cursor,
            "pushmetrics_conn_id": self.pushmetrics_conn_id,
            "deadline": self.deadline,
            "not_before": self.not_before,
            "poll_interval_seconds": self.poll_interval_seconds,
            "cancel_on_kill": self.cancel_on_kill,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait for the run to end, or for the deadline, and yield one event; never raise."""
        yield await _find_outcome(self, self._wait_for_outcome, run_id=self.run_id)

    async def on_kill(self) -> None:
        """Cancel the run, where the server can: a user has acted on the task; no restart calls this."""
        if not self.cancel_on_kill or self.run_id is None:
            return
        try:
            async with PushMetricsAsyncClient.open(self.pushmetrics_conn_id) as client:
                if client.settings.api_token:
                    await client.cancel_run(self.run_id, policy=ONE_ATTEMPT)
        except PushMetricsError as error:
            self.log.warning("run %s could not be cancelled: %s", self.run_id, describe_error(error))

    async def _wait_for_outcome(self) -> TriggerEvent:
        target = RunTarget(self.report_id, self.run_id, self.after_cursor)
        patience = Patience(self.deadline, self.poll_interval_seconds)
        with time_wait("report.run"):
            finished = await wait_for_run(self.pushmetrics_conn_id, target, patience=patience)
        if finished is None:
            return build_timeout_event(run_id=self.run_id)
        return build_finished_event(finished)


class PushMetricsSensorTrigger(BaseTrigger):
    """
    Wait for the first event in the receiver's inbox that is wanted, and fire one event.

    Without a receiver, the API is asked for the run that the event would be about. A trigger that Airflow
    itself starts (``start_from_trigger``) renders the numbers here.

    :param event: The event's name, such as ``report.run``.
    :param report_id: The report; None for any.
    :param query_id: The query; None for any.
    :param run_id: The run; None for any.
    :param workspace_id: The workspace; None for any.
    :param event_filter: The import path of a function that says of an event's body whether it is wanted.
    :param after: The cursor after which events count.
    :param newest_run_id: Without a receiver: the newest run that there was when the wait began; None if
        nobody saw that, which needs ``run_id``.
    :param open_run_ids: Without a receiver: the runs that were going on then.
    :param pushmetrics_conn_id: The connection.
    :param poll_interval_seconds: How often to ask the API where there is no receiver.
    :param deadline: When to give up, in Unix seconds; None for never.
    :param timeout_seconds: How long to wait from the trigger's start on, where nobody has set a deadline.
    :param not_before: When the event may be fired at the earliest, in Unix seconds; see
        ``compute_not_before``.
    :param end_from_trigger: End the task here if the event arrives; whatever else happens is for a worker.
    """

    def __init__(
        self,
        *,
        event: str,
        report_id: int | str | None = None,
        query_id: int | str | None = None,
        run_id: int | str | None = None,
        workspace_id: int | str | None = None,
        event_filter: str | None = None,
        after: int | str | None = 0,
        newest_run_id: int | None = None,
        open_run_ids: Sequence[int] = (),
        pushmetrics_conn_id: str = PushMetricsHook.default_conn_name,
        poll_interval_seconds: float = waits.DEFAULT_POLL_INTERVAL_SECONDS,
        deadline: float | None = None,
        timeout_seconds: float | None = None,
        not_before: float | None = None,
        end_from_trigger: bool = False,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        check_seconds("poll_interval_seconds", poll_interval_seconds)
        self.event = event
        self.report_id = report_id
        self.query_id = query_id
        self.run_id = run_id
        self.workspace_id = workspace_id
        self.event_filter = event_filter
        self.after = after
        self.newest_run_id = newest_run_id
        self.open_run_ids = open_run_ids
        self.pushmetrics_conn_id = pushmetrics_conn_id
        self.poll_interval_seconds = poll_interval_seconds
        self.deadline = deadline
        self.timeout_seconds = timeout_seconds
        self.not_before = not_before
        self.end_from_trigger = end_from_trigger

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Write down what it takes to build this trigger elsewhere; no token among it."""
        return f"{_PATH}.{type(self).__name__}", {
            "event": self.event,
            "report_id": self.report_id,
            "query_id": self.query_id,
            "run_id": self.run_id,
            "workspace_id": self.workspace_id,
            "event_filter": self.event_filter,
            "after": self.after,
            "newest_run_id": self.newest_run_id,
            "open_run_ids": list(self.open_run_ids),
            "pushmetrics_conn_id": self.pushmetrics_conn_id,
            "poll_interval_seconds": self.poll_interval_seconds,
            "deadline": self.deadline,
            "timeout_seconds": self.timeout_seconds,
            "not_before": self.not_before,
            "end_from_trigger": self.end_from_trigger,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait for the event, or for the deadline, and yield one event; never raise."""
        yield await _find_outcome(self, self._wait_for_outcome, run_id=self._find_run_id())

    async def _wait_for_outcome(self) -> TriggerEvent:
        with time_wait(self.event):
            found = await self._wait_for_event()
        if found is None:
            return build_timeout_event(run_id=self._find_run_id())
        if self.end_from_trigger:
            return TaskSuccessEvent(xcoms={"return_value": dump_event(found)})
        return build_found_event(self.event, found)

    def _find_run_id(self) -> int | None:
        return self.run_id if isinstance(self.run_id, int) else None

    async def _wait_for_event(self) -> FeedEvent | None:
        deadline = self.deadline
        if deadline is None and self.timeout_seconds is not None:
            deadline = time.time() + self.timeout_seconds
        if self.run_id is None and self.after is None:
            raise PushMetricsParameterError(
                "run_id and after are both None: their templates gave nothing, and one must say which"
                " events count."
            )
        choice = EventChoice(read_number("workspace_id", self.workspace_id), self.event_filter)
        return await wait_for_event(
            self.pushmetrics_conn_id,
            EventFilter(
                self.event,
                read_number("report_id", self.report_id),
                read_number("query_id", self.query_id),
                read_number("run_id", self.run_id),
            ),
            after=read_number("after", self.after) or 0,
            patience=Patience(deadline, self.poll_interval_seconds),
            accepts=await asyncio.to_thread(choice.load),  # importing a module reads files
            seen=self._find_seen(),
        )

    def _find_seen(self) -> RunsSeen | None:
        return None if self.newest_run_id is None else RunsSeen(self.newest_run_id, tuple(self.open_run_ids))


class PushMetricsEventTrigger(BaseEventTrigger):
    """
    Fire an event for each webhook event that is wanted: the trigger of an ``AssetWatcher``.

    How far it has come is kept in the receiver, by consumer and by what is wanted. A new consumer begins with
    the oldest event in the inbox. On Airflow 3.3 the position moves on only when Airflow has stored the
    event, so none is lost when the triggerer dies; on older versions, once Airflow has taken it.

    :param event: The event's name, such as ``report.run``.
    :param report_id: The report; None for any.
    :param query_id: The query; None for any.
    :param consumer: A name for who reads, where several Airflows read from one receiver: letters, digits and
        ``. _ : ~ @ + -``. Each needs its own, or an event reaches only one of them.
    :param pushmetrics_conn_id: The connection.
    """

    def __init__(
        self,
        *,
        event: str = "report.run",
        report_id: int | None = None,
        query_id: int | None = None,
        consumer: str = "airflow",
        pushmetrics_conn_id: str = PushMetricsHook.default_conn_name,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.event = event
        self.report_id = report_id
        self.query_id = query_id
        self.pushmetrics_conn_id = pushmetrics_conn_id
        self.consumer = consumer
        taken = len(build_position_name(self.serialize()[1])) - len(str(consumer))
        check_consumer_name(consumer, max_length=MAX_NAME_LENGTH - taken)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Write down what it takes to build this trigger elsewhere; no token among it."""
        return f"{_PATH}.{type(self).__name__}", {
            "event": self.event,
            "report_id": self.report_id,
            "query_id": self.query_id,
            "consumer": self.consumer,
            "pushmetrics_conn_id": self.pushmetrics_conn_id,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield events for ever; the way of Airflow before 3.3."""
        producer = InboxProducer(self.serialize()[1])
        try:
            async for raw_event, event_id in producer.open_stream():
                yield TriggerEvent(raw_event)
                await producer.store_position(event_id)
        finally:
            await producer.aclose()

    def shared_stream_key(self) -> Hashable | None:
        """Name the stream by its connection and by the position that it moves on."""
        return (_PATH, self.pushmetrics_conn_id, build_position_name(self.serialize()[1]))

    @classmethod
    def create_shared_stream_producer(cls, kwargs: dict[str, Any]) -> InboxProducer:
        """Build the stream's source; Airflow then says which of its events are stored (ack mode)."""
        return InboxProducer(kwargs)

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Any]) -> AsyncIterator[TriggerEvent]:
        """Fire an event for each one of the stream, which holds only what is wanted."""
        async for raw_event in shared_stream:
            yield TriggerEvent(raw_event)


def compute_not_before() -> float:
    """
    Say when a task that is deferred now may be resumed at the earliest, in Unix seconds.

    The worker that deferred may notice as late as its heartbeat interval that its task's process has ended,
    and reports it only then. If the task runs again by that time, the scheduler takes the report for this
    second part, finds it running, and fails the task: "finished with state success, but the task instance's
    state attribute is running". Seen on Airflow 3.3.2 with a report that took 0.7 s.
    """
    interval = conf.getfloat("workers", "min_heartbeat_interval", fallback=5.0)
    return time.time() + float(interval) + 1.0


async def _find_outcome(
    trigger: PushMetricsRunTrigger | PushMetricsSensorTrigger,
    wait: Callable[[], Awaitable[TriggerEvent]],
    *,
    run_id: int | None,
) -> TriggerEvent:
    """
    Wait for a trigger's event, and build a failure event from any error.

    This includes errors that nobody foresaw: Airflow writes the traceback of a trigger that raised into the
    task's row, and a NUL or a surrogate in it would end the triggerer and every other wait.
    """
    try:
        outcome = await wait()
    except Exception as error:
        if not isinstance(error, PushMetricsError):
            trigger.log.error("The wait failed: %s", format_error(error))
        outcome = build_failure_event(error, run_id=run_id)
    await _sleep_until(trigger.not_before)
    return outcome


async def _sleep_until(moment: float | None) -> None:
    if moment is not None:
        await asyncio.sleep(max(0.0, moment - time.time()))


def build_finished_event(finished: FinishedRun) -> TriggerEvent:
    """Build the event of a run that is over; how it ended is for the task to find out."""
    return _build_event(
        status="success",
        message=f"run {finished.run_id} is over",
        run_id=finished.run_id,
        report_id=finished.report_id,
        outputs_url=finished.outputs_url,
        run_status=finished.status.value if finished.status else None,
    )


def build_found_event(name: str, found: FeedEvent) -> TriggerEvent:
    """Build the event of a webhook event that is wanted."""
    return _build_event(status="success", message=f"{name} arrived", found=dump_event(found))


def build_timeout_event(*, run_id: int | None) -> TriggerEvent:
    """Build the event of a deadline that passed."""
    return _build_event(status="timeout", message="the deadline passed", run_id=run_id)


def build_failure_event(error: Exception, *, run_id: int | None) -> TriggerEvent:
    """Build the event of a wait that gave up, with what it takes to raise the same error in the task."""
    return _build_event(
        status="error", message=describe_error(error), error=type(error).__name__, run_id=run_id
    )


def _build_event(**payload: Any) -> TriggerEvent:
    return TriggerEvent(make_storable(payload))


def rebuild_failure(event: Mapping[str, Any]) -> PushMetricsError:
    """Build the error of an event that is neither a success nor a timeout."""
    message = event.get("message") or f"the trigger said {event.get('status')!r}, which nobody knows here"
    return rebuild_error(event.get("error"), str(message))
