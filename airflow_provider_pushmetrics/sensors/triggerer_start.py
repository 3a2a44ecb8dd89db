"""Sensors that Airflow starts in the triggerer, without a worker before (Airflow 3.3)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.triggers.base import StartTriggerArgs

from airflow_provider_pushmetrics.compat import require_airflow
from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError
from airflow_provider_pushmetrics.tasks.ends import find_reason_for_worker
from airflow_provider_pushmetrics.triggers.pushmetrics import PushMetricsSensorTrigger

DEFER_MARGIN = timedelta(minutes=5)
"""Airflow's own deadline for a deferral never reaches ``execute_complete``, so ours must be earlier."""

NAMES = (
    "report_id",
    "query_id",
    "run_id",
    "workspace_id",
    "event_filter",
    "after",
    "event",
    "pushmetrics_conn_id",
    "on_failed_run",
)
"""The parameters that the sensor and its trigger have in common."""


class StartArguments:
    """
    The attribute ``start_trigger_args`` of a sensor.

    It is computed when Airflow serializes the Dag. Before, a task that is mapped over the sensor's result may
    not exist yet. The class itself has none: Airflow reads it for a mapped sensor, which a worker starts.
    """

    def __get__(self, sensor: Any, owner: type[Any]) -> StartTriggerArgs | None:
        """Build the arguments of a sensor that Airflow starts in the triggerer; None for any other."""
        return build_start(sensor) if sensor is not None and sensor.start_from_trigger else None


def check_start(sensor: Any) -> None:
    """
    Check that Airflow can start a sensor in the triggerer.

    :raises PushMetricsAirflowVersionError: before Airflow 3.3.
    :raises PushMetricsParameterError: if it is not set which events count.
    """
    require_airflow("3.3", "start_from_trigger", "Use deferrable=True alone.")
    if sensor.run_id is None and sensor.after is None:
        raise PushMetricsParameterError(
            "start_from_trigger needs 'run_id' or 'after': otherwise a triggerer that restarts would"
            " begin again, and miss events that arrived before."
        )


def build_start(sensor: Any) -> StartTriggerArgs:
    """Build what Airflow starts the trigger with; it renders the templates itself."""
    is_ended = bool(sensor.end_from_trigger) and find_reason_for_worker(sensor, is_in_loop=False) is None
    return StartTriggerArgs(
        trigger_cls=f"{PushMetricsSensorTrigger.__module__}.{PushMetricsSensorTrigger.__name__}",
        trigger_kwargs={
            **{name: getattr(sensor, name) for name in NAMES},
            "timeout_seconds": sensor.timeout,
            "end_from_trigger": is_ended,
        },
        next_method="execute_complete",
        timeout=timedelta(seconds=sensor.timeout) + DEFER_MARGIN,
    )
