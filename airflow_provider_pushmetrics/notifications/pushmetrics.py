"""Notifiers: run a report when a task or a Dag failed, succeeded or missed its deadline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.notifier import BaseNotifier

from airflow_provider_pushmetrics.client.models import TriggeredRun
from airflow_provider_pushmetrics.hooks.async_client import PushMetricsAsyncClient
from airflow_provider_pushmetrics.hooks.pushmetrics import PushMetricsHook
from airflow_provider_pushmetrics.storable import storable_errors
from airflow_provider_pushmetrics.tasks.state import hash_key

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


def _build_key(context: Mapping[str, Any], report_id: str) -> str | None:
    """
    Build the key that makes PushMetrics start at most one run for a missed deadline.

    Airflow runs the callback of a deadline again if its triggerer stops before the end is stored.

    :return: The key; None for another callback, which nothing identifies.
    """
    deadline = context.get("deadline")
    number = deadline.get("id") if isinstance(deadline, Mapping) else None
    return None if number is None else hash_key("deadline", str(number), report_id)


class PushMetricsNotifier(BaseNotifier):
    """
    Run a PushMetrics report from a callback, such as ``on_failure_callback``, without waiting for the run.

    See docs/provider.md for more.

    :param report_id: The number or uid of the report to run. (templated)
    :param parameters: Values for the report's parameters, by name; none can be called ``token``. (templated)
    :param pushmetrics_conn_id: The connection, of the type PushMetrics. (templated)
    """

    template_fields: Sequence[str] = ("report_id", "parameters", "pushmetrics_conn_id")

    def __init__(
        self,
        *,
        report_id: str | int,
        parameters: dict[str, Any] | None = None,
        pushmetrics_conn_id: str = PushMetricsHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.report_id = report_id
        self.parameters = parameters
        self.pushmetrics_conn_id = pushmetrics_conn_id

    @cached_property
    def hook(self) -> PushMetricsHook:
        """The hook, created after the connection's id has been rendered."""
        return PushMetricsHook(self.pushmetrics_conn_id)

    def notify(self, context: Context) -> None:
        """
        Start a run.

        :raises PushMetricsError: if it was not started; Airflow logs the error.
        """
        report_id = str(self.report_id)
        key = _build_key(context, report_id)
        self._log_started(self.hook.trigger_report(report_id, self.parameters, idempotency_key=key))

    async def async_notify(self, context: Context) -> None:
        """
        Start a run without blocking the event loop.

        :raises PushMetricsError: if it was not started; Airflow stores the message.
        """
        report_id = str(self.report_id)
        key = _build_key(context, report_id)
        with storable_errors():
            async with PushMetricsAsyncClient.open(self.pushmetrics_conn_id) as client:
                started = await client.trigger_report(report_id, self.parameters, idempotency_key=key)
                self._log_started(started)

    def _log_started(self, started: TriggeredRun) -> None:
        run = "a run" if started.run_id is None else f"run {started.run_id}"
        self.log.info("Report %s: %s was started", self.report_id, run)
