"""Errors that a retry cannot fix: Airflow does not retry a task that fails with one of them."""

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
    """The report does not have a parameter of the task: each try would fail in the same way."""


class PushMetricsUnconfirmedRun(PushMetricsDeliveryUnknownError, AirflowFailException):
    """It is unknown whether a run was started: another try might start a second one."""


class PushMetricsTruncatedRun(PushMetricsTruncatedResultError, AirflowFailException):
    """A result is incomplete: each try would read the same result of the same run."""


def refuse_truncation(queries: Sequence[QueryOutcome], run_id: int | None = None) -> None:
    """
    Check that results are known to be complete.

    :raises PushMetricsTruncatedRun: with the incomplete results, or those about which the server does not
        say.
    """
    truncated = tuple(query for query in queries if query.is_truncated)
    unknown = [query.query_name or query.query_id for query in queries if query.is_truncated is None]
    if truncated:
        message = f"{describe_truncation(truncated)} The task is not retried; clear it to run it again."
        raise PushMetricsTruncatedRun(message, run_id=run_id)
    if unknown:
        names = ", ".join(map(repr, unknown))
        raise PushMetricsTruncatedRun(
            f"PushMetrics does not say whether the results of {names} are complete, and on_truncated"
            " is 'fail'. The task is not retried; on_truncated='warn' accepts such results.",
            run_id=run_id,
        )
