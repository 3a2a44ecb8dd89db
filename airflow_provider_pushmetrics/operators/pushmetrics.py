"""Operators: run a report."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from airflow.providers.common.compat.sdk import BaseOperator, conf

from airflow_provider_pushmetrics.client import waits
from airflow_provider_pushmetrics.client.calls import check_parameters
from airflow_provider_pushmetrics.client.models import RunOutputs, RunStatus, TriggeredRun
from airflow_provider_pushmetrics.client.retries import ONE_ATTEMPT
from airflow_provider_pushmetrics.client.waits import FinishedRun, Patience, RunTarget
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsConflictError,
    PushMetricsError,
    PushMetricsNotFoundError,
    PushMetricsParameterError,
    PushMetricsRunFailed,
    PushMetricsRunTimeout,
    PushMetricsUnavailableError,
)
from airflow_provider_pushmetrics.hooks.pushmetrics import PushMetricsHook
from airflow_provider_pushmetrics.links.pushmetrics import (
    PushMetricsReportLink,
    PushMetricsRunLink,
    build_report_url,
    persist_links,
)
from airflow_provider_pushmetrics.operators.started_run import (
    forget_started_run,
    keep_started_run,
    load_started_run,
)
from airflow_provider_pushmetrics.triggers.pushmetrics import (
    PushMetricsRunTrigger,
    compute_not_before,
    rebuild_failure,
)

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

DEFER_MARGIN = timedelta(minutes=5)
"""Airflow's own deadline for a deferral never reaches ``execute_complete``, so ours must come first."""

MAX_EARLIER_RUNS = 50
"""How many failed runs of earlier tries are passed over; Airflow Dags have far fewer retries."""


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
        cancel_on_kill: bool = True,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
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
        self.cancel_on_kill = cancel_on_kill
        self.deferrable = deferrable
        self._watched_run_id: int | None = None

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
        target = self._reattach(report_id, context) or self._start(report_id, parameters, context)
        keep_started_run(context, target)
        if target.run_id is not None:
            PushMetricsRunLink.persist(context, self.hook.build_outputs_url(report_id, target.run_id))
        if not self.wait_for_completion:
            return {
                "report_id": report_id,
                "run_id": target.run_id,
                "status": None,
                "outputs_url": None,
                "queries": [],
            }
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

    def _check_report_id(self) -> str:
        report_id = str(self.report_id).strip()
        if report_id in ("", "None", ".", ".."):
            raise PushMetricsParameterError(
                f"report_id is {self.report_id!r}: it must be a report's id, as in its webhook URL."
            )
        return report_id

    def _reattach(self, report_id: str, context: Context) -> RunTarget | None:
        """Find the run of an earlier try of this task, to go on with it; None if another one is to start."""
        kept = load_started_run(context, report_id)
        if kept is None or self._has_failed(kept.run_id):
            return None
        self.log.info("Run %d was started by an earlier try; going on with it", kept.run_id)
        return RunTarget(report_id, kept.run_id, kept.after_cursor)

    def _has_failed(self, run_id: int) -> bool:
        """Tell whether a run has ended in vain, or is gone; without an API token, nobody can say."""
        if not self.hook.settings.api_token:
            return False
        try:
            status = self.hook.fetch_run(run_id).status
        except PushMetricsNotFoundError:
            return True
        return status.is_finished and status is not RunStatus.SUCCESS

    def _wait(self, target: RunTarget, patience: Patience) -> FinishedRun | None:
        self._watched_run_id = target.run_id
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

    def _start(self, report_id: str, parameters: dict[str, Any], context: Context) -> RunTarget:
        """Start the run and say what identifies it; what can be known is asked for before the call."""
        cursor = self._find_cursor()
        newest = self._find_newest_run_id(report_id) if self._needs_newest_run() else None
        started = self._trigger(report_id, parameters, context, newest)
        if started.run_id is not None:
            self.log.info("Report %s: run %d was started", report_id, started.run_id)
            # A replayed run may have ended before this try took its cursor.
            after = 0 if started.was_replayed else cursor
            return RunTarget(report_id, started.run_id, after, newest)
        return self._correlate(RunTarget(report_id, None, cursor, newest))

    def _find_cursor(self) -> int | None:
        """Find the receiver's cursor; None without one, or if it is away and the API can tell instead."""
        if not self.wait_for_completion or self.hook.settings.receiver is None:
            return None
        try:
            return self.hook.fetch_cursor()
        except PushMetricsUnavailableError as error:
            if not self.hook.settings.api_token:
                raise
            self.log.warning("%s. The run is started all the same, and the API asked how it is", error)
            return None

    def _needs_newest_run(self) -> bool:
        return self.wait_for_completion and bool(self.hook.settings.api_token)

    def _find_newest_run_id(self, report_id: str) -> int:
        runs = self.hook.fetch_runs(report_id)
        return runs[0].id if runs else 0

    def _trigger(
        self, report_id: str, parameters: dict[str, Any], context: Context, newest: int | None
    ) -> TriggeredRun:
        """
        Call the webhook; a try after a failed run gets a run of its own.

        The key is the same for all tries of a task, so that a try after a crash finds the run that was
        started. If that run has failed, it is not ours to return: the next key is made from it.
        """
        key = build_idempotency_key(context)
        for _ in range(MAX_EARLIER_RUNS):
            answer = self._call_trigger(report_id, parameters, key)
            started = mark_replay(answer, newest)
            if not self._is_failed_earlier_run(started):
                return started
            self.log.info("Run %s of an earlier try has failed; starting another one", started.run_id)
            key = hash_key(key, str(started.run_id))
        return started

    def _call_trigger(self, report_id: str, parameters: dict[str, Any], key: str) -> TriggeredRun:
        try:
            return self.hook.trigger_report(report_id, parameters, idempotency_key=key)
        except PushMetricsConflictError as error:
            raise PushMetricsConflictError(
                f"{error}. An earlier try of this task started a run of report {report_id!r} with other"
                " parameters. They must be the same in every try, such as '{{ ds }}' and unlike the time of"
                " the try; to start a run with these, clear the task.",
                status_code=error.status_code,
            ) from error

    def _is_failed_earlier_run(self, started: TriggeredRun) -> bool:
        return started.was_replayed and started.run_id is not None and self._has_failed(started.run_id)

    def _correlate(self, target: RunTarget) -> RunTarget:
        """Find out which run is ours, where PushMetrics does not say."""
        if not self.wait_for_completion:
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
                newest_wins=self.on_ambiguous == "newest",
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
        return RunTarget(target.report_id, run.id, target.after_cursor, target.after_run_id)

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
            self.log.warning(
                "The run is over, but without an API token nobody can say how it ended; it counts as a"
                " success"
            )
            return {**build_result(finished, None), "outputs_url": url}
        self.hook.credentials.refuse_untrusted(url)  # before people are led there
        PushMetricsRunLink.persist(context, url)
        outputs = self.hook.wait_for_outputs(url)
        try:
            refuse_failure(finished, outputs, url)
        except PushMetricsRunFailed:
            forget_started_run(context)
            raise
        self.log.info("Run %s of report %s has ended well", finished.run_id, finished.report_id)
        return {**build_result(finished, outputs), "outputs_url": url}


def compute_deadline(timeout: float | timedelta | None) -> float | None:
    """Say when a wait that begins now ends, in Unix seconds."""
    if timeout is None:
        return None
    return time.time() + (timeout.total_seconds() if isinstance(timeout, timedelta) else float(timeout))


def mark_replay(started: TriggeredRun, newest_before: int | None) -> TriggeredRun:
    """Mark a run that was there before the call as a replay, also if the server does not say that it is."""
    was_there = newest_before is not None and started.run_id is not None and started.run_id <= newest_before
    return started.model_copy(update={"was_replayed": True}) if was_there else started


def build_timeout(report_id: str, run_id: int | None, timeout: object) -> PushMetricsRunTimeout:
    """Build the error of a run that did not end in time."""
    name = f"run {run_id}" if run_id is not None else "the run"
    return PushMetricsRunTimeout(
        f"{name} of report {report_id!r} did not end within {timeout} (parameter 'timeout'). It goes on in"
        " PushMetrics; look there what it is doing.",
        run_id=run_id,
    )


def refuse_failure(finished: FinishedRun, outputs: RunOutputs, url: str) -> None:
    """
    Check that a run has ended well.

    :raises PushMetricsRunFailed: naming the first block that failed, and what it said.
    """
    status = outputs.status or finished.status
    if status in (None, RunStatus.SUCCESS):
        return
    block = outputs.find_failed_block()
    where = f" at block {block.name!r}: {block.error or 'no message'}" if block else ""
    raise PushMetricsRunFailed(
        f"run {finished.run_id} of report {finished.report_id!r} ended as {status}{where}. See {url}",
        run_id=finished.run_id,
    )


def build_result(finished: FinishedRun, outputs: RunOutputs | None) -> dict[str, Any]:
    """Build what the task returns: small, JSON, and enough to fetch every result."""
    status = (outputs.status if outputs else None) or finished.status
    return {
        "report_id": finished.report_id,
        "run_id": finished.run_id,
        "status": status.value if status else None,
        "queries": [
            {
                "query_id": query.query_id,
                "query_name": query.query_name,
                "query_result": query.query_result,
                "status": query.status,
                "row_count": query.row_count,
            }
            for query in (outputs.queries if outputs else ())
        ],
    }


def build_idempotency_key(context: Context) -> str:
    """
    Build the key under which PushMetrics starts at most one run.

    It is the same for every try of a task instance, and another one after the task is cleared: clearing
    raises ``max_tries``, retrying does not.
    """
    ti: Any = context["ti"]
    return hash_key(ti.dag_id, ti.run_id, ti.task_id, str(ti.map_index), str(ti.max_tries))


def hash_key(*parts: str) -> str:
    """Hash what makes up a key, so that it has one length and gives nothing away."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:48]
