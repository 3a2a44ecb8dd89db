"""Errors that a retry cannot fix: Airflow does not retry a task that fails with one of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, wraps
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from airflow_provider_pushmetrics.client.models import QueryOutcome
from airflow_provider_pushmetrics.client.outcomes import describe_truncation
from airflow_provider_pushmetrics.compat import AirflowFailException, BaseOperator
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsAirflowVersionError,
    PushMetricsApiError,
    PushMetricsAuthError,
    PushMetricsConfigurationError,
    PushMetricsConflictError,
    PushMetricsDeliveryUnknownError,
    PushMetricsError,
    PushMetricsNoResultsError,
    PushMetricsNotFoundError,
    PushMetricsParameterError,
    PushMetricsTruncatedResultError,
    PushMetricsUnavailableError,
    PushMetricsUntrustedUrlError,
)

PERMANENT = (
    PushMetricsAirflowVersionError,
    PushMetricsAuthError,
    PushMetricsConfigurationError,
    PushMetricsConflictError,
    PushMetricsDeliveryUnknownError,
    PushMetricsNoResultsError,
    PushMetricsNotFoundError,
    PushMetricsParameterError,
    PushMetricsTruncatedResultError,
    PushMetricsUntrustedUrlError,
)
"""Each try would end with the same error."""

LEFT_ALONE = ("retry_policy", "soft_fail", "never_fail")
"""
Arguments of tasks whose errors keep their class. Airflow 3.3 does not ask a retry policy about an
``AirflowFailException``, and skips a resumed sensor with ``soft_fail`` for every ``AirflowException``:
a rejected token is no reason to skip.
"""

OperatorT = TypeVar("OperatorT", bound=BaseOperator)
P = ParamSpec("P")
T = TypeVar("T")


class PushMetricsUnknownParameters(PushMetricsParameterError, AirflowFailException):
    """The report does not have a parameter of the task: each try would fail in the same way."""


class PushMetricsUnconfirmedRun(PushMetricsDeliveryUnknownError, AirflowFailException):
    """It is unknown whether a run was started: another try might start a second one."""


class PushMetricsTruncatedRun(PushMetricsTruncatedResultError, AirflowFailException):
    """A result is incomplete: each try would read the same result of the same run."""


def is_permanent(error: BaseException) -> bool:
    """Return whether each try would end with this error: a rejected request, wrong settings or arguments."""
    if isinstance(error, PERMANENT):
        return True
    if not isinstance(error, PushMetricsApiError) or isinstance(error, PushMetricsUnavailableError):
        return False
    return error.status_code is not None and 400 <= error.status_code < 500


def retry_only_if_useful(
    method: Callable[Concatenate[OperatorT, P], T],
) -> Callable[Concatenate[OperatorT, P], T]:
    """
    Let Airflow retry a task only if that may help: for ``execute`` and the method that resumes it.

    A permanent error is raised as a subclass of itself that is also an ``AirflowFailException``, unless the
    task has one of ``LEFT_ALONE``.
    """

    @wraps(method)
    def call(task: OperatorT, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(task, *args, **kwargs)
        except PushMetricsError as error:
            is_left_alone = any(getattr(task, name, None) for name in LEFT_ALONE)
            if is_left_alone or isinstance(error, AirflowFailException) or not is_permanent(error):
                raise
            raise build_final(error) from error.__cause__

    return call


def build_final(error: PushMetricsError) -> PushMetricsError:
    """Build the same error, as one after which Airflow does not retry the task."""
    kind = find_final_class(cast(Any, type(error)))
    final = kind.__new__(kind, *error.args)
    final.__dict__.update(error.__dict__)
    return final.with_traceback(error.__traceback__)


@cache
def find_final_class(kind: Any) -> type[PushMetricsError]:
    """Find the subclass of an error that is also an ``AirflowFailException``, with the same name in logs."""
    names = {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "__doc__": kind.__doc__}
    return cast(type[PushMetricsError], type(kind.__name__, (kind, AirflowFailException), names))


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
