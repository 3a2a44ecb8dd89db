"""Cancelling the run that a killed task waits for on a worker."""

from __future__ import annotations

from typing import Any

from airflow_provider_pushmetrics.client.retry_policy import ONE_ATTEMPT
from airflow_provider_pushmetrics.exceptions import PushMetricsError
from airflow_provider_pushmetrics.hooks.pushmetrics import PushMetricsHook


def cancel_run(hook: PushMetricsHook, log: Any, run_id: int, *, is_reused: bool) -> None:
    """
    Cancel a run, if the server supports it and the task does not continue with it; log what happened.

    :param is_reused: Whether a cleared task continues with the run. A process that is killed cannot tell
        whether its task was cleared.
    """
    if is_reused:
        log.info("Run %d is not cancelled: a cleared task continues with it (on_clear='reuse')", run_id)
        return
    if not hook.settings.api_token:
        return
    try:
        was_cancelled = hook.cancel_run(run_id, policy=ONE_ATTEMPT)
    except PushMetricsError as error:
        log.warning("run %d could not be cancelled: %s", run_id, error)
    else:
        log.info("Run %d was%s cancelled", run_id, "" if was_cancelled else " not")
