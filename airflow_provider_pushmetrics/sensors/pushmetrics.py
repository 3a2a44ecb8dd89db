"""Sensors: wait for a run that somebody else starts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import (
    AirflowSensorTimeout,
    BaseSensorOperator,
    PokeReturnValue,
    conf,
)

from airflow_provider_pushmetrics.client.consumers import fetch_consumer, take_event
from airflow_provider_pushmetrics.client.feed import EventFilter
from airflow_provider_pushmetrics.client.models import FeedEvent
from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError
from airflow_provider_pushmetrics.hooks.pushmetrics import PushMetricsHook
from airflow_provider_pushmetrics.lineage import build_event_lineage
from airflow_provider_pushmetrics.links.pushmetrics import (
    PushMetricsEventLink,
    PushMetricsReportLink,
    PushMetricsRunLink,
    persist_event_links,
    persist_links,
)
from airflow_provider_pushmetrics.triggers.pushmetrics import (
    PushMetricsSensorTrigger,
    compute_not_before,
    dump_event,
    rebuild_failure,
)

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.providers.openlineage.extractors import OperatorLineage

RUN_EVENTS = ("report.run", "query.run")
DEFER_MARGIN = timedelta(minutes=5)


class PushMetricsRunSensor(BaseSensorOperator):
    """
    Wait for the event of a report run or a query run.

    With ``run_id`` or ``after``, an event that arrived before the sensor began counts as well, because the
    receiver's inbox keeps it. Without them, the first event that arrives after the sensor began counts. A
    query that runs as part of a report sends no ``query.run``: wait for its report's ``report.run``.

    .. seealso::
        :ref:`howto/sensor:PushMetricsRunSensor`

    :param event: ``report.run`` or ``query.run``.
    :param report_id: The report's number; None for any. (templated)
    :param query_id: The query's number, for ``query.run``; None for any. (templated)
    :param run_id: The run; None for any. (templated)
    :param after: The cursor of the receiver's inbox after which events count. (templated)
    :param consumer: A name of its own for this sensor. Under it the receiver keeps the event that was taken
        last, and by which task instance: each of them takes the next event, beginning with the oldest in the
        inbox, and all tries of one take the same. At most one may wait at a time. (templated)
    :param pushmetrics_conn_id: The :ref:`PushMetrics connection <howto/connection:pushmetrics>`; it must name
        a receiver. (templated)
    :param deferrable: Wait in the triggerer, without holding a worker slot.
    :return: The event: ``id``, ``source``, ``received_at`` and ``body``, as PushMetrics sent it.
    """

    template_fields: Sequence[str] = (
        "report_id",
        "query_id",
        "run_id",
        "after",
        "consumer",
        "pushmetrics_conn_id",
    )
    operator_extra_links = (PushMetricsRunLink(), PushMetricsReportLink(), PushMetricsEventLink())
    ui_color = "#e9f3ff"

    def __init__(
        self,
        *,
        event: str = "report.run",
        report_id: int | str | None = None,
        query_id: int | str | None = None,
        run_id: int | str | None = None,
        after: int | str | None = None,
        consumer: str | None = None,
        pushmetrics_conn_id: str = PushMetricsHook.default_conn_name,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if event not in RUN_EVENTS:
            raise PushMetricsParameterError(f"event is {event!r}: it must be one of {', '.join(RUN_EVENTS)}.")
        self.event = event
        self.report_id = report_id
        self.query_id = query_id
        self.run_id = run_id
        self.after = after
        self.consumer = consumer
        self.pushmetrics_conn_id = pushmetrics_conn_id
        self.deferrable = deferrable
        self._started_at_cursor: int | None = None
        self._body: dict[str, Any] | None = None

    @cached_property
    def hook(self) -> PushMetricsHook:
        """The hook, made when the connection's id has been rendered."""
        return PushMetricsHook(self.pushmetrics_conn_id)

    def execute(self, context: Context) -> Any:
        """Look in the inbox first; then wait here, or defer."""
        persist_links(context, self)
        if not self.deferrable:
            return super().execute(context)
        wanted, after = self._build_filter(), self._find_start(context)
        found = self._look(wanted, after)
        if found is not None:
            return self._take(dump_event(found), context)
        self.defer(
            trigger=PushMetricsSensorTrigger(
                event=self.event,
                report_id=wanted.report_id,
                query_id=wanted.query_id,
                run_id=wanted.run_id,
                after=after,
                pushmetrics_conn_id=self.pushmetrics_conn_id,
                deadline=time.time() + self.timeout,
                not_before=compute_not_before(),
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=self.timeout) + DEFER_MARGIN,
        )

    def poke(self, context: Context) -> PokeReturnValue:
        """Look in the inbox once."""
        found = self._look(self._build_filter(), self._find_start(context))
        if found is None:
            return PokeReturnValue(is_done=False)
        return PokeReturnValue(is_done=True, xcom_value=self._take(dump_event(found), context))

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """
        Go on after the triggerer has waited.

        :param event: What the trigger found.
        """
        status = event.get("status")
        if status == "success":
            found: dict[str, Any] = event["found"]
            self.log.info("Event %s arrived at %s", found["id"], found["received_at"])
            return self._take(found, context)
        if status == "timeout":
            raise AirflowSensorTimeout(
                f"no {self.event} that is wanted arrived within {self.timeout:g} s (parameter 'timeout')."
            )
        raise rebuild_failure(event)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        """Tell OpenLineage, if its provider is installed, what has run."""
        return build_event_lineage(self.hook.settings.base_url, self._body)

    def _build_filter(self) -> EventFilter:
        return EventFilter(
            event=self.event,
            report_id=read_number("report_id", self.report_id),
            query_id=read_number("query_id", self.query_id),
            run_id=read_number("run_id", self.run_id),
        )

    def _look(self, wanted: EventFilter, after: int) -> FeedEvent | None:
        page = self.hook.fetch_events(wanted, after=after, limit=1)
        return page.events[0] if page.events else None

    def _take(self, found: dict[str, Any], context: Context) -> dict[str, Any]:
        """Move the consumer to the event, and say whose it is: if this try dies now, the next one knows."""
        self._body = found["body"]
        persist_event_links(context, found, self.hook)
        if self.consumer:
            receiver = self.hook.settings.get_receiver()
            taken_by = name_task_instance(context)
            self.hook.call(take_event(receiver, self.consumer, found["id"], taken_by=taken_by))
        return found

    def _find_start(self, context: Context) -> int:
        """Find the cursor after which events count."""
        if not self.consumer:
            return self._get_start()
        if read_number("after", self.after) is not None:
            raise PushMetricsParameterError(
                "'after' and 'consumer' both say where to begin: set only one of them."
            )
        place = self.hook.call(fetch_consumer(self.hook.settings.get_receiver(), self.consumer))
        was_ours = place.taken_by == name_task_instance(context)
        return place.position - 1 if was_ours else place.position

    def _get_start(self) -> int:
        """Get the cursor after which events count."""
        after = read_number("after", self.after)
        if after is not None:
            return after
        if read_number("run_id", self.run_id) is not None:
            return 0
        if self.reschedule:
            raise PushMetricsParameterError(
                "in mode 'reschedule' each look is a new process, so the sensor must be told where to begin:"
                " set 'run_id' or 'after', or use deferrable=True."
            )
        if self._started_at_cursor is None:
            self._started_at_cursor = self.hook.fetch_cursor()
        return self._started_at_cursor


def name_task_instance(context: Context) -> str:
    """Name a task instance, the same in all its tries."""
    ti: Any = context["ti"]
    return f"{ti.dag_id}/{ti.run_id}/{ti.task_id}/{ti.map_index}"


def read_number(name: str, value: int | str | None) -> int | None:
    """
    Read a number that may have come out of a template; empty and ``None`` stand for any.

    :raises PushMetricsParameterError: if it is no whole number.
    """
    text = "" if value is None else str(value).strip()
    if text in ("", "None"):
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise PushMetricsParameterError(f"{name} is {value!r}: it must be a whole number.")
    return int(text)
