"""Which failures of a task a retry can mend: a retry policy of Airflow 3.3 and later."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_pushmetrics.compat import RetryDecision, RetryPolicy, require_airflow
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsParameterError,
    PushMetricsRunFailed,
    PushMetricsUnavailableError,
)
from airflow_provider_pushmetrics.tasks.failures import is_permanent

if TYPE_CHECKING:
    from airflow.sdk import Context

INSTEAD = "On older versions, leave retry_policy out: permanent errors are not retried there either."
LONGEST_DELAY = timedelta(hours=1)


class PushMetricsRetryPolicy(RetryPolicy):  # type: ignore[misc, unused-ignore]
    """
    Retry what may work later, and fail at once where each try would fail: ``retry_policy=`` of any task.

    - 429 and 503: retry after what the server asks for with ``Retry-After``, unless that is 0.
    - A rejected token, something that is not found, any other 4xx, wrong parameters, a trigger call that may
      have arrived, a result without all rows: fail.
    - A failed report: as ``on_failed_run`` says.
    - Everything else: as ``retries`` and ``retry_delay`` of the task say.

    A policy ends retries early. It never makes more of them than ``retries`` of the task says.

    :param on_failed_run: ``retry``: the operator runs a failed report again. ``fail``: fail at once. A
        retried sensor finds the same failed run.
    :param longest_delay: A longer ``Retry-After`` is cut to this; one hour by default.
    :raises PushMetricsAirflowVersionError: before Airflow 3.3.
    :raises PushMetricsParameterError: if ``on_failed_run`` is something else, or ``longest_delay`` is not a
        positive ``timedelta``.
    """

    def __init__(
        self,
        *,
        on_failed_run: Literal["retry", "fail"] = "retry",
        longest_delay: timedelta = LONGEST_DELAY,
    ) -> None:
        require_airflow("3.3", "PushMetricsRetryPolicy", INSTEAD)
        if on_failed_run not in ("retry", "fail"):
            raise PushMetricsParameterError(
                f"on_failed_run must be 'retry' or 'fail', not {on_failed_run!r}."
            )
        if not isinstance(longest_delay, timedelta) or longest_delay <= timedelta():
            raise PushMetricsParameterError(
                f"longest_delay must be a positive timedelta, not {longest_delay!r}."
            )
        self.on_failed_run = on_failed_run
        self.longest_delay = longest_delay

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,
        max_tries: int,
        context: Context | None = None,
    ) -> RetryDecision:
        """Decide whether a task that failed with this error is retried, and when."""
        if isinstance(exception, PushMetricsUnavailableError) and exception.retry_after_seconds:
            delay = min(timedelta(seconds=exception.retry_after_seconds), self.longest_delay)
            return RetryDecision.retry(delay, f"the server asks to wait {exception.retry_after_seconds:g} s")
        if is_permanent(exception):
            return RetryDecision.fail(f"{type(exception).__name__}: a retry would fail too")
        if isinstance(exception, PushMetricsRunFailed) and self.on_failed_run == "fail":
            return RetryDecision.fail("the report failed, and on_failed_run is 'fail'")
        return RetryDecision.default()

    def serialize(self) -> dict[str, Any]:
        """Describe the policy in JSON."""
        return {
            "__type": type(self).__name__,
            "on_failed_run": self.on_failed_run,
            "longest_delay": self.longest_delay.total_seconds(),
        }

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> PushMetricsRetryPolicy:
        """Build the policy from its description."""
        return cls(
            on_failed_run=data["on_failed_run"], longest_delay=timedelta(seconds=data["longest_delay"])
        )
