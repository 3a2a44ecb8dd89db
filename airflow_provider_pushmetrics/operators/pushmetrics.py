"""Operators: run a report."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from airflow.providers.common.compat.sdk import BaseOperator, conf

from airflow_provider_pushmetrics.client import waits
from airflow_provider_pushmetrics.client.calls import check_parameters
from airflow_provider_pushmetrics.client.models import RunStatus
from airflow_provider_pushmetrics.client.retries import ONE_ATTEMPT
from airflow_provider_pushmetrics.client.waits import FinishedRun, Patience, RunTarget
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsConfigurationError,
    PushMetricsError,
    PushMetricsParameterError,
    PushMetricsRunError,
    PushMetricsRunFailed,
)
from airflow_provider_pushmetrics.hooks.pushmetrics import PushMetricsHook
from airflow_provider_pushmetrics.lineage import build_run_lineage
from airflow_provider_pushmetrics.links.pushmetrics import (
    PushMetricsReportLink,
    PushMetricsRunLink,
    build_report_url,
    persist_links,
)
from airflow_provider_pushmetrics.metrics import count_finished_run, count_triggered_run, time_wait
from airflow_provider_pushmetrics.operators.idempotency import build_idempotency_key
from airflow_provider_pushmetrics.operators.run_outcome import (
    build_result,
    build_timeout,
    compute_deadline,
    refuse_failure,
)
from airflow_provider_pushmetrics.operators.run_start import RunStart, has_failed
from airflow_provider_pushmetrics.operators.started_run import (
    RunRecord,
    forget_started_run,
    open_record,
)
from airflow_provider_pushmetrics.task_epoch import find_epoch
from airflow_provider_pushmetrics.triggers.argument_checks import check_seconds
from airflow_provider_pushmetrics.triggers.pushmetrics import (
    PushMetricsRunTrigger,
    compute_not_before,
    rebuild_failure,
)

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.providers.openlineage.extractors import OperatorLineage

DEFER_MARGIN = timedelta(minutes=5)
"""Airflow's own deadline for a deferral never reaches ``execute_complete``, so ours must come first."""

AMBIGUITIES = ("fail", "newest")
CLEARINGS = ("rerun", "reuse")
UNKNOWNS = ("fail", "call_again")


class PushMetricsTriggerReportOperator(BaseOperator):
    """
    Run a PushMetrics report by its webhook trigger, and wait for it to end.

    .. seealso::
        :ref:`howto/operator:PushMetricsTriggerReportOperator`

    :param report_id: The report to run. (templated)
    :param parameters: Values for the report's parameters, by name; JSON keeps its types. (templated)
    :param pushmetrics_conn_id: The :ref:`PushMetrics connection <howto/connection:pushmetrics>`. (templated)
    :param wait_for_completion: Wait for the run to end, and fail if it failed. Without it, the task succeeds
        as soon as PushMetrics has accepted the run.
    :param timeout: How long to wait for the run to end, in seconds or as a timedelta; None to wait for ever.
        The run goes on in PushMetrics after that.
    :param poll_interval: How often to ask PushMetrics, in seconds, where no receiver tells.
    :param on_ambiguous: What to do if PushMetrics does not name the run and several could be it: ``fail``, or
        take the ``newest``.
    :param on_clear: What a task does that was cleared: ``rerun`` the report, or ``reuse`` the run that it
        started before, unless that has failed.
    :param on_unknown: What to do if the call got no answer, no run of it is found, and PushMetrics is not
        known to honour idempotency keys: ``fail`` without a retry, or ``call_again``, which may start a
        second run.
    :param require_outcome: Fail where nobody can say how the run ended: without an API token, before the
        report is run; and where PushMetrics does not say. Without it, such a run counts as a success.
    :param cancel_on_kill: Cancel the run when the task is killed, or when a user marks or clears it, where
        PushMetrics can.
    :param deferrable: Wait in the triggerer, without holding a worker slot.
    :return: The run: ``report_id``, ``run_id``, ``status``, ``outputs_url`` and ``queries``, each query with
        ``query_id``, ``query_name``, ``query_result`` (the URL of its result), ``status`` and ``row_count``.
    """

    template_fields: Sequence[str] = ("report_id", "parameters", "pushmetrics_conn_id")
    template_fields_renderers = {"parameters": "json"}
    operator_extra_links = (PushMetricsRunLink(), PushMetricsReportLink())
    ui_color = "#e9f3ff"

    appearance_seconds = 30.0
    """How long a new run may take to appear in the list of runs, where the trigger does not name it."""

    def __init__(
        self,
        *,
        report_id: str | int,
        parameters: dict[str, Any] | None = None,
        pushmetrics_conn_id: str = PushMetricsHook.default_conn_name,
        wait_for_completion: bool = True,
        timeout: float | timedelta | None = timedelta(hours=24),
        poll_interval: float = waits.DEFAULT_POLL_INTERVAL_SECONDS,
        on_ambiguous: Literal["fail", "newest"] = "fail",
        on_clear: Literal["rerun", "reuse"] = "rerun",
        on_unknown: Literal["fail", "call_again"] = "fail",
        require_outcome: bool = False,
        cancel_on_kill: bool = True,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_choice("on_ambiguous", on_ambiguous, AMBIGUITIES)
        check_choice("on_clear", on_clear, CLEARINGS)
        check_choice("on_unknown", on_unknown, UNKNOWNS)
        check_seconds("poll_interval", poll_interval)
        if timeout is not None:
            check_seconds("timeout", timeout)
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
        self.cancel_on_kill = cancel_on_kill
        self.deferrable = deferrable
        self._watched_run_id: int | None = None
        self._result: dict[str, Any] | None = None

    @cached_property
    def hook(self) -> PushMetricsHook:
        """The hook, made when the connection's id has been rendered."""
        return PushMetricsHook(self.pushmetrics_conn_id)

    def execute(self, context: Context) -> dict[str, Any]:
        """Start the run, publish the link, and wait for the run or defer."""
        persist_links(context, self)
        report_id = self._check_report_id()
        parameters = check_parameters(self.parameters)
        PushMetricsReportLink.persist(context, build_report_url(self.hook.settings.base_url, report_id))
        self._refuse_unknowable()
        epoch = find_epoch(context, is_reused=self.on_clear == "reuse")
        record = open_record(context, report_id, epoch)
        target = self._find_run(self._build_start(record, parameters, build_idempotency_key(context, epoch)))
        if target.run_id is not None:
            PushMetricsRunLink.persist(context, self.hook.build_outputs_url(report_id, target.run_id))
        if not self.wait_for_completion:
            accepted = FinishedRun(report_id, target.run_id)
            return self._note(build_result(accepted, None))
        deadline = compute_deadline(self.timeout)
        if self.deferrable:
            self._defer(target, deadline)
        finished = self._wait(target, Patience(deadline, self.poll_interval))
        if finished is None:
            raise build_timeout(report_id, target.run_id, self.timeout)
        return self._conclude(finished, context)

    def on_kill(self) -> None:
        """Cancel the run that is waited for, where the server can."""
        run_id = self._watched_run_id
        if run_id is None or not self.cancel_on_kill or not self.hook.settings.api_token:
            return
        try:
            was_cancelled = self.hook.cancel_run(run_id, policy=ONE_ATTEMPT)
        except PushMetricsError as error:
            self.log.warning("run %d could not be cancelled: %s", run_id, error)
        else:
            self.log.info("Run %d was%s cancelled", run_id, "" if was_cancelled else " not")

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """
        Go on after the triggerer has waited.

        :param event: What the trigger found.
        """
        status = event.get("status")
        if status == "success":
            word = event.get("run_status")
            finished = FinishedRun(
                str(event["report_id"]),
                event.get("run_id"),
                event.get("outputs_url"),
                RunStatus.parse(word) if word else None,
            )
            return self._conclude(finished, context)
        if status == "timeout":
            raise build_timeout(str(self.report_id), event.get("run_id"), self.timeout)
        raise rebuild_failure(event)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        """Tell OpenLineage, if its provider is installed, which report was run and what came out."""
        return build_run_lineage(self.hook.settings.base_url, self.report_id, self._result)

    def _note(self, result: dict[str, Any]) -> dict[str, Any]:
        self._result = result
        return result

    def _check_report_id(self) -> str:
        report_id = str(self.report_id).strip()
        if report_id in ("", "None", ".", ".."):
            raise PushMetricsParameterError(
                f"report_id is {self.report_id!r}: it must be a report's id, as in its webhook URL."
            )
        return report_id

    def _refuse_unknowable(self) -> None:
        """Fail before anything is sent, if the outcome must be known and nobody will be able to tell."""
        if self.require_outcome and self.wait_for_completion and not self.hook.settings.api_token:
            raise PushMetricsConfigurationError(
                f"require_outcome is set, but connection {self.pushmetrics_conn_id!r} has no API token, so"
                " nobody could say whether the run has failed: set its password. The report was not run."
            )

    def _find_run(self, start: RunStart) -> RunTarget:
        """Go on with the run of an earlier try; start one if there is none, or if that has failed."""
        kept = start.record.load()
        if kept is not None:
            target = start.go_on(kept)
            if target.run_id is None or not has_failed(self.hook, target.run_id):
                return target
        target = start.start()
        count_triggered_run()
        return target

    def _build_start(self, record: RunRecord, parameters: dict[str, Any], key: str) -> RunStart:
        return RunStart(
            self.hook,
            self.log,
            record,
            parameters,
            key,
            is_waited_for=self.wait_for_completion,
            newest_wins=self.on_ambiguous == "newest",
            calls_again=self.on_unknown == "call_again",
            appearance_seconds=self.appearance_seconds,
        )

    def _wait(self, target: RunTarget, patience: Patience) -> FinishedRun | None:
        self._watched_run_id = target.run_id
        with time_wait("report.run"):
            finished = self.hook.call(
                waits.wait_for_run(
                    target,
                    credentials=self.hook.credentials,
                    receiver=self.hook.settings.receiver,
                    patience=patience,
                )
            )
        self._watched_run_id = None
        return finished

    def _defer(self, target: RunTarget, deadline: float | None) -> None:
        margin = None if deadline is None else timedelta(seconds=deadline - time.time()) + DEFER_MARGIN
        self.defer(
            trigger=PushMetricsRunTrigger(
                report_id=target.report_id,
                run_id=target.run_id,
                after_cursor=target.after_cursor,
                pushmetrics_conn_id=self.pushmetrics_conn_id,
                deadline=deadline,
                not_before=compute_not_before(),
                poll_interval_seconds=self.poll_interval,
                cancel_on_kill=self.cancel_on_kill,
            ),
            method_name="execute_complete",
            timeout=margin,
        )

    def _conclude(self, finished: FinishedRun, context: Context) -> dict[str, Any]:
        """Fetch the outputs of a run that is over, and fail if it failed."""
        url = finished.outputs_url
        if url is None and finished.run_id is not None:
            url = self.hook.build_outputs_url(finished.report_id, finished.run_id)
        if url is None or not self.hook.settings.api_token:
            self._bear_unknown(finished, "there is no API token to ask with")
            return self._note(build_result(finished, None, url))
        self.hook.credentials.refuse_untrusted(url)  # before people are led there
        PushMetricsRunLink.persist(context, url)
        outputs = self.hook.wait_for_outputs(url)
        if outputs.status is None and finished.status is None:
            finished = replace(finished, status=self._find_status(finished.run_id))
        count_finished_run(outputs.status or finished.status)
        try:
            refuse_failure(finished, outputs, url)
        except PushMetricsRunFailed:
            forget_started_run(context)
            raise
        if outputs.status is None and finished.status is None:
            self._bear_unknown(finished, "PushMetrics does not say")
        else:
            self.log.info("Run %s of report %s has ended well", finished.run_id, finished.report_id)
        return self._note(build_result(finished, outputs, url))

    def _find_status(self, run_id: int | None) -> RunStatus | None:
        """Ask the list of runs how a run ended whose outputs do not say; None if it does not say either."""
        if run_id is None:
            return None
        status = self.hook.fetch_run(run_id).status
        return status if status.is_finished else None

    def _bear_unknown(self, finished: FinishedRun, reason: str) -> None:
        if self.require_outcome:
            raise PushMetricsRunError(
                f"run {finished.run_id} of report {finished.report_id!r} is over, but nobody can say how it"
                f" ended: {reason}. Look in PushMetrics, or take it for a success with"
                " require_outcome=False.",
                run_id=finished.run_id,
            )
        self.log.warning(
            "The run is over, but nobody can say how it ended: %s. It counts as a success; set"
            " require_outcome=True to fail instead",
            reason,
        )


def check_choice(name: str, value: object, choices: Sequence[str]) -> None:
    """
    Check a parameter that is one of a few words.

    :raises PushMetricsParameterError: if it is another one.
    """
    if value not in choices:
        raise PushMetricsParameterError(f"{name} is {value!r}: it must be one of {', '.join(choices)}.")
