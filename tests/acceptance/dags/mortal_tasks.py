"""
Tasks whose processes are killed at chosen moments of their first try.

A Dag's file is its author's own code, so this needs no hook point in the provider: the operator asks its
hook, and this hook dies.
"""

from __future__ import annotations

import os
import signal
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG

from airflow_provider_pushmetrics.hooks.pushmetrics import PushMetricsHook
from airflow_provider_pushmetrics.operators.pushmetrics import PushMetricsTriggerReportOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_pushmetrics.client.models import TriggeredRun


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class MortalHook(PushMetricsHook):
    """Dies after the call that starts a run, or after Airflow has stored which run that was."""

    dies: str | None = None

    def trigger_report(self, *args: Any, **kwargs: Any) -> TriggeredRun:
        started = super().trigger_report(*args, **kwargs)
        if self.dies == "after_call":
            die()
        return started

    def build_outputs_url(self, *args: Any) -> str:
        if self.dies == "after_store":
            die()
        return super().build_outputs_url(*args)


class MortalOperator(PushMetricsTriggerReportOperator):
    """Runs the report; its first try may be killed."""

    def __init__(self, *, dies: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dies = dies

    @cached_property
    def hook(self) -> MortalHook:
        return MortalHook(self.pushmetrics_conn_id)

    def execute(self, context: Context) -> Any:
        self.hook.dies = self.dies if context["ti"].try_number == 1 else None
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        if self.dies == "when_resumed" and context["ti"].try_number == 1:
            die()
        return super().execute_complete(context, event)


DEFERRED = {"deferrable": True, "defer_after": 0}  # the report is over before it would defer by itself

with DAG(dag_id="mortal_tasks", schedule=None, catchup=False):
    # Each task has a month of its own, by which the test knows its runs.
    for month, (name, settings) in enumerate(
        {
            "after_call_on_the_worker": {"dies": "after_call"},
            "after_call_deferred": {"dies": "after_call", **DEFERRED},
            "after_store_on_the_worker": {"dies": "after_store"},
            "after_store_deferred": {"dies": "after_store", **DEFERRED},
            "when_resumed": {"dies": "when_resumed", **DEFERRED},
            "while_deferred": DEFERRED,
            "cleared": {},
            "cleared_and_reused": {"on_clear": "reuse"},
        }.items(),
        start=1,
    ):
        MortalOperator(
            task_id=name,
            report_id=1,
            parameters={"origin": "JFK", "month": month},
            retries=2,
            retry_delay=timedelta(seconds=1),
            **settings,  # type: ignore[arg-type]
        )
