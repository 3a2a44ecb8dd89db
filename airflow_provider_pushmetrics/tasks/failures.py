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
    Check that results are known to have all rows.

    :raises PushMetricsTruncatedRun: naming those that lack rows, or of which the server does not say it.
    """
    truncated = tuple(query for query in queries if query.is_truncated)
    unknown = [query.query_name or query.query_id for query in queries if query.is_truncated is None]
    if truncated:
        message = f"{describe_truncation(truncated)} The task is not retried; clear it to run it again."
        raise PushMetricsTruncatedRun(message, run_id=run_id)
    if unknown:
        names = ", ".join(map(repr, unknown))
        raise PushMetricsTruncatedRun(
            f"PushMetrics does not say whether the results of {names} have all rows, and on_truncated"
            " is 'fail'. The task is not retried; on_truncated='warn' accepts such results.",
            run_id=run_id,
        )
