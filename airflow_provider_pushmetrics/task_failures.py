"""Errors that a retry cannot mend: a task that fails with one of them is not retried by Airflow."""

from __future__ import annotations

from collections.abc import Sequence

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_pushmetrics.client.models import QueryOutcome
from airflow_provider_pushmetrics.client.outcomes import describe_truncation
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsDeliveryUnknownError,
    PushMetricsParameterError,
    PushMetricsTruncatedResultError,
)


class PushMetricsUnknownParameters(PushMetricsParameterError, AirflowFailException):
    """The report does not have a parameter that a task gives it: each try would give the same."""


class PushMetricsUnconfirmedRun(PushMetricsDeliveryUnknownError, AirflowFailException):
    """A run may have been started, and nobody can say: another try might start a second one."""


class PushMetricsTruncatedRun(PushMetricsTruncatedResultError, AirflowFailException):
    """A result does not have all rows: each try would read the same result of the same run."""


def refuse_truncation(queries: Sequence[QueryOutcome], run_id: int | None = None) -> None:
    """
    Check that no result is truncated.

    :raises PushMetricsTruncatedRun: naming those that are.
    """
    if queries:
        message = f"{describe_truncation(tuple(queries))} The task is not retried; clear it to run it again."
        raise PushMetricsTruncatedRun(message, run_id=run_id)
