"""Triggers: wait in the triggerer, without a worker slot."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Hashable, Sequence
from typing import Any

from airflow.triggers.base import TriggerEvent

from airflow_provider_pushmetrics.client.feed import MAX_CONSUMER_NAME_LENGTH, check_consumer_name
from airflow_provider_pushmetrics.client.models import FeedEvent
from airflow_provider_pushmetrics.client.outcomes import build_result, fetch_event_outcome, fetch_outcome
from airflow_provider_pushmetrics.client.retry_policy import ONE_ATTEMPT
from airflow_provider_pushmetrics.client.run_polling import RunSnapshot
from airflow_provider_pushmetrics.client.wait_budget import DEFAULT_POLL_INTERVAL_SECONDS, WaitBudget
from airflow_provider_pushmetrics.client.waits import FinishedRun, RunTarget
from airflow_provider_pushmetrics.compat import (
    BaseEventTrigger,
    has_listeners,
    require_airflow,
    run_in_thread,
)
from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError
from airflow_provider_pushmetrics.hooks.async_client import PushMetricsAsyncClient
from airflow_provider_pushmetrics.hooks.pushmetrics import PushMetricsHook
from airflow_provider_pushmetrics.links.pushmetrics import PushMetricsRunLink, list_event_links
from airflow_provider_pushmetrics.metrics import time_wait
from airflow_provider_pushmetrics.redaction import strip_query
from airflow_provider_pushmetrics.storable import describe_error
from airflow_provider_pushmetrics.tasks.arguments import check_choice, check_seconds
from airflow_provider_pushmetrics.tasks.ends import LISTENER_REASON, RETURN_KEY, TaskEnd
from airflow_provider_pushmetrics.tracing import TRACEPARENT, link_traces
from airflow_provider_pushmetrics.triggers.bases import SerializableTrigger, WaitTrigger
from airflow_provider_pushmetrics.triggers.cancellation import find_reason_to_keep, finish
from airflow_provider_pushmetrics.triggers.event_filters import (
    EVENTS,
    RUN_EVENTS,
    EventChoice,
    check_query_id,
    read_filter,
    read_number,
)
from airflow_provider_pushmetrics.triggers.event_stream import (
    DEFAULT_LIST_INTERVAL_SECONDS,
    DEFAULT_TIMING,
    EventProducer,
    build_position_name,
    build_stream_name,
)
from airflow_provider_pushmetrics.triggers.hub.hub_waits import wait_for_event_in_hub, wait_for_run_in_hub
from airflow_provider_pushmetrics.triggers.run_position import offer_asset_store
from airflow_provider_pushmetrics.triggers.trigger_events import (
    build_finished_event,
    build_found_event,
    build_timeout_event,
    dump_event,
)

_PATH = "airflow_provider_pushmetrics.triggers.pushmetrics"


class PushMetricsRunTrigger(WaitTrigger):
    """
    Wait for a report run to end, and fire one event.

    It only reads, so a triggerer that restarts, or another one, may run it again safely.

    :param report_id: The report.
    :param run_id: The run; None for the first one that ends after ``after_cursor``.
    :param after_cursor: The receiver's cursor before the run was started.
    :param parameters_digest: The digest of the parameters that it was started with; None if unknown.
    :param pushmetrics_conn_id: The connection.
    :param deadline: When to give up, in Unix seconds; None for never.
    :param not_before: When a worker may continue, in Unix seconds; see ``compute_not_before``.
    :param poll_interval_seconds: Seconds between polls of the API, without a receiver.
    :param cancel_on_kill: Cancel the run when a user marks or clears the task.
    :param on_clear: ``reuse`` if a cleared task continues with the run, which is then not cancelled.
    :param end_from_trigger: End the task here if the run succeeded and no rows are missing; otherwise a
        worker decides.
    :param on_truncated: ``fail`` if the task ends here only when PushMetrics says that no rows are missing.
    """

    cancel_timeout_seconds = 25.0
    """How long ``on_kill`` may take; less than Airflow's ``[triggerer] on_kill_timeout`` of 30 s."""

    def __init__(
        self,
        *,
        report_id: str,
        run_id: int | None = None,
        after_cursor: int | None = None,
        pushmetrics_conn_id: str = PushMetricsHook.default_conn_name,
        deadline: float | None = None,
        not_before: float | None = None,
        poll_interval_seconds: float = DEFAULT_POLL_INTERVAL_SECONDS,
        cancel_on_kill: bool = True,
        end_from_trigger: bool = False,
        on_truncated: str = "warn",
        parameters_digest: str | None = None,
        on_clear: str = "rerun",
    ) -> None:
        super().__init__()
        check_seconds("poll_interval_seconds", poll_interval_seconds)
        self.report_id = report_id
        self.run_id = run_id
        self.after_cursor = after_cursor
        self.parameters_digest = parameters_digest
        self.pushmetrics_conn_id = pushmetrics_conn_id
        self.deadline = deadline
        self.not_before = not_before
        self.poll_interval_seconds = poll_interval_seconds
        self.cancel_on_kill = cancel_on_kill
        self.end_from_trigger = end_from_trigger
        self.on_truncated = on_truncated
        self.on_clear = on_clear

    async def find(self) -> FinishedRun | None:
        """Wait for the run to end; None if the deadline passed."""
        target = RunTarget(self.report_id, self.find_run_id(), self.after_cursor)
        budget = WaitBudget(self.deadline, self.poll_interval_seconds)
        with time_wait("report.run"):
            return await wait_for_run_in_hub(self.pushmetrics_conn_id, target, budget=budget)

    def build_event(self, found: FinishedRun | None) -> TriggerEvent:
        """Build the event of a finished run, or of the deadline."""
        if found is None:
            return build_timeout_event(run_id=self.find_run_id())
        return build_finished_event(
            found, RunTarget(self.report_id, parameters_digest=self.parameters_digest)
        )

    async def build_end(self, found: FinishedRun) -> TaskEnd | None:
        """Build the return value of the task and the link to its run; None if a worker must decide."""
        async with PushMetricsAsyncClient.open(self.pushmetrics_conn_id) as client:
            outcome = await client.call(fetch_outcome(found, client.credentials))
        if not outcome.is_clean or (self.on_truncated == "fail" and not outcome.has_all_rows):
            return None
        link = strip_query(outcome.outputs_url or "")
        xcoms = {PushMetricsRunLink.build_key(): link, RETURN_KEY: build_result(outcome)}
        return TaskEnd(xcoms, outcome.describe_success(), outcome.status)

    async def on_kill(self) -> None:
        """Cancel the run, if a user has acted on the task and the server supports it."""
        run_id = self.find_run_id()
        if not self.cancel_on_kill or run_id is None:
            return
        try:
            await finish(self._cancel(run_id), self.cancel_timeout_seconds)
        except TimeoutError:
            seconds = self.cancel_timeout_seconds
            self.log.warning("run %s could not be cancelled: no answer within %g s", run_id, seconds)
        except Exception as error:  # also what Airflow raises if it does not tell the state of the task
            self.log.warning("run %s could not be cancelled: %s", run_id, describe_error(error))

    async def _cancel(self, run_id: int) -> None:
        reason = await find_reason_to_keep(self.task_instance, is_reused=self.on_clear == "reuse")
        if reason is not None:
            self.log.info("Run %s is not cancelled: %s", run_id, reason)
            return
        async with PushMetricsAsyncClient.open(self.pushmetrics_conn_id) as client:
            if not client.settings.api_token:
                return
            if await client.cancel_run(run_id, policy=ONE_ATTEMPT):
                self.log.info("Run %s of report %s is being cancelled", run_id, self.report_id)
            else:
                self.log.info("Run %s of report %s cannot be cancelled, or has ended", run_id, self.report_id)


class PushMetricsSensorTrigger(WaitTrigger):
    """
    Wait for the first matching event in the receiver's inbox, and fire one event.

    Without a receiver, the API is polled for the run. A trigger that Airflow
    starts itself (``start_from_trigger``) renders the numbers here.

    :param event: The event's name, such as ``report.run``.
    :param report_id: The report; None for any.
    :param query_id: The query; None for any.
    :param run_id: The run; None for any.
    :param workspace_id: The workspace; None for any.
    :param event_filter: The import path of a function that returns whether an event's body matches.
    :param after: The cursor after which events count.
    :param newest_run_id: Without a receiver: the newest run that existed when the wait began; None if
        unknown, which needs ``run_id``.
    :param open_run_ids: Without a receiver: the runs that were unfinished then.
    :param pushmetrics_conn_id: The connection.
    :param poll_interval_seconds: Seconds between polls of the API, without a receiver.
    :param deadline: When to give up, in Unix seconds; None for never.
    :param timeout_seconds: How long to wait from the trigger's start on, if there is no deadline.
    :param not_before: When a worker may continue, in Unix seconds; see ``compute_not_before``.
    :param end_from_trigger: End the task here if the event arrives; a worker handles everything else.
    :param on_failed_run: What a failed run means for the task: it can end here only for ``succeed``.
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
        poll_interval_seconds: float = DEFAULT_POLL_INTERVAL_SECONDS,
        deadline: float | None = None,
        timeout_seconds: float | None = None,
        not_before: float | None = None,
        end_from_trigger: bool = False,
        on_failed_run: str = "succeed",
    ) -> None:
        super().__init__()
        check_seconds("poll_interval_seconds", poll_interval_seconds)
        self.event = event
        self.report_id = report_id
        self.query_id = query_id
        self.run_id = run_id
        self.workspace_id = workspace_id
        self.event_filter = event_filter
        self.after = after
        self.newest_run_id = newest_run_id
        self.open_run_ids = list(open_run_ids)
        self.pushmetrics_conn_id = pushmetrics_conn_id
        self.poll_interval_seconds = poll_interval_seconds
        self.deadline = deadline
        self.timeout_seconds = timeout_seconds
        self.not_before = not_before
        self.end_from_trigger = end_from_trigger
        self.on_failed_run = on_failed_run

    async def find(self) -> FeedEvent | None:
        """Wait for the event; None if the deadline passed."""
        with time_wait(self.event):
            found = await self._wait_for_event()
        link_traces([found.traceparent if found else None])
        return found

    def build_event(self, found: FeedEvent | None) -> TriggerEvent:
        """Build the event of the webhook event, or of the deadline."""
        if found is None:
            return build_timeout_event(run_id=self.find_run_id())
        return build_found_event(self.event, found)

    async def build_end(self, found: FeedEvent) -> TaskEnd | None:
        """
        Build the return value of the task and its links; None if a worker must decide.

        If Airflow has started the trigger, no worker has considered listeners.
        """
        if self.deadline is None and await run_in_thread(has_listeners):  # it may load plugins
            self.log.info("A worker ends this task, not the triggerer: %s", LISTENER_REASON)
            return None
        dumped = dump_event(found)
        async with PushMetricsAsyncClient.open(self.pushmetrics_conn_id) as client:
            if self.on_failed_run != "succeed":
                outcome = await client.call(fetch_event_outcome(client.credentials, dumped["body"]))
                if outcome.failure or outcome.unknown:
                    return None
            return TaskEnd({**list_event_links(dumped, client.settings), RETURN_KEY: dumped})

    async def _wait_for_event(self) -> FeedEvent | None:
        deadline = self.deadline
        if deadline is None and self.timeout_seconds is not None:
            deadline = time.time() + self.timeout_seconds
        if self.run_id is None and self.after is None:
            raise PushMetricsParameterError(
                "run_id and after are both None: their templates rendered to nothing. One of them must set"
                " which events count."
            )
        choice = EventChoice(read_number("workspace_id", self.workspace_id), self.event_filter)
        return await wait_for_event_in_hub(
            self.pushmetrics_conn_id,
            read_filter(self),
            after=read_number("after", self.after) or 0,
            budget=WaitBudget(deadline, self.poll_interval_seconds),
            accepts=await run_in_thread(choice.load),  # an import may read Airflow's variables
            seen=self._find_snapshot(),
        )

    def _find_snapshot(self) -> RunSnapshot | None:
        return (
            None if self.newest_run_id is None else RunSnapshot(self.newest_run_id, tuple(self.open_run_ids))
        )


class PushMetricsEventTrigger(SerializableTrigger, BaseEventTrigger):
    """
    Fire an event for each matching webhook event: the trigger of an ``AssetWatcher``.

    The receiver keeps the position, by consumer, filter and asset. A new one begins with the oldest event in
    the inbox. On Airflow 3.3 the position moves only after Airflow has stored the event, so none is lost when
    the triggerer dies; on older versions, after Airflow has received it.

    Without a receiver in the connection, the API's list of runs is polled, and Airflow keeps the position. A
    new watcher begins with the runs that have not ended.

    :param event: The event's name: ``report.`` or ``query.`` with ``run``, ``created``, ``updated`` or
        ``deleted``. Without a receiver, only ``report.run``.
    :param report_id: The number of the report; None for any.
    :param query_id: The number of the query, with an event of queries; None for any.
    :param consumer: A name for this reader, if several Airflows read from one receiver: letters, digits and
        ``. _ : ~ @ + -``. Each needs its own name; otherwise an event reaches only one of them.
        Without ``asset_name``, so do two assets with the same filter whose queue or interval differs.
    :param pushmetrics_conn_id: The connection.
    :param queue: The trigger queue of the watcher; needs Airflow 3.4.
    :param only_successful: Fire only for runs that succeeded, with an event of runs; needs an API token.
    :param poll_interval_seconds: Seconds between polls of the API's list of runs, at least 5, without a
        receiver. Before Airflow 3.3, a change of it begins as a new watcher does.
    :param asset_name: The name of the asset that it updates, as ``build_run_asset`` sets it. A receiver then
        keeps the position of this asset, also if the connection or ``only_successful`` is changed. Without
        it, such a change begins as a new watcher does.
    :raises PushMetricsParameterError: for an argument that is invalid, or that no event matches.
    :raises PushMetricsAirflowVersionError: for a queue before Airflow 3.4.
    """

    timing = DEFAULT_TIMING
    """How long the stream of events pauses."""

    def __init__(
        self,
        *,
        event: str = "report.run",
        report_id: int | None = None,
        query_id: int | None = None,
        consumer: str = "airflow",
        pushmetrics_conn_id: str = PushMetricsHook.default_conn_name,
        queue: str | None = None,
        only_successful: bool = False,
        poll_interval_seconds: float = DEFAULT_LIST_INTERVAL_SECONDS,
        asset_name: str | None = None,
    ) -> None:
        super().__init__()
        check_seconds("poll_interval_seconds", poll_interval_seconds, minimum=self.timing.min_poll_seconds)
        check_choice("event", event, EVENTS)
        check_query_id(event, query_id)
        if only_successful and event not in RUN_EVENTS:
            raise PushMetricsParameterError(
                f"only_successful is set and event is {event!r}: only {' and '.join(RUN_EVENTS)} have an"
                " outcome. Leave only_successful out."
            )
        if queue is not None:
            require_airflow("3.4", "PushMetricsEventTrigger(queue=…)", "Leave 'queue' out.")
        self.queue = queue
        self.event = event
        self.report_id = read_number("report_id", report_id)
        self.query_id = read_number("query_id", query_id)
        self.asset_name = asset_name
        self.pushmetrics_conn_id = pushmetrics_conn_id
        self.consumer = consumer
        self.only_successful = only_successful
        self.poll_interval_seconds = poll_interval_seconds
        taken = len(build_position_name(self.serialize()[1])) - len(str(consumer))
        check_consumer_name(consumer, max_length=MAX_CONSUMER_NAME_LENGTH - taken)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield events forever; for a task one, since it would not get those that follow."""
        producer = EventProducer(
            self.serialize()[1], raises_errors=self.task_instance is not None, timing=self.timing
        )
        try:
            async for raw_event, event_id in producer.open_stream():
                yield TriggerEvent(raw_event)
                await producer.advance_unconfirmed(event_id)
                if self.task_instance is not None:
                    return
        finally:
            await producer.aclose()

    def shared_stream_key(self) -> Hashable | None:
        """Name the stream, which equal triggers share; None for a task, which fails separately."""
        if self.task_instance is not None:
            return None
        name = build_stream_name(self.serialize()[1])
        offer_asset_store(name, getattr(self, "asset_state_store", None))
        return (_PATH, self.pushmetrics_conn_id, name)

    @classmethod
    def create_shared_stream_producer(cls, kwargs: dict[str, Any]) -> EventProducer:
        """Build the stream's source; Airflow then acknowledges stored events (ack mode)."""
        return EventProducer(kwargs, timing=cls.timing)

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Any]) -> AsyncIterator[TriggerEvent]:
        """Fire an event for each one of the stream, which contains only matching events."""
        async for raw_event in shared_stream:
            link_traces([raw_event.get(TRACEPARENT)])
            yield TriggerEvent(raw_event)
