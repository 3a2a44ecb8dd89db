"""How a run ended, as a task tells it: what it returns, and the errors that it fails with."""

from __future__ import annotations

import time
from datetime import timedelta

from airflow_provider_pushmetrics.exceptions import PushMetricsRunTimeout
from airflow_provider_pushmetrics.task_failures import PushMetricsUnconfirmedRun


def compute_deadline(timeout: float | timedelta | None) -> float | None:
    """Say when a wait that begins now ends, in Unix seconds."""
    if timeout is None:
        return None
    return time.time() + (timeout.total_seconds() if isinstance(timeout, timedelta) else float(timeout))


def build_unconfirmed(report_id: str, reason: str) -> PushMetricsUnconfirmedRun:
    """Build the error of a call that nobody answered, and of which no run was found."""
    return PushMetricsUnconfirmedRun(
        f"the trigger of report {report_id!r} was called and did not answer, and whether a run was started"
        f" cannot be said: {reason}. Calling again could start a second run, so the task is not retried. Look"
        " in PushMetrics whether there is one; to start another, clear the task. With the parameter"
        " on_unknown='call_again' it calls again by itself."
    )


def build_timeout(
    report_id: str, run_id: int | None, timeout: object, cause: object = None
) -> PushMetricsRunTimeout:
    """
    Build the error of a run that did not end in time.

    :param cause: Why the last look failed; None if it did not fail.
    """
    name = f"run {run_id}" if run_id is not None else "the run"
    said = f"{name} of report {report_id!r} did not end within {timeout} (parameter 'timeout')"
    if cause is not None:
        message = f"{said}, as far as anybody can say: the last look failed. {cause}"
    else:
        message = f"{said}. It goes on in PushMetrics; look there what it is doing."
    return PushMetricsRunTimeout(message, run_id=run_id)
