"""Starting a run for a task, once for all its tries."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from airflow_provider_pushmetrics.client.models import Run, RunStatus, TriggeredRun
from airflow_provider_pushmetrics.client.protocol import Call, Pause
from airflow_provider_pushmetrics.client.retry_policy import RetryPolicy
from airflow_provider_pushmetrics.client.retrying import DEFAULT_POLICY
from airflow_provider_pushmetrics.client.waits import RunTarget, read_run
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsAuthError,
    PushMetricsConflictError,
    PushMetricsDeliveryUnknownError,
    PushMetricsError,
    PushMetricsNotFoundError,
    PushMetricsProtocolError,
    PushMetricsUnavailableError,
)
from airflow_provider_pushmetrics.hooks.pushmetrics import PushMetricsHook
from airflow_provider_pushmetrics.metrics import Tags, count_resumption, count_triggered_run
from airflow_provider_pushmetrics.operators.run_correlation import RunCorrelation
from airflow_provider_pushmetrics.operators.run_outcome import build_unconfirmed
from airflow_provider_pushmetrics.operators.run_request import RunRequest, check_parameter_names
from airflow_provider_pushmetrics.tasks.state import RUN_KEY, StartedRun, TaskState, hash_key
from airflow_provider_pushmetrics.tracing import TaskOrigin, record_resumption

FRESH, RECONNECT = "fresh_submit", "reconnect_success"
SUCCEEDED, TERMINAL = "already_succeeded", "terminal_resubmit"
"""The decisions about a run of an earlier try, as Airflow's ``ResumableJobMixin`` counts them."""

MAX_EARLIER_RUNS = 50
"""How many failed runs of earlier tries are skipped; Airflow Dags have far fewer retries."""


@dataclass(frozen=True)
class RunStarter:
    """
    Starts a run of a report for a task.

    :param hook: Calls PushMetrics.
    :param log: The task's log.
    :param state: The state that all tries of the task share.
    :param request: The run to start.
    :param correlation: Finds the run if PushMetrics does not return its id.
    :param calls_again: Whether a call without a response is repeated if no run of it is found.
    :param is_strict: Whether unknown parameters raise an error.
    :param operator: The name of the operator's class, for metrics.
    :param team: The tag of the task's team, for metrics.
    :param origin: The task, for people who look at the run in PushMetrics.
    """

    hook: PushMetricsHook
    log: Any
    state: TaskState
    request: RunRequest
    correlation: RunCorrelation
    calls_again: bool = False
    is_strict: bool = False
    origin: TaskOrigin | None = None
    operator: str = ""
    team: Tags = field(default_factory=dict)

    def find_or_start(self) -> RunTarget:
        """Continue with the run of an earlier try; start one if there is none, or if it failed."""
        kept = self.state.load_run(self.request.report_id)
        if kept is not None:
            count_resumption("reconnect_attempt", self._tags)
            target = self._resume(kept)
            decision = find_decision(self.hook, target)
            if decision == SUCCEEDED and self.state.is_first_try:
                self.log.info("Run %s ended before the task was cleared; starting another one", target.run_id)
                decision = TERMINAL
            self._record_decision(decision, target.run_id)
            if decision != TERMINAL:
                return target
        elif self.state.is_durable:
            self._record_decision(FRESH)
        target = self._start()
        count_triggered_run(self.team)
        return target

    @property
    def _tags(self) -> Tags:
        return {"operator": self.operator, **self.team}

    def _record_decision(self, decision: str, run_id: int | None = None) -> None:
        """Count a decision, and record it in the trace, by the names of Airflow's ``ResumableJobMixin``."""
        count_resumption(decision, self._tags)
        record_resumption(
            operator=self.operator, key=RUN_KEY, decision=decision.removesuffix("_success"), run_id=run_id
        )

    def _start(self) -> RunTarget:
        """Start the run and return what identifies it; all checks come before the call."""
        check_parameter_names(self.hook, self.request, self.log, is_strict=self.is_strict)
        target = self.correlation.mark_position(self.request.report_id)
        target = replace(target, parameters_digest=self._compute_digest())
        # If this try dies in the call, the next one finds it.
        self.state.save_run(target, is_accepted=False)
        try:
            started = self._call(target)
        except PushMetricsDeliveryUnknownError as error:
            self.log.warning("%s", error)
            return self._resolve_unanswered(target, error)
        return self._identify(started)

    def _resume(self, kept: StartedRun) -> RunTarget:
        """Continue with the run of an earlier try; repeat its call only if that cannot start a second run."""
        target = kept.build_target()
        if target.run_id is not None:
            self.log.info("Run %d was started by an earlier try; continuing with it", target.run_id)
            return target
        if kept.is_accepted:
            self.log.info("An earlier try has started a run of report %s", target.report_id)
            return self._identify(target)
        self.log.warning("An earlier try has called report %s and got no response", target.report_id)
        return self._resolve_unanswered(target)

    def _identify(self, target: RunTarget) -> RunTarget:
        """Save that the call was accepted before searching the run, and then its id."""
        self.state.save_run(target, is_accepted=True)
        if target.run_id is None:
            target = self.correlation.identify(target)
            self.state.save_run(target, is_accepted=True)
        return target

    def _resolve_unanswered(
        self, target: RunTarget, error: PushMetricsDeliveryUnknownError | None = None
    ) -> RunTarget:
        """
        Find the run of a call without a response.

        :param error: The error of the call, if this try has made it.
        :raises PushMetricsUnconfirmedRun: if it is unknown whether there is one, so that no retry starts a
            second run.
        """
        if self.hook.honors_idempotency_keys():
            self.log.info("PushMetrics supports idempotency keys: calling again with the same one is safe")
            return self._identify(self._call_again(target, error))
        # Without the newest run before the call, every run of the report would count as new.
        can_list_runs = self.correlation.can_list_runs and target.after_run_id is not None
        try:
            found = self.correlation.find_new_run(target) if can_list_runs else None
        except PushMetricsUnavailableError as failure:
            if self.state.is_durable:
                raise  # the next try searches again
            raise self._give_up(str(failure)) from None  # its message contains the cause
        if found is not None:
            return self._identify(found)
        if self.calls_again:
            self.log.warning("No run of it is known: calling again (on_unknown='call_again')")
            return self._identify(self._call_again(target, error))
        if not can_list_runs and target.after_cursor is not None and self.state.is_durable:
            return self.correlation.identify(target)
        raise self._give_up(self.correlation.describe_search())

    def _call_again(self, target: RunTarget, error: PushMetricsDeliveryUnknownError | None) -> RunTarget:
        """
        Call the webhook a second time, where that is safe or wanted; not before the server asks for it.

        :param error: The error of the first call, if this try has made it.
        :raises PushMetricsUnavailableError: if there is no response again, or if the server asks to wait for
            too long: the next try may call too.
        """
        try:
            if error is not None:
                self.hook.call(wait_to_repeat(error))
            return self._call(target)
        except PushMetricsDeliveryUnknownError as last:
            raise PushMetricsUnavailableError(
                str(last), retry_after_seconds=last.retry_after_seconds
            ) from None

    def _give_up(self, reason: str) -> PushMetricsError:
        self.state.delete_run()
        return build_unconfirmed(self.request.report_id, reason)

    def _call(self, target: RunTarget) -> RunTarget:
        """
        Call the webhook; a try after a failed run starts a new run.

        The key is the same for all tries of a task, so that a try after a crash finds the run that was
        started. If that run failed, it must not be returned: the next key is derived from it.
        """
        key = self.state.idempotency_key
        for _ in range(MAX_EARLIER_RUNS):
            answer = self._trigger(key)
            started = mark_replay(answer, target.after_run_id)
            reason = self._find_reason_for_another(
                started, is_told=answer.was_replayed, before=target.after_run_id
            )
            if reason is None:
                break
            self.log.warning("Run %s %s; starting another one", started.run_id, reason)
            key = hash_key(key, str(started.run_id))
        if started.run_id is not None:
            self.log.info("Report %s: run %d was started", target.report_id, started.run_id)
        # A replayed run may have ended before this try took its cursor.
        was_known = started.was_replayed and started.run_id is not None
        return replace(
            target,
            run_id=started.run_id,
            after_cursor=0 if was_known else target.after_cursor,
            parameters_digest=self._find_digest(started, target),
        )

    def _find_digest(self, started: TriggeredRun, target: RunTarget) -> str | None:
        """Find the digest of the parameters of a run; None if an earlier call may have started it."""
        mine = self._compute_digest()
        is_new = started.run_id is not None or target.parameters_digest == mine
        return mine if is_new and not started.was_replayed else None

    def _compute_digest(self) -> str:
        return self.request.compute_digest(self.hook.settings.get_trigger_token(self.request.report_id))

    def _trigger(self, key: str) -> TriggeredRun:
        report_id = self.request.report_id
        try:
            return self.hook.trigger_report(
                report_id, self.request.parameters, idempotency_key=key, origin=self.origin
            )
        except PushMetricsDeliveryUnknownError:
            raise
        except PushMetricsProtocolError as error:
            if is_success(error.status_code):  # accepted, or answered by a page in front of PushMetrics
                raise PushMetricsDeliveryUnknownError(str(error)) from None
            self.state.delete_run()
            raise
        except PushMetricsConflictError as error:
            self.state.delete_run()
            way_out = "set on_clear='rerun' and clear the task" if self.state.is_reused else "clear the task"
            raise PushMetricsConflictError(
                f"{error}. An earlier try of this task, or another Airflow with the same Dag and run id,"
                f" started a run of report {report_id!r} with other parameters. They must be the same in"
                " every try, such as '{{ ds }}' and unlike the time of the try; to start a run with these,"
                f" {way_out}.",
                status_code=error.status_code,
            ) from None  # its message contains the cause
        except PushMetricsError:
            self.state.delete_run()  # rejected, or never sent: the next try may call
            raise

    def _find_reason_for_another(
        self, started: TriggeredRun, *, is_told: bool, before: int | None
    ) -> str | None:
        """
        Find why a run that was there is not this task's result; None if it is.

        The key has no more than the names of the Dag, its run and the task: another Airflow with the same
        Dag, and a Dag run that was deleted and created again, have the same one.

        :param is_told: Whether PushMetrics says that it has had the key before.
        :param before: The newest run before this try's call; None if unknown.
        """
        if not started.was_replayed:
            return None
        decision = find_decision(self.hook, RunTarget(self.request.report_id, started.run_id))
        if decision == TERMINAL:
            return "of an earlier try failed"
        was_there = before is not None and started.run_id is not None and started.run_id <= before
        if not is_told or not was_there:
            return None
        if self.state.was_never_tried:
            return "was started by another Airflow, or for a Dag run of this name that was deleted"
        is_left = self.state.is_first_try and decision == SUCCEEDED
        return "ended before the task was cleared" if is_left else None


def wait_to_repeat(
    error: PushMetricsDeliveryUnknownError, policy: RetryPolicy = DEFAULT_POLICY
) -> Call[None]:
    """
    Wait before a request is repeated that may have been delivered, as before any other one.

    :raises PushMetricsDeliveryUnknownError: the error, if the server asks to wait for too long.
    """
    wait_seconds = policy.compute_wait(1, error.retry_after_seconds)
    if wait_seconds is None:
        raise error
    yield Pause(wait_seconds)


def find_decision(hook: PushMetricsHook, target: RunTarget) -> str:
    """
    Find what to do with a run of an earlier try: another one follows only if it has failed or was deleted.

    A run of another report has the id of one that is gone, since PushMetrics was restored from a backup.

    :return: The name of the decision in Airflow's ``ResumableJobMixin``.
    :raises PushMetricsUnavailableError: if another server answers, so that it is unknown.
    """
    if target.run_id is None or not hook.settings.api_token:
        return RECONNECT
    run = find_run(hook, target.report_id, target.run_id)
    if run is None:
        return TERMINAL
    try:
        finished = read_run(target, run)
    except PushMetricsNotFoundError:
        return TERMINAL
    if finished is None:
        return RECONNECT
    return SUCCEEDED if finished.status is RunStatus.SUCCESS else TERMINAL


def find_run(hook: PushMetricsHook, report_id: str, run_id: int) -> Run | None:
    """
    Fetch a run; None if it is gone.

    A proxy returns 404 too while PushMetrics is being replaced, but then for every request.

    :raises PushMetricsUnavailableError: if it does.
    """
    try:
        return hook.fetch_run(run_id)
    except PushMetricsNotFoundError as error:
        missing = str(error)
    try:
        hook.fetch_runs(report_id)
    except PushMetricsNotFoundError:
        raise PushMetricsUnavailableError(missing) from None
    except PushMetricsAuthError:
        pass  # a token that may not list runs may still read each one
    try:
        return hook.fetch_run(run_id)  # PushMetrics may have become available between the two requests
    except PushMetricsNotFoundError:
        return None


def mark_replay(started: TriggeredRun, newest_before: int | None) -> TriggeredRun:
    """Mark a run that existed before the call as a replay, also if the server does not."""
    was_there = newest_before is not None and started.run_id is not None and started.run_id <= newest_before
    return started.model_copy(update={"was_replayed": True}) if was_there else started


def is_success(status_code: int | None) -> bool:
    """Return whether the status of an unreadable response means that the call was accepted."""
    return status_code is None or 200 <= status_code < 300
