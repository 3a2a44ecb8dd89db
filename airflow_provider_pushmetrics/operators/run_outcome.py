"""How a run ended, as a task tells it: what it returns, and the errors that it fails with."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_pushmetrics.client.models import RunOutputs, RunStatus
from airflow_provider_pushmetrics.client.waits import FinishedRun
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsDeliveryUnknownError,
    PushMetricsRunFailed,
    PushMetricsRunTimeout,
)
from airflow_provider_pushmetrics.storable import make_storable


class PushMetricsUnconfirmedRun(PushMetricsDeliveryUnknownError, AirflowFailException):
    """A run may have been started, and nobody can say; Airflow does not retry, which might start another."""


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


def build_timeout(report_id: str, run_id: int | None, timeout: object) -> PushMetricsRunTimeout:
    """Build the error of a run that did not end in time."""
    name = f"run {run_id}" if run_id is not None else "the run"
    return PushMetricsRunTimeout(
        f"{name} of report {report_id!r} did not end within {timeout} (parameter 'timeout'). It goes on in"
        " PushMetrics; look there what it is doing.",
        run_id=run_id,
    )


def refuse_failure(finished: FinishedRun, outputs: RunOutputs, url: str) -> None:
    """
    Check that a run has ended well.

    :raises PushMetricsRunFailed: naming the first block that failed, and what it said.
    """
    status = outputs.status or finished.status
    if status in (None, RunStatus.SUCCESS):
        return
    block = outputs.find_failed_block()
    where = f" at block {block.name!r}: {block.error or 'no message'}" if block else ""
    raise PushMetricsRunFailed(
        f"run {finished.run_id} of report {finished.report_id!r} ended as {status}{where}. See {url}",
        run_id=finished.run_id,
    )


def build_result(
    finished: FinishedRun, outputs: RunOutputs | None, outputs_url: str | None = None
) -> dict[str, Any]:
    """Build what the task returns: small, JSON that Airflow can store, and enough to fetch every result."""
    status = (outputs.status if outputs else None) or finished.status
    result: dict[str, Any] = {
        "report_id": finished.report_id,
        "run_id": finished.run_id,
        "status": status.value if status else None,
        "queries": [
            {
                "query_id": query.query_id,
                "query_name": query.query_name,
                "query_result": query.query_result,
                "status": query.status,
                "row_count": query.row_count,
            }
            for query in (outputs.queries if outputs else ())
        ],
        "outputs_url": outputs_url,
    }
    storable: dict[str, Any] = make_storable(result)
    return storable
