"""Sensors: wait for a run that something else starts."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_pushmetrics.client.models import FoundEvent
from airflow_provider_pushmetrics.client.outcomes import fetch_event_outcome
from airflow_provider_pushmetrics.compat import (
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    PokeReturnValue,
    conf,
)
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsEventTakenError,
    PushMetricsParameterError,
    PushMetricsRunFailed,
    PushMetricsUnavailableError,
)
from airflow_provider_pushmetrics.hooks.pushmetrics import PushMetricsHook
from airflow_provider_pushmetrics.links.pushmetrics import (
    PushMetricsEventLink,
    PushMetricsReportLink,
    PushMetricsRunLink,
    persist_event_links,
    persist_links,
)
from airflow_provider_pushmetrics.sensors.descriptions import (
    describe_cause,
    describe_wanted,
    refuse_empty_templates,
)
from airflow_provider_pushmetrics.sensors.event_poll import EventPoll
from airflow_provider_pushmetrics.sensors.start_position import StartPosition
from airflow_provider_pushmetrics.sensors.triggerer_start import DEFER_MARGIN, StartArguments, check_start
from airflow_provider_pushmetrics.tasks.arguments import check_choices
from airflow_provider_pushmetrics.tasks.asset_facts import ResultOutlets, fetch_event_facts
from airflow_provider_pushmetrics.tasks.ends import is_ended_by_triggerer, refuse_outlets
from airflow_provider_pushmetrics.tasks.failures import retry_only_if_useful
from airflow_provider_pushmetrics.tasks.lineage import build_event_lineage
from airflow_provider_pushmetrics.tasks.state import TaskState
from airflow_provider_pushmetrics.triggers.event_filters import (
    EventChoice,
    check_query_id,
    read_filter,
    read_number,
)
from airflow_provider_pushmetrics.triggers.pushmetrics import PushMetricsSensorTrigger
from airflow_provider_pushmetrics.triggers.resumption import compute_not_before
from airflow_provider_pushmetrics.triggers.trigger_events import dump_event, rebuild_failure

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.providers.openlineage.extractors import OperatorLineage

CHOICES = {"event": ("report.run", "query.run"), "on_failed_run": ("fail", "succeed", "skip")}
"""The allowed values of parameters."""

_NARROWING = ("report_id", "query_id", "run_id", "workspace_id", "event_filter", "after", "consumer")


class PushMetricsRunSensor(BaseSensorOperator):
    """
    Wait for the event of a report run or a query run.

    With ``run_id`` or ``after``, an event that arrived before the sensor began counts as well, because the
    receiver's inbox keeps it. Otherwise, the first event that arrives after the sensor's first try began
    counts (before Airflow 3.3: after the current try began, so an event between two tries is missed). A
    query that runs as part of a report sends no ``query.run``: wait for its report's ``report.run``.

    Without a receiver in the connection, the API is polled, and the run is returned in the form of its event.
    A run that had ended before the sensor began then counts only if ``run_id`` is set.
    An event does not contain the run's outcome. With an API token the sensor fetches it, and fails if the run
    failed. **Without one, a failed run counts as a success**; the sensor logs a warning. Its ``timeout`` and
    ``poke_interval`` are Airflow's: seconds, 7 days and 60 by default. More is in docs/provider.md.

    :param event: ``report.run`` or ``query.run``.
    :param report_id: The report's number; None for any. (templated)
    :param query_id: The query's number, for ``query.run``; None for any. (templated)
    :param run_id: The number of the run, of the report or the query by ``event``; None for any. (templated)
    :param workspace_id: The workspace's number, as events carry it; None for any. (templated)
    :param event_filter: The import path of a function that takes the body of an event and returns whether it
        matches. It runs where the wait runs, so it must be quick. (templated)
    :param after: The cursor of the receiver's inbox after which events count. (templated)
    :param consumer: A unique name for this sensor. The receiver keeps the last event that was claimed under
        this name, and by which task instance: each task instance claims the next event, beginning with the
        oldest in the inbox, and all its tries return the same. At most one may wait at a time. (templated)
    :param on_failed_run: If the run failed or was cancelled: ``fail``, ``skip``, or ``succeed`` unseen.
    :param pushmetrics_conn_id: The connection, of the type PushMetrics. (templated)
    :param partition_by: The parameter whose value is the partition key of ``outlets``; needs Airflow 3.3.
    :param deferrable: Wait in the triggerer, without holding a worker slot.
    :param start_from_trigger: Begin in the triggerer; needs Airflow 3.3, and ``run_id`` or ``after``.
    :param end_from_trigger: End a deferred sensor in the triggerer when the event of a successful run
        arrives: None if nothing is lost by it (Airflow 3.3; not with ``start_from_trigger``), False never,
        True on every version, but not with ``outlets``. A worker handles all else, so that retries count.
    :return: The event: ``id``, ``source``, ``received_at`` and ``body``, as PushMetrics sent it.
    :raises PushMetricsParameterError: for a wrong argument, or one whose template rendered to nothing.
    :raises PushMetricsRunFailed: if the run failed or was cancelled.
    :raises AirflowSensorTimeout: if no event arrived in time.
    """

    start_trigger_args = StartArguments()  # type: ignore[assignment, unused-ignore]
    template_fields: Sequence[str] = (*_NARROWING, "pushmetrics_conn_id")
    operator_extra_links = (PushMetricsRunLink(), PushMetricsReportLink(), PushMetricsEventLink())
    ui_color = "#e9f3ff"

    def __init__(
        self,
        *,
        event: str = "report.run",
        report_id: int | str | None = None,
        query_id: int | str | None = None,
        run_id: int | str | None = None,
        workspace_id: int | str | None = None,
        event_filter: str | None = None,
        after: int | str | None = None,
        consumer: str | None = None,
        on_failed_run: Literal["fail", "succeed", "skip"] = "fail",
        pushmetrics_conn_id: str = PushMetricsHook.default_conn_name,
        partition_by: str | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        start_from_trigger: bool = False,
        end_from_trigger: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.event = event
        self.report_id = report_id
        self.query_id = query_id
        self.run_id = run_id
        self.workspace_id = workspace_id
        self.event_filter = event_filter
        self.after = after
        self.consumer = consumer
        self.on_failed_run = on_failed_run
        self.pushmetrics_conn_id = pushmetrics_conn_id
        self.partition_by = partition_by
        self.deferrable = deferrable
        self.end_from_trigger = end_from_trigger
        self.start_from_trigger = start_from_trigger
        self._given = tuple(name for name in _NARROWING if getattr(self, name) is not None)
        self._poll: EventPoll | None = None
        self._body: Mapping[str, Any] | None = None
        self._check_arguments()

    def _check_arguments(self) -> None:
        check_choices(self, CHOICES)
        if self.start_from_trigger:
            check_start(self)
        check_query_id(self.event, self.query_id)
        if self.end_from_trigger:
            refuse_outlets(self)
        if self._result_outlets and self.on_failed_run == "succeed":
            raise PushMetricsParameterError(
                "a PushMetrics asset in 'outlets' cannot be combined with on_failed_run='succeed': a failed"
                " run has no result."
            )
        if self.event == "query.run":
            self._result_outlets.refuse_query_run()
        if self.consumer and (self.start_from_trigger or self.end_from_trigger):
            raise PushMetricsParameterError(
                "the position of a 'consumer' is read and moved by a worker, so it cannot be combined with"
                " start_from_trigger or end_from_trigger."
            )

    @cached_property
    def hook(self) -> PushMetricsHook:
        """The hook, created after the connection's id has been rendered."""
        return PushMetricsHook(self.pushmetrics_conn_id)

    def _open_poll(self, context: Context) -> EventPoll:
        """Open the poll of a task instance; the same for all its pokes in this process."""
        state = TaskState.open(context)
        if self._poll is None or self._poll.start.state != state:
            start = StartPosition(
                self.hook,
                state,
                read_filter(self),
                self._build_choice(),
                after=read_number("after", self.after),
                consumer=self.consumer,
                is_rescheduled=self.reschedule,
            )
            self._poll = EventPoll(start, self.log)
        return self._poll

    @retry_only_if_useful
    def execute(self, context: Context) -> Any:
        """Poll once; then wait here, or defer."""
        refuse_empty_templates(self, self._given)
        if outlets := self._result_outlets:
            outlets.refuse_unknowable(self.hook.settings)
            if self.report_id is not None:
                outlets.refuse_other_report(self.report_id)
        persist_links(context, self)
        self._build_choice().load()  # a missing filter is an error before the wait
        if not self.deferrable:
            return self._poke_until_found(context)
        return self._poll_then_defer(context, deadline=time.time() + self.timeout)

    def _poll_then_defer(self, context: Context, *, deadline: float) -> FoundEvent:
        """Poll, again if another task claims the event first; defer if there is none."""
        poll = self._open_poll(context)
        start = poll.start
        while (found := poll.poll()) is not None:
            if accepted := self._accept_unless_taken(dump_event(found), context):
                return accepted
        self.defer(
            trigger=PushMetricsSensorTrigger(
                **self._build_trigger_arguments(start.position, start.state),
                **start.build_snapshot_arguments(),
                deadline=deadline,
                not_before=compute_not_before(self.executor),
            ),
            method_name="execute_complete",
            kwargs={"deadline": deadline} if self.consumer else None,
            timeout=timedelta(seconds=self.timeout) + DEFER_MARGIN,
        )

    def poke(self, context: Context) -> PokeReturnValue:
        """Poll once."""
        poll = self._open_poll(context)
        if (found := poll.poll()) is None:
            return PokeReturnValue(is_done=False)
        try:
            accepted = self._accept_unless_taken(dump_event(found), context)
        except PushMetricsUnavailableError as error:
            poll.count_failure(error)  # the next poll finds the event again
            return PokeReturnValue(is_done=False)
        return PokeReturnValue(is_done=accepted is not None, xcom_value=accepted)

    @retry_only_if_useful
    def execute_complete(
        self, context: Context, event: dict[str, Any], deadline: float | None = None
    ) -> FoundEvent:
        """
        Continue after the triggerer has waited; wait again if another task has claimed the event.

        :param event: What the trigger found.
        :param deadline: When the wait ends, with a named consumer.
        """
        if self.start_from_trigger:
            persist_links(context, self)  # no worker has begun the task
        status = event.get("status")
        if status == "success":
            found: FoundEvent = event["found"]
            self.log.info("Event %s arrived at %s", found["id"], found["received_at"])
            accepted = self._accept_unless_taken(found, context)
            return accepted or self._poll_then_defer(context, deadline=deadline or time.time() + self.timeout)
        if status == "timeout":
            said = f"{describe_wanted(self)} did not arrive within {self.timeout:g} s (parameter 'timeout')"
            raise AirflowSensorTimeout(f"{said}{describe_cause(event.get('cause'))}.")
        raise rebuild_failure(event)

    def get_openlineage_facets_on_start(self) -> OperatorLineage[Any, Any]:
        """Describe the report or the query for OpenLineage, as far as the sensor's arguments name it."""
        hook = PushMetricsHook(self.pushmetrics_conn_id)  # the own one may not be rendered yet
        known = {name: read_number(name, getattr(self, name)) for name in ("report_id", "query_id")}
        return build_event_lineage(hook.settings.base_url, known)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        """Describe the run for OpenLineage, if its provider is installed."""
        return build_event_lineage(self.hook.settings.base_url, self._body)

    def _build_choice(self) -> EventChoice:
        return EventChoice(read_number("workspace_id", self.workspace_id), self.event_filter)

    def _build_trigger_arguments(self, after: int, state: TaskState) -> dict[str, Any]:
        wanted = read_filter(self)
        return {
            "event": self.event,
            "report_id": wanted.report_id,
            "query_id": wanted.query_id,
            "run_id": wanted.run_id,
            "workspace_id": read_number("workspace_id", self.workspace_id),
            "event_filter": self.event_filter,
            "after": after,
            "pushmetrics_conn_id": self.pushmetrics_conn_id,
            "end_from_trigger": is_ended_by_triggerer(
                self, PushMetricsRunSensor, choice=self.end_from_trigger, is_in_loop=state.is_in_loop
            ),
            "on_failed_run": self.on_failed_run,
        }

    def _poke_until_found(self, context: Context) -> Any:
        """Poll until the event is found; if the last polls failed, the timeout error contains the cause."""
        try:
            return super().execute(context)
        except AirflowSensorTimeout as error:
            if self._poll is None or not self._poll.failures:
                raise
            raise AirflowSensorTimeout(f"{error}{describe_cause(self._poll.failures[-1])}") from None

    def _accept_unless_taken(self, found: FoundEvent, context: Context) -> FoundEvent | None:
        """Accept an event; None if another task has claimed it, so that the sensor waits for the next one."""
        try:
            return self._accept(found, context)
        except PushMetricsEventTakenError as error:
            self.log.warning("Event %s is not available: %s", found["id"], error)
            return None

    def _accept(self, found: FoundEvent, context: Context) -> FoundEvent:
        """Claim an event for this task, move the consumer, and check the outcome of its run."""
        self._result_outlets.refuse_unknowable(self.hook.settings)
        self._open_poll(context).start.claim(found["id"])
        self._body = found["body"]
        persist_event_links(context, found, self.hook)
        self._check_outcome(found["body"])
        if outlets := self._result_outlets:
            outlets.emit(context, self.hook.call(fetch_event_facts(self.hook.credentials, found["body"])))
        return found

    @property
    def _result_outlets(self) -> ResultOutlets:
        return ResultOutlets(self, self.partition_by)

    def _check_outcome(self, body: dict[str, Any]) -> None:
        """
        Fetch the outcome of the run, and fail or skip if it failed.

        :raises PushMetricsRunFailed: if it failed.
        :raises AirflowSkipException: if it failed and ``on_failed_run`` is ``skip``.
        :raises PushMetricsError: if PushMetrics cannot be reached.
        """
        if self.on_failed_run == "succeed":
            return
        outcome = self.hook.call(fetch_event_outcome(self.hook.credentials, body))
        if outcome.failure and self.on_failed_run == "skip":
            raise AirflowSkipException(outcome.failure)
        if outcome.failure:
            raise PushMetricsRunFailed(outcome.failure, run_id=outcome.run_id)
        if outcome.unknown:
            message = "The run has ended, but its outcome is unknown: %s. It counts as a success"
            self.log.warning(message, outcome.unknown)
