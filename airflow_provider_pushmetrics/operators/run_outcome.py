"""How a task evaluates the outcome of its run, and the errors that it fails with."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from airflow_provider_pushmetrics.client.outcomes import (
    RunOutcome,
    describe_truncation,
)
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsConfigurationError,
    PushMetricsRunError,
    PushMetricsRunTimeout,
)
from airflow_provider_pushmetrics.hooks.settings import PushMetricsSettings
from airflow_provider_pushmetrics.storable import clean_text
from airflow_provider_pushmetrics.tasks.failures import (
    PushMetricsTruncatedRun,
    PushMetricsUnconfirmedRun,
    refuse_truncation,
)


@dataclass(frozen=True)
class OutcomeRules:
    """
    What a task requires of the run that it started.

    :param require_outcome: Whether it fails if the outcome is unknown.
    :param on_truncated: What it does if a result is incomplete: ``warn`` or ``fail``.
    """

    require_outcome: bool = False
    on_truncated: str = "warn"

    def refuse_unknowable(self, settings: PushMetricsSettings) -> None:
        """
        Refuse, before a report is run, requirements that cannot be checked afterwards.

        :raises PushMetricsConfigurationError: if something is required, and there is no API token.
        """
        if settings.api_token:
            return
        needs = {
            "require_outcome is set": ("whether the run has failed", self.require_outcome),
            "on_truncated is 'fail'": ("whether results are complete", self.on_truncated == "fail"),
        }
        for said, (question, is_needed) in needs.items():
            if is_needed:
                raise PushMetricsConfigurationError(
                    f"{said}, but connection {settings.conn_id!r} has no API token, so it would be unknown"
                    f" {question}: set its password. The report was not run."
                )

    def check(self, outcome: RunOutcome, log: Any) -> None:
        """
        Check the outcome of a run that has not failed; log a warning for what does not fail the task.

        :raises PushMetricsRunError: if the outcome is unknown, and it is required.
        :raises PushMetricsTruncatedRun: if a result is not known to be complete, and that is required.
        """
        reason = outcome.explain_unknown()
        if reason is not None and self.require_outcome:
            raise PushMetricsRunError(
                f"run {outcome.run_id} of report {outcome.report_id!r} has ended, but its outcome is unknown:"
                f" {reason}. Check in PushMetrics, or count it as a success with require_outcome=False.",
                run_id=outcome.run_id,
            )
        if reason is not None:
            log.warning(
                "The run has ended, but its outcome is unknown: %s. It counts as a success; set"
                " require_outcome=True to fail instead",
                reason,
            )
        if self.on_truncated == "fail":
            if outcome.outputs is None:
                raise PushMetricsTruncatedRun(
                    f"it is unknown whether the results of run {outcome.run_id} are complete: {reason}."
                    " Give the connection an API token, or accept the results with on_truncated='warn'.",
                    run_id=outcome.run_id,
                )
            refuse_truncation(outcome.list_queries(), outcome.run_id)
        elif truncated := outcome.list_truncated():
            log.warning("%s on_truncated='fail' would fail", describe_truncation(truncated))
        if reason is None:
            log.info("%s", clean_text(outcome.describe_success()))


def compute_deadline(timeout: float | timedelta | None) -> float | None:
    """Compute the deadline of a wait that begins now, in Unix seconds."""
    if timeout is None:
        return None
    return time.time() + (timeout.total_seconds() if isinstance(timeout, timedelta) else float(timeout))


def build_unconfirmed(report_id: str, reason: str) -> PushMetricsUnconfirmedRun:
    """Build the error of a call without a response of which no run was found."""
    return PushMetricsUnconfirmedRun(
        f"the trigger of report {report_id!r} was called and did not respond, and it is unknown whether a run"
        f" was started: {reason}. Calling again could start a second run, so the task is not retried. Check"
        " in PushMetrics whether there is a run; to start another, clear the task. With the parameter"
        " on_unknown='call_again' the task calls again itself."
    )


def build_timeout(
    report_id: str,
    run_id: int | None,
    timeout: float | timedelta | None,
    cause: object = None,
    *,
    url: str | None = None,
) -> PushMetricsRunTimeout:
    """
    Build the error of a run that did not end in time.

    :param timeout: Seconds, or a timedelta.
    :param url: The URL of the run's outputs.
    :param cause: The error of the last poll; None if it did not fail.
    """
    name = f"run {run_id}" if run_id is not None else "the run"
    limit = f"{_describe_timeout(timeout)} (parameter 'timeout')"
    said = f"{name} of report {report_id!r} did not end within {limit}"
    if cause is not None:
        message = f"{said}, as far as known: the last poll failed. {cause}"
    else:
        message = f"{said}. It continues in PushMetrics; check its status there."
    return PushMetricsRunTimeout(message if url is None else f"{message} See {url}", run_id=run_id)


def _describe_timeout(timeout: float | timedelta | None) -> str:
    """Describe a timeout with its unit: a timedelta prints ``1:00:00``, and a number prints nothing."""
    seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
    return "its time" if seconds is None else f"{seconds:g} s"
