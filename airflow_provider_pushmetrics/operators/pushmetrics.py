"""Operators: run a report."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_pushmetrics.client import waits
from airflow_provider_pushmetrics.client.models import RunResult
from airflow_provider_pushmetrics.client.outcomes import (
    RunOutcome,
    build_result,
    fetch_outcome,
    find_outputs_url,
    refuse_failure,
)
from airflow_provider_pushmetrics.client.wait_budget import DEFAULT_POLL_INTERVAL_SECONDS, WaitBudget
from airflow_provider_pushmetrics.client.waits import FinishedRun, RunTarget
from airflow_provider_pushmetrics.compat import BaseOperator, conf, require_airflow
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsError,
    PushMetricsLastLookError,
    PushMetricsParameterError,
    PushMetricsRunFailed,
    PushMetricsRunTimeout,
)
from airflow_provider_pushmetrics.hooks.pushmetrics import PushMetricsHook
from airflow_provider_pushmetrics.links.pushmetrics import (
    PushMetricsReportLink,
    PushMetricsRunLink,
    build_report_url,
    persist_links,
)
from airflow_provider_pushmetrics.metrics import count_finished_run, find_team, time_wait
from airflow_provider_pushmetrics.operators.run_cancellation import cancel_run
from airflow_provider_pushmetrics.operators.run_correlation import RunCorrelation
from airflow_provider_pushmetrics.operators.run_outcome import OutcomeRules, build_timeout, compute_deadline
from airflow_provider_pushmetrics.operators.run_request import RunRequest, read_request
from airflow_provider_pushmetrics.operators.run_starter import RunStarter
from airflow_provider_pushmetrics.tasks.arguments import TRUNCATIONS, check_choices, check_seconds
from airflow_provider_pushmetrics.tasks.asset_facts import (
    ResultOutlets,
    RunFacts,
    describe_outcome,
    fetch_parameters,
)
from airflow_provider_pushmetrics.tasks.ends import is_ended_by_triggerer, refuse_outlets
from airflow_provider_pushmetrics.tasks.failures import retry_only_if_useful
from airflow_provider_pushmetrics.tasks.lineage import build_run_lineage
from airflow_provider_pushmetrics.tasks.state import TaskState, build_origin
from airflow_provider_pushmetrics.tracing import link_asset_events
from airflow_provider_pushmetrics.triggers.pushmetrics import PushMetricsRunTrigger
from airflow_provider_pushmetrics.triggers.resumption import compute_not_before
from airflow_provider_pushmetrics.triggers.trigger_events import (
    read_finished_event,
    read_started,
    rebuild_failure,
)

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.providers.openlineage.extractors import OperatorLineage

DEFER_MARGIN = timedelta(minutes=5)
"""Airflow's own deadline for a deferral never reaches ``execute_complete``, so ours must be earlier."""

CHOICES = {
    "on_ambiguous": ("fail", "newest"),
    "on_clear": ("rerun", "reuse"),
    "on_unknown": ("fail", "call_again"),
    "on_truncated": TRUNCATIONS,
}
"""The allowed values of parameters."""

DEFER_AFTER_SECONDS = 10.0
"""A run that ends within this time is cheaper to wait for on the worker than in the triggerer."""

WORKER_POLL_SECONDS = 1.0
"""The minimum interval between polls of the API before a task defers."""


class PushMetricsTriggerReportOperator(BaseOperator):
    """
    Run a PushMetrics report by its webhook trigger, and wait for the run to end.

    See docs/provider.md for more.

    :param report_id: The number or uid of the report. (templated)
    :param parameters: Values for the report's parameters, by name; JSON keeps its types. (templated)
    :param pushmetrics_conn_id: The connection, of the type PushMetrics. (templated)
    :param wait_for_completion: Wait for the run to end, and fail if it failed. If False, the task succeeds
        as soon as PushMetrics has accepted the run.
    :param timeout: How long to wait for the run to end, in seconds or as a timedelta, by default 24 h; None
        to wait forever. The run continues in PushMetrics after that.
    :param poll_interval: Seconds between polls of PushMetrics, by default 5, without a receiver.
    :param on_ambiguous: What to do if PushMetrics does not return the run's id and several runs are
        candidates: ``fail``, or use the ``newest``.
    :param on_clear: What a cleared task does: ``rerun`` the report, or ``reuse`` the run that it started
        before, unless that run failed.
    :param on_unknown: What to do if the call got no response, no run of it is found, and PushMetrics is not
        known to support idempotency keys: ``fail`` without a retry, or ``call_again``, which may start a
        second run.
    :param require_outcome: Fail if the outcome of the run is unknown: before the report is run if there is no
        API token, or after it if PushMetrics does not return the outcome. If False, such a run counts as a
        success.
    :param on_truncated: What to do if the result of a query is incomplete because of a row limit: ``warn``,
        or ``fail`` without a retry, also if PushMetrics does not say whether rows are missing.
        ``fail`` needs an API token: without one, the task fails before the report is run.
    :param strict_parameters: Fail without a retry, before the report is run, if the report has no Parameter
        block with the name of a parameter; needs an API token. If False, a warning is logged where an API
        token exists.
    :param cancel_on_kill: Cancel the run when the task is killed, or when a user marks or clears it, if
        PushMetrics supports it. Before Airflow 3.3, the run of a deferred task continues. With
        ``on_clear="reuse"``, only if a deferred task is marked.
    :param partition_by: The parameter whose value is the partition key of the asset events of ``outlets``,
        such as ``month``; needs Airflow 3.3.
    :param deferrable: Wait in the triggerer, without holding a worker slot.
    :param defer_after: Seconds that a deferrable task waits on the worker first, by default 10; 0 for none.
    :param end_from_trigger: End a deferred task in the triggerer if its run succeeded: None if nothing is
        lost by it (needs Airflow 3.3), False never, True also if overridden methods are then skipped.
        A worker handles everything else, so that retries count.
    :return: The run: ``report_id``, ``run_id``, ``status``, ``outputs_url`` and ``queries``, each query with
        ``query_id``, ``query_name``, ``query_result`` (the URL of its result), ``status``, ``row_count``,
        ``is_truncated`` and ``row_limit``.
    :raises PushMetricsRunError: if the run failed, is incomplete, is one of several, or did not end in time.
    """

    template_fields: Sequence[str] = ("report_id", "parameters", "pushmetrics_conn_id")
    template_fields_renderers = {"parameters": "json"}
    operator_extra_links = (PushMetricsRunLink(), PushMetricsReportLink())
    ui_color = "#e9f3ff"

    _state: TaskState
    appearance_seconds = 30.0
    """How long a new run may take to appear in the list of runs, if the trigger does not return its id."""

    def __init__(
        self,
        *,
        report_id: str | int,
        parameters: dict[str, Any] | None = None,
        pushmetrics_conn_id: str = PushMetricsHook.default_conn_name,
        wait_for_completion: bool = True,
        timeout: float | timedelta | None = timedelta(hours=24),
        poll_interval: float = DEFAULT_POLL_INTERVAL_SECONDS,
        on_ambiguous: Literal["fail", "newest"] = "fail",
        on_clear: Literal["rerun", "reuse"] = "rerun",
        on_unknown: Literal["fail", "call_again"] = "fail",
        require_outcome: bool = False,
        on_truncated: Literal["warn", "fail"] = "warn",
        strict_parameters: bool = False,
        cancel_on_kill: bool = True,
        partition_by: str | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        defer_after: float = DEFER_AFTER_SECONDS,
        end_from_trigger: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.report_id = report_id
        self.parameters = parameters
        self.pushmetrics_conn_id = pushmetrics_conn_id
        self.wait_for_completion = wait_for_completion
        self.timeout = timeout
        self.poll_interval = poll_interval
        self.on_ambiguous = on_ambiguous
        self.on_clear = on_clear
        self.on_unknown = on_unknown
        self.require_outcome = require_outcome
        self.on_truncated = on_truncated
        self.strict_parameters = strict_parameters
        self.cancel_on_kill = cancel_on_kill
        self.partition_by = partition_by
        self.deferrable = deferrable
        self.defer_after = defer_after
        self.end_from_trigger = end_from_trigger
        self._parameter_templates = parameters  # rendering replaces the parameters, but not these
        self._watched_run_id: int | None = None
        self._result: RunResult | None = None
        self._check_arguments()

    @cached_property
    def hook(self) -> PushMetricsHook:
        """The hook, created after the connection's id has been rendered."""
        return PushMetricsHook(self.pushmetrics_conn_id)

    def _check_arguments(self) -> None:
        check_choices(self, CHOICES)
        check_seconds("poll_interval", self.poll_interval)
        check_seconds("defer_after", self.defer_after, allows_zero=True)
        if self.timeout is not None:
            check_seconds("timeout", self.timeout)
        if self.end_from_trigger:
            require_airflow("3.3", "end_from_trigger=True", "Leave it out: a worker ends the task.")
            refuse_outlets(self)
        if self._result_outlets and not self.wait_for_completion:
            raise PushMetricsParameterError(
                "a PushMetrics asset in 'outlets' needs wait_for_completion=True: its event would come before"
                " the result exists."
            )

    @retry_only_if_useful
    def execute(self, context: Context) -> RunResult:
        """Check, find or start the run, publish its link, wait or defer, and return the result."""
        self._state = TaskState.open(context, is_reused=self.on_clear == "reuse")
        persist_links(context, self)
        request = read_request(self.report_id, self.parameters, self._parameter_templates)
        PushMetricsReportLink.persist(
            context, build_report_url(self.hook.settings.base_url, request.report_id)
        )
        if self.wait_for_completion:
            self._outcome_rules.refuse_unknowable(self.hook.settings)
            self._check_outlets(request)
        link_asset_events(context)
        target = self._build_starter(request, context).find_or_start()
        if target.run_id is not None:
            PushMetricsRunLink.persist(context, self.hook.build_outputs_url(target.report_id, target.run_id))
        if not self.wait_for_completion:
            return self._return(RunOutcome(target.report_id, target.run_id))
        return self._conclude(self._wait_or_defer(target), context, target)

    def on_kill(self) -> None:
        """Cancel the run that the task waits for, if the server supports it."""
        if self._watched_run_id is not None and self.cancel_on_kill:
            cancel_run(self.hook, self.log, self._watched_run_id, is_reused=self.on_clear == "reuse")

    @retry_only_if_useful
    def execute_complete(self, context: Context, event: dict[str, Any]) -> RunResult:
        """
        Continue after the triggerer has waited.

        :param event: What the trigger found.
        """
        self._state = TaskState.open(context)
        status = event.get("status")
        if status == "success":
            return self._conclude(read_finished_event(event), context, read_started(event))
        if status == "timeout":
            raise self._build_timeout(str(self.report_id), event.get("run_id"), event.get("cause"))
        raise rebuild_failure(event)

    def get_openlineage_facets_on_start(self) -> OperatorLineage[Any, Any]:
        """Describe the report for OpenLineage, when the task starts."""
        hook = PushMetricsHook(self.pushmetrics_conn_id)  # the own one may not be rendered yet
        return build_run_lineage(hook.settings.base_url, self.report_id)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        """Describe the report and its results for OpenLineage, if its provider is installed."""
        return build_run_lineage(self.hook.settings.base_url, self.report_id, self._result)

    @property
    def _result_outlets(self) -> ResultOutlets:
        return ResultOutlets(self, self.partition_by)

    def _check_outlets(self, request: RunRequest) -> None:
        """Refuse outlets for which this run cannot create asset events, before it is started."""
        outlets = self._result_outlets
        outlets.refuse_unknowable(self.hook.settings)
        outlets.refuse_other_report(request.report_id)
        outlets.refuse_missing_partition(request.parameters)

    @property
    def _outcome_rules(self) -> OutcomeRules:
        return OutcomeRules(require_outcome=self.require_outcome, on_truncated=self.on_truncated)

    def _build_starter(self, request: RunRequest, context: Context) -> RunStarter:
        correlation = RunCorrelation(
            self.hook,
            self.log,
            is_waited_for=self.wait_for_completion,
            newest_wins=self.on_ambiguous == "newest",
            appearance_seconds=self.appearance_seconds,
        )
        return RunStarter(
            self.hook,
            self.log,
            self._state,
            request,
            correlation,
            calls_again=self.on_unknown == "call_again",
            is_strict=self.strict_parameters,
            origin=build_origin(context),
            operator=type(self).__name__,
            team=find_team(context["ti"]),
        )

    def _wait_or_defer(self, target: RunTarget) -> FinishedRun:
        """
        Wait on the worker, a deferrable task for at most ``defer_after``, and then in the triggerer.

        :raises TaskDeferred: if the run has not ended by then.
        :raises PushMetricsRunTimeout: if the run has not ended in time.
        """
        deadline = compute_deadline(self.timeout)
        until = time.time() + self.defer_after if self.deferrable else None
        is_deferred = until is not None and (deadline is None or until < deadline)
        finished, cause = None, None
        if not is_deferred or self.defer_after > 0:
            finished, cause = self._wait(target, until if is_deferred else deadline)
        if finished is not None:
            return finished
        if is_deferred:
            self._defer(target, deadline)
        raise self._build_timeout(target.report_id, target.run_id, cause)

    def _build_timeout(self, report_id: str, run_id: int | None, cause: object) -> PushMetricsRunTimeout:
        url = None if run_id is None else self.hook.build_outputs_url(report_id, run_id)
        return build_timeout(report_id, run_id, self.timeout, cause, url=url)

    def _wait(
        self, target: RunTarget, deadline: float | None
    ) -> tuple[FinishedRun | None, PushMetricsError | None]:
        """Wait on the worker; return the run or None, and the error of the last poll if it failed."""
        seconds = min(self.poll_interval, WORKER_POLL_SECONDS) if self.deferrable else self.poll_interval
        call = waits.wait_for_run(
            target,
            credentials=self.hook.credentials,
            receiver=self.hook.settings.receiver,
            budget=WaitBudget(deadline, seconds),
        )
        finished, cause = None, None
        self._watched_run_id = target.run_id
        try:
            with time_wait("report.run"):
                finished = self.hook.call(call)
        except PushMetricsLastLookError as error:
            cause = error
        # Not after an execution_timeout, which is raised here: on_kill is called next.
        self._watched_run_id = None
        return finished, cause

    def _defer(self, target: RunTarget, deadline: float | None) -> None:
        margin = None if deadline is None else timedelta(seconds=deadline - time.time()) + DEFER_MARGIN
        self.defer(
            trigger=PushMetricsRunTrigger(
                report_id=target.report_id,
                run_id=target.run_id,
                after_cursor=target.after_cursor,
                parameters_digest=target.parameters_digest,
                pushmetrics_conn_id=self.pushmetrics_conn_id,
                deadline=deadline,
                not_before=compute_not_before(self.executor),
                poll_interval_seconds=self.poll_interval,
                cancel_on_kill=self.cancel_on_kill,
                end_from_trigger=is_ended_by_triggerer(
                    self,
                    PushMetricsTriggerReportOperator,
                    choice=self.end_from_trigger,
                    is_in_loop=self._state.is_in_loop,
                ),
                on_truncated=self.on_truncated,
                on_clear=self.on_clear,
            ),
            method_name="execute_complete",
            timeout=margin,
        )

    def _conclude(self, finished: FinishedRun, context: Context, target: RunTarget) -> RunResult:
        """
        Fetch and check the outputs of a finished run.

        :raises PushMetricsRunFailed: if it failed; the next try then starts another run.
        """
        url = find_outputs_url(finished, self.hook.credentials)  # checked before the link is published
        if url is not None and self.hook.settings.api_token:
            PushMetricsRunLink.persist(context, url)
        outcome = self.hook.call(fetch_outcome(finished, self.hook.credentials))
        count_finished_run(outcome.status, find_team(context["ti"]))
        try:
            refuse_failure(outcome)
        except PushMetricsRunFailed:
            self._state.delete_run()
            raise
        self._outcome_rules.check(outcome, self.log)
        if outlets := self._result_outlets:
            outlets.refuse_unknowable(self.hook.settings)
            outlets.emit(context, self._describe_run(outcome, target))
        return self._return(outcome)

    def _describe_run(self, outcome: RunOutcome, target: RunTarget) -> RunFacts:
        """Describe the run by what PushMetrics says of it, not by what this try would start."""
        parameters = self.hook.call(fetch_parameters(self.hook.credentials, outcome.run_id))
        if parameters is None:
            request = read_request(self.report_id, self.parameters, self._parameter_templates)
            parameters = request.find_sent(target, self.hook.settings.trigger_tokens.get(request.report_id))
        return describe_outcome(outcome, target.report_id, parameters)

    def _return(self, outcome: RunOutcome) -> RunResult:
        self._result = build_result(outcome)
        return self._result
