"""Starting a run for a task: once for all its tries, and known by its id where that can be found out."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

from airflow_provider_pushmetrics.client import reports, waits
from airflow_provider_pushmetrics.client.models import RunStatus, TriggeredRun
from airflow_provider_pushmetrics.client.retries import ONE_ATTEMPT
from airflow_provider_pushmetrics.client.waits import Patience, RunTarget
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsConfigurationError,
    PushMetricsConflictError,
    PushMetricsDeliveryUnknownError,
    PushMetricsError,
    PushMetricsNotFoundError,
    PushMetricsProtocolError,
    PushMetricsRunTimeout,
    PushMetricsUnavailableError,
)
from airflow_provider_pushmetrics.hooks.pushmetrics import PushMetricsHook
from airflow_provider_pushmetrics.metrics import count_triggered_run
from airflow_provider_pushmetrics.operators.idempotency import hash_key
from airflow_provider_pushmetrics.operators.run_outcome import build_unconfirmed
from airflow_provider_pushmetrics.operators.run_request import RunRequest, describe_unknown_parameters
from airflow_provider_pushmetrics.task_failures import PushMetricsUnknownParameters
from airflow_provider_pushmetrics.task_state import StartedRun, TaskState

MAX_EARLIER_RUNS = 50
"""How many failed runs of earlier tries are passed over; Airflow Dags have far fewer retries."""


@dataclass(frozen=True)
class RunStart:
    """
    What it takes to start a run of a report for a task.

    :param hook: Asks PushMetrics and the receiver.
    :param log: The task's log.
    :param task_state: What the task's tries share.
    :param request: What is to be run.
    :param is_waited_for: Whether it must be known which run is ours.
    :param newest_wins: Whether the newest of several runs that could be ours is taken.
    :param calls_again: Whether a call that nobody answered is repeated if no run of it is found.
    :param is_strict: Whether parameters that the report does not have are refused.
    :param appearance_seconds: How long a new run may take to be listed.
    """

    hook: PushMetricsHook
    log: Any
    task_state: TaskState
    request: RunRequest
    is_waited_for: bool
    newest_wins: bool
    calls_again: bool
    is_strict: bool
    appearance_seconds: float

    @property
    def report_id(self) -> str:
        """The report."""
        return self.request.report_id

    def find_or_start(self) -> RunTarget:
        """Go on with the run of an earlier try; start one if there is none, or if that has failed."""
        kept = self.task_state.load(self.report_id)
        if kept is not None:
            target = self._go_on(kept)
            if target.run_id is None or not has_failed(self.hook, target.run_id):
                return target
        target = self._start()
        count_triggered_run()
        return target

    def _start(self) -> RunTarget:
        """Start the run and say what identifies it; what can be known is asked for before the call."""
        self._check_names()
        newest = self._find_newest_run_id() if self._needs_newest_run() else None
        target = RunTarget(self.report_id, None, self._find_cursor(), newest)
        # If this try dies in the call, the next one knows of it.
        self.task_state.save(target, is_accepted=False)
        try:
            started = self._trigger(target)
        except PushMetricsDeliveryUnknownError as error:
            self.log.warning("%s", error)
            return self._settle(target)
        return self._identify(started)

    def _check_names(self) -> None:
        """
        Tell of parameters that the report does not have: its run would use defaults in their place.

        :raises PushMetricsUnknownParameters: if there are any, and ``is_strict``.
        """
        if not self.request.parameters:
            return
        try:
            unknown = self._find_unknown_parameters()
        except PushMetricsError as error:
            if self.is_strict:
                raise
            self.log.info("The names of the parameters were not checked: %s", error)
            return
        if unknown is None:
            return
        if self.is_strict:
            raise PushMetricsUnknownParameters(
                f"{unknown} The report was not run (strict_parameters), and the task is not retried."
            )
        self.log.warning("%s Its run uses defaults; strict_parameters=True fails before the run", unknown)

    def _find_unknown_parameters(self) -> str | None:
        if not self.hook.settings.api_token:
            raise PushMetricsConfigurationError(
                f"connection {self.hook.pushmetrics_conn_id!r} has no API token to ask which parameters"
                f" report {self.report_id!r} has: set its password."
            )
        call = reports.fetch_report(self.hook.credentials, self.report_id, ONE_ATTEMPT)
        return describe_unknown_parameters(self.request, self.hook.call(call))

    def _go_on(self, started: StartedRun) -> RunTarget:
        """Go on with what an earlier try has begun, and call again only where that starts no second run."""
        target = started.build_target()
        if target.run_id is not None:
            self.log.info("Run %d was started by an earlier try; going on with it", target.run_id)
            return target
        if started.is_accepted:
            self.log.info("An earlier try has started a run of report %s", self.report_id)
            return self._identify(target)
        self.log.warning("An earlier try has called report %s and got no answer", self.report_id)
        return self._settle(target)

    def _identify(self, target: RunTarget) -> RunTarget:
        """Keep that the call was taken before looking for the run, and then which one it is."""
        self.task_state.save(target, is_accepted=True)
        if target.run_id is None:
            target = self._correlate(target)
            self.task_state.save(target, is_accepted=True)
        return target

    def _settle(self, target: RunTarget) -> RunTarget:
        """
        Find out what became of a call without an answer.

        :raises PushMetricsUnconfirmedRun: if nobody can say, so that no retry starts a second run.
        """
        if self.hook.honours_idempotency_keys():
            self.log.info("PushMetrics knows idempotency keys: calling again with the same one is safe")
            return self._identify(self._trigger(target))
        try:
            found = self._find_new_run(target) if self._needs_newest_run() else None
        except PushMetricsUnavailableError as error:
            if self.task_state.is_durable:
                raise  # the next try looks again
            raise self._give_up(str(error)) from None  # its message is all of the cause
        if found is not None:
            return self._identify(found)
        if self.calls_again:
            self.log.warning("No run of it is known: calling again, as on_unknown='call_again' says")
            return self._identify(self._trigger(target))
        if not self._needs_newest_run() and target.after_cursor is not None and self.task_state.is_durable:
            return self._correlate(target)
        raise self._give_up(self._describe_search())

    def _describe_search(self) -> str:
        if not self._needs_newest_run():
            return "it cannot be looked for: there is no API token, or the task does not wait"
        return f"no new run was listed within {self.appearance_seconds:g} s"

    def _give_up(self, reason: str) -> PushMetricsError:
        self.task_state.delete()
        return build_unconfirmed(self.report_id, reason)

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

    def _trigger(self, target: RunTarget) -> RunTarget:
        """
        Call the webhook; a try after a failed run gets a run of its own.

        The key is the same for all tries of a task, so that a try after a crash finds the run that was
        started. If that run has failed, it is not ours to return: the next key is made from it.
        """
        key = self.task_state.key
        for _ in range(MAX_EARLIER_RUNS):
            started = mark_replay(self._call_trigger(key), target.after_run_id)
            if not self._is_failed_earlier_run(started):
                break
            self.log.info("Run %s of an earlier try has failed; starting another one", started.run_id)
            key = hash_key(key, str(started.run_id))
        if started.run_id is not None:
            self.log.info("Report %s: run %d was started", self.report_id, started.run_id)
        # A replayed run may have ended before this try took its cursor.
        was_known = started.was_replayed and started.run_id is not None
        return replace(target, run_id=started.run_id, after_cursor=0 if was_known else target.after_cursor)

    def _call_trigger(self, key: str) -> TriggeredRun:
        try:
            return self.hook.trigger_report(self.report_id, self.request.parameters, idempotency_key=key)
        except PushMetricsDeliveryUnknownError:
            raise
        except PushMetricsProtocolError as error:
            if is_success(error.status_code):  # it was taken, or swallowed by a page in front of PushMetrics
                raise PushMetricsDeliveryUnknownError(str(error)) from None
            self.task_state.delete()
            raise
        except PushMetricsConflictError as error:
            self.task_state.delete()
            raise PushMetricsConflictError(
                f"{error}. An earlier try of this task started a run of report {self.report_id!r} with other"
                " parameters. They must be the same in every try, such as '{{ ds }}' and unlike the time of"
                " the try; to start a run with these, clear the task.",
                status_code=error.status_code,
            ) from None  # its message is all of the cause
        except PushMetricsError:
            self.task_state.delete()  # refused, or never sent: the next try may call
            raise

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
        found = self._find_new_run(target)
        if found is None and target.after_cursor is None:
            raise PushMetricsRunTimeout(
                f"the run of report {target.report_id!r} was accepted, but is not listed after"
                f" {self.appearance_seconds:g} s, and there is no receiver to hear of it. Look in PushMetrics"
                " what became of it."
            )
        if found is None:
            self.log.info(
                "No new run of report %s is listed yet: the first report.run to arrive counts as ours",
                target.report_id,
            )
        return found or target

    def _find_new_run(self, target: RunTarget) -> RunTarget | None:
        """Find the run that is new since the call; None if none appears in time."""
        run = self.hook.call(
            waits.find_new_run(
                target,
                credentials=self.hook.credentials,
                newest_wins=self.newest_wins,
                patience=Patience(time.time() + self.appearance_seconds, 1.0),
            )
        )
        if run is None:
            return None
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


def is_success(status_code: int | None) -> bool:
    """Tell whether an answer that cannot be read says that the call was taken."""
    return status_code is None or 200 <= status_code < 300
