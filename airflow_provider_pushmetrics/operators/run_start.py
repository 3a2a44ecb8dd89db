"""Starting a run for a task: once for all its tries, and known by its id where that can be found out."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

from airflow_provider_pushmetrics.client import waits
from airflow_provider_pushmetrics.client.models import RunStatus, TriggeredRun
from airflow_provider_pushmetrics.client.waits import Patience, RunTarget
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsConflictError,
    PushMetricsNotFoundError,
    PushMetricsRunTimeout,
    PushMetricsUnavailableError,
)
from airflow_provider_pushmetrics.hooks.pushmetrics import PushMetricsHook
from airflow_provider_pushmetrics.operators.idempotency import hash_key

MAX_EARLIER_RUNS = 50
"""How many failed runs of earlier tries are passed over; Airflow Dags have far fewer retries."""


@dataclass(frozen=True)
class RunStart:
    """
    What it takes to start a run of a report for a task.

    :param hook: Asks PushMetrics and the receiver.
    :param log: The task's log.
    :param report_id: The report.
    :param parameters: Values for its parameters.
    :param key: The same for all tries of the task that are to share a run.
    :param is_waited_for: Whether it must be known which run is ours.
    :param newest_wins: Whether the newest of several runs that could be ours is taken.
    :param appearance_seconds: How long a new run may take to be listed.
    """

    hook: PushMetricsHook
    log: Any
    report_id: str
    parameters: dict[str, Any]
    key: str
    is_waited_for: bool
    newest_wins: bool
    appearance_seconds: float

    def start(self) -> RunTarget:
        """Start the run and say what identifies it; what can be known is asked for before the call."""
        cursor = self._find_cursor()
        newest = self._find_newest_run_id() if self._needs_newest_run() else None
        started = self._trigger(newest)
        if started.run_id is not None:
            self.log.info("Report %s: run %d was started", self.report_id, started.run_id)
            # A replayed run may have ended before this try took its cursor.
            after = 0 if started.was_replayed else cursor
            return RunTarget(self.report_id, started.run_id, after, newest)
        return self._correlate(RunTarget(self.report_id, None, cursor, newest))

    def _find_cursor(self) -> int | None:
        """Find the receiver's cursor; None without one, or if it is away and the API can tell instead."""
        if not self.is_waited_for or self.hook.settings.receiver is None:
            return None
        try:
            return self.hook.fetch_cursor()
        except PushMetricsUnavailableError as error:
            if not self.hook.settings.api_token:
                raise
            self.log.warning("%s. The run is started all the same, and the API asked how it is", error)
            return None

    def _needs_newest_run(self) -> bool:
        return self.is_waited_for and bool(self.hook.settings.api_token)

    def _find_newest_run_id(self) -> int:
        runs = self.hook.fetch_runs(self.report_id)
        return runs[0].id if runs else 0

    def _trigger(self, newest: int | None) -> TriggeredRun:
        """
        Call the webhook; a try after a failed run gets a run of its own.

        The key is the same for all tries of a task, so that a try after a crash finds the run that was
        started. If that run has failed, it is not ours to return: the next key is made from it.
        """
        key = self.key
        for _ in range(MAX_EARLIER_RUNS):
            answer = self._call_trigger(key)
            started = mark_replay(answer, newest)
            if not self._is_failed_earlier_run(started):
                return started
            self.log.info("Run %s of an earlier try has failed; starting another one", started.run_id)
            key = hash_key(key, str(started.run_id))
        return started

    def _call_trigger(self, key: str) -> TriggeredRun:
        try:
            return self.hook.trigger_report(self.report_id, self.parameters, idempotency_key=key)
        except PushMetricsConflictError as error:
            raise PushMetricsConflictError(
                f"{error}. An earlier try of this task started a run of report {self.report_id!r} with other"
                " parameters. They must be the same in every try, such as '{{ ds }}' and unlike the time of"
                " the try; to start a run with these, clear the task.",
                status_code=error.status_code,
            ) from None  # its message is all of the cause

    def _is_failed_earlier_run(self, started: TriggeredRun) -> bool:
        return started.was_replayed and started.run_id is not None and has_failed(self.hook, started.run_id)

    def _correlate(self, target: RunTarget) -> RunTarget:
        """Find out which run is ours, where PushMetrics does not say."""
        if not self.is_waited_for:
            return target
        if target.after_run_id is None:
            self.log.info(
                "PushMetrics did not name the run, and there is no API token to look for it: the first"
                " report.run of report %s to arrive from now on counts as ours",
                target.report_id,
            )
            return target
        run = self.hook.call(
            waits.find_new_run(
                target,
                credentials=self.hook.credentials,
                newest_wins=self.newest_wins,
                patience=Patience(time.time() + self.appearance_seconds, 1.0),
            )
        )
        if run is None and target.after_cursor is None:
            raise PushMetricsRunTimeout(
                f"the run of report {target.report_id!r} was accepted, but is not listed after"
                f" {self.appearance_seconds:g} s, and there is no receiver to hear of it. Look in PushMetrics"
                " what became of it."
            )
        if run is None:
            self.log.info(
                "No new run of report %s is listed yet: the first report.run to arrive counts as ours",
                target.report_id,
            )
            return target
        self.log.info("Report %s: run %d is new since the call, so it is ours", target.report_id, run.id)
        return replace(target, run_id=run.id)


def has_failed(hook: PushMetricsHook, run_id: int) -> bool:
    """Tell whether a run has ended in vain, or is gone; without an API token, nobody can say."""
    if not hook.settings.api_token:
        return False
    try:
        status = hook.fetch_run(run_id).status
    except PushMetricsNotFoundError:
        return True
    return status.is_finished and status is not RunStatus.SUCCESS


def mark_replay(started: TriggeredRun, newest_before: int | None) -> TriggeredRun:
    """Mark a run that was there before the call as a replay, also if the server does not say that it is."""
    was_there = newest_before is not None and started.run_id is not None and started.run_id <= newest_before
    return started.model_copy(update={"was_replayed": True}) if was_there else started
