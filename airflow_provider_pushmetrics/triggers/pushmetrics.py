"""Triggers: what waits in the triggerer, without a worker slot."""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import re
import time
from collections.abc import AsyncIterator, Hashable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import conf
from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_pushmetrics.client import feed, waits
from airflow_provider_pushmetrics.client.feed import EventFilter
from airflow_provider_pushmetrics.client.models import FeedEvent, FeedPage
from airflow_provider_pushmetrics.client.retries import ONE_ATTEMPT
from airflow_provider_pushmetrics.client.waits import FinishedRun, Patience, RunTarget
from airflow_provider_pushmetrics.compat import BaseEventTrigger, SharedStreamProducer
from airflow_provider_pushmetrics.exceptions import PushMetricsApiError, PushMetricsError, rebuild_error
from airflow_provider_pushmetrics.hooks.async_client import PushMetricsAsyncClient
from airflow_provider_pushmetrics.hooks.pushmetrics import PushMetricsHook
from airflow_provider_pushmetrics.metrics import time_wait
from airflow_provider_pushmetrics.triggers.shared_waits import wait_for_event, wait_for_run

if TYPE_CHECKING:
    from airflow.triggers.shared_stream import AdvanceItem

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
        """Wait for the run to end, or for the deadline, and yield one event."""
        outcome = await self._wait_for_outcome()
        await _sleep_until(self.not_before)
        yield outcome

    async def on_kill(self) -> None:
        """Cancel the run, where the server can: a user has acted on the task; no restart calls this."""
        if not self.cancel_on_kill or self.run_id is None:
            return
        try:
            async with PushMetricsAsyncClient.open(self.pushmetrics_conn_id) as client:
                if client.settings.api_token:
                    await client.cancel_run(self.run_id, policy=ONE_ATTEMPT)
        except PushMetricsError as error:
            self.log.warning("run %s could not be cancelled: %s", self.run_id, error)

    async def _wait_for_outcome(self) -> TriggerEvent:
        target = RunTarget(self.report_id, self.run_id, self.after_cursor)
        try:
            patience = Patience(self.deadline, self.poll_interval_seconds)
            with time_wait("report.run"):
                finished = await wait_for_run(self.pushmetrics_conn_id, target, patience=patience)
        except PushMetricsError as error:
            return build_failure_event(error, run_id=self.run_id)
        if finished is None:
            return build_timeout_event(run_id=self.run_id)
        return build_finished_event(finished)


class PushMetricsSensorTrigger(BaseTrigger):
    """
    Wait for the first event in the receiver's inbox that is wanted, and fire one event.

    :param event: The event's name, such as ``report.run``.
    :param report_id: The report; None for any.
    :param query_id: The query; None for any.
    :param run_id: The run; None for any.
    :param after: The cursor after which events count.
    :param pushmetrics_conn_id: The connection.
    :param deadline: When to give up, in Unix seconds; None for never.
    :param not_before: When the event may be fired at the earliest, in Unix seconds; see
        ``compute_not_before``.
    """

    def __init__(
        self,
        *,
        event: str,
        report_id: int | None = None,
        query_id: int | None = None,
        run_id: int | None = None,
        after: int = 0,
        pushmetrics_conn_id: str = PushMetricsHook.default_conn_name,
        deadline: float | None = None,
        not_before: float | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.event = event
        self.report_id = report_id
        self.query_id = query_id
        self.run_id = run_id
        self.after = after
        self.pushmetrics_conn_id = pushmetrics_conn_id
        self.deadline = deadline
        self.not_before = not_before

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Write down what it takes to build this trigger elsewhere; no token among it."""
        return f"{_PATH}.{type(self).__name__}", {
            "event": self.event,
            "report_id": self.report_id,
            "query_id": self.query_id,
            "run_id": self.run_id,
            "after": self.after,
            "pushmetrics_conn_id": self.pushmetrics_conn_id,
            "deadline": self.deadline,
            "not_before": self.not_before,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait for the event, or for the deadline, and yield one event."""
        outcome = await self._wait_for_outcome()
        await _sleep_until(self.not_before)
        yield outcome

    async def _wait_for_outcome(self) -> TriggerEvent:
        wanted = EventFilter(self.event, self.report_id, self.query_id, self.run_id)
        try:
            with time_wait(self.event):
                found = await wait_for_event(
                    self.pushmetrics_conn_id, wanted, after=self.after, patience=Patience(self.deadline)
                )
        except PushMetricsError as error:
            return build_failure_event(error, run_id=self.run_id)
        if found is None:
            return build_timeout_event(run_id=self.run_id)
        return TriggerEvent(
            {"status": "success", "message": f"{self.event} arrived", "found": dump_event(found)}
        )


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


class InboxProducer(SharedStreamProducer):
    """
    Read a named consumer's events from the receiver's inbox, and move its position on.

    Events that arrive close together are handed over at once but for the last of them, which comes a moment
    later. Airflow's scheduler overlooks an event that is stored while it makes a Dag run for the one before,
    until there is another event (seen on Airflow 3.3.2 with two events 9 ms apart); so there is another one.

    :param kwargs: The arguments of the trigger.
    """

    spacing_seconds = 2.0
    """How long the last event of several keeps its distance; the scheduler looks about once a second."""

    def __init__(self, kwargs: dict[str, Any]) -> None:
        self._conn_id: str = kwargs["pushmetrics_conn_id"]
        self._consumer = build_position_name(kwargs)
        self._wanted = EventFilter(kwargs["event"], kwargs.get("report_id"), kwargs.get("query_id"))
        self._client: PushMetricsAsyncClient | None = None
        self._opened = AsyncExitStack()
        self._handed_over_at = -math.inf

    async def open_stream(self) -> AsyncIterator[tuple[Any, Any]]:
        """Yield each wanted event after the stored position, with its id."""
        self._client = await self._opened.enter_async_context(PushMetricsAsyncClient.open(self._conn_id))
        receiver = self._client.settings.get_receiver()
        after = await self._client.call(feed.fetch_position(receiver, self._consumer)) or 0
        while True:
            page: FeedPage = await self._client.call(
                waits.fetch_next_page(receiver, self._wanted, after=after, patience=Patience())
            )
            for event in page.events:
                if event is page.events[-1]:
                    await asyncio.sleep(self._handed_over_at + self.spacing_seconds - time.monotonic())
                self._handed_over_at = time.monotonic()
                yield dump_event(event), event.id
            after = page.cursor

    async def advance(self, batch: Sequence[AdvanceItem]) -> None:
        """
        Move the position to the last event that Airflow has stored.

        :raises PushMetricsApiError: if the receiver does not take it; Airflow then begins again from the
            position.
        """
        stored = None
        for item in batch:
            if not item.outcome.is_clean:
                break
            stored = item.broker_payload
        if stored is not None:
            await self.store_position(stored)
        if stored != batch[-1].broker_payload:
            raise PushMetricsApiError(
                f"Airflow did not store an event for consumer {self._consumer!r}; it is read again from"
                " there."
            )

    async def store_position(self, position: int) -> None:
        """Store the consumer's position in the receiver."""
        assert self._client is not None
        receiver = self._client.settings.get_receiver()
        await self._client.call(feed.store_position(receiver, self._consumer, position))

    async def aclose(self) -> None:
        """Close the connections."""
        self._client = None
        await self._opened.aclose()


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


async def _sleep_until(moment: float | None) -> None:
    if moment is not None:
        await asyncio.sleep(max(0.0, moment - time.time()))


def build_finished_event(finished: FinishedRun) -> TriggerEvent:
    """Build the event of a run that is over; how it ended is for the task to find out."""
    return TriggerEvent(
        {
            "status": "success",
            "message": f"run {finished.run_id} is over",
            "run_id": finished.run_id,
            "report_id": finished.report_id,
            "outputs_url": finished.outputs_url,
            "run_status": finished.status.value if finished.status else None,
        }
    )


def build_timeout_event(*, run_id: int | None) -> TriggerEvent:
    """Build the event of a deadline that passed."""
    return TriggerEvent({"status": "timeout", "message": "the deadline passed", "run_id": run_id})


def build_failure_event(error: PushMetricsError, *, run_id: int | None) -> TriggerEvent:
    """Build the event of a wait that gave up, with what it takes to raise the same error in the task."""
    return TriggerEvent(
        {"status": "error", "message": str(error), "error": type(error).__name__, "run_id": run_id}
    )


def rebuild_failure(event: Mapping[str, Any]) -> PushMetricsError:
    """Build the error of an event that is neither a success nor a timeout."""
    message = event.get("message") or f"the trigger said {event.get('status')!r}, which nobody knows here"
    return rebuild_error(event.get("error"), str(message))


def build_position_name(kwargs: Mapping[str, Any]) -> str:
    """
    Make the name under which a trigger's position is kept, the same in every process for the same arguments.

    What is wanted is a part of it: two triggers with one position would skip each other's events.
    """
    wish = [kwargs[name] for name in ("event", "report_id", "query_id", "pushmetrics_conn_id")]
    digest = hashlib.sha256(json.dumps(wish).encode()).hexdigest()[:12]
    return f"{kwargs['consumer']}-{re.sub(r'[^A-Za-z0-9._-]', '_', kwargs['event'])}-{digest}"


def dump_event(event: FeedEvent) -> dict[str, Any]:
    """Write an event of the inbox as Airflow stores it."""
    return event.model_dump(mode="json", include={"id", "source", "received_at", "body"})
