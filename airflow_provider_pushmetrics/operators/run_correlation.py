"""Finding the run of a task among other runs of its report, if PushMetrics does not return the run's id."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

from airflow_provider_pushmetrics.client import waits
from airflow_provider_pushmetrics.client.wait_budget import WaitBudget
from airflow_provider_pushmetrics.client.waits import RunTarget
from airflow_provider_pushmetrics.exceptions import PushMetricsRunTimeout, PushMetricsUnavailableError
from airflow_provider_pushmetrics.hooks.pushmetrics import PushMetricsHook

POLL_SECONDS = 1.0


@dataclass(frozen=True)
class RunCorrelation:
    """
    Finds the run of a task.

    :param hook: Calls PushMetrics and the receiver.
    :param log: The task's log.
    :param is_waited_for: Whether the task waits, and so must identify its own run.
    :param newest_wins: Whether the newest of several candidates is used.
    :param appearance_seconds: How long a new run may take to be listed.
    """

    hook: PushMetricsHook
    log: Any
    is_waited_for: bool = True
    newest_wins: bool = False
    appearance_seconds: float = 30.0

    @property
    def can_list_runs(self) -> bool:
        """Whether the run can be searched in the API's list of runs."""
        return self.is_waited_for and bool(self.hook.settings.api_token)

    def mark_position(self, report_id: str) -> RunTarget:
        """Fetch the newest run and the cursor before the call, to recognize the new run afterwards."""
        newest = self._fetch_newest_run_id(report_id) if self.can_list_runs else None
        return RunTarget(report_id, None, self._fetch_cursor(), newest)

    def identify(self, target: RunTarget) -> RunTarget:
        """
        Identify the run of a call that PushMetrics accepted without returning the run's id.

        :return: The target with the run's number; without it if the run's event will contain it.
        :raises PushMetricsRunTimeout: if the run is not listed, and there is no receiver.
        """
        if not self.is_waited_for:
            return target
        if target.after_run_id is None:
            self.log.info(
                "PushMetrics did not return the id of the run, and there is no API token to search for it:"
                " the first report.run of report %s to arrive from now on counts as this task's run",
                target.report_id,
            )
            return target
        found = self.find_new_run(target)
        if found is None and target.after_cursor is None:
            raise PushMetricsRunTimeout(
                f"the run of report {target.report_id!r} was accepted, but is not listed after"
                f" {self.appearance_seconds:g} s, and there is no receiver to wait for its event. Check in"
                " PushMetrics what happened to it."
            )
        if found is None:
            self.log.info(
                "No new run of report %s is listed yet: the first report.run to arrive counts as this task's"
                " run",
                target.report_id,
            )
        return found or target

    def find_new_run(self, target: RunTarget) -> RunTarget | None:
        """Find the run that is new since the call; None if none is listed in time."""
        run = self.hook.call(
            waits.find_new_run(
                target,
                credentials=self.hook.credentials,
                newest_wins=self.newest_wins,
                budget=WaitBudget(time.time() + self.appearance_seconds, POLL_SECONDS),
            )
        )
        if run is None:
            return None
        self.log.info("Report %s: run %d is new, so it belongs to this task", target.report_id, run.id)
        # The newest of several may be the run of somebody else.
        digest = None if self.newest_wins else target.parameters_digest
        return replace(target, run_id=run.id, parameters_digest=digest)

    def describe_search(self) -> str:
        """Explain why no run was found."""
        if not self.can_list_runs:
            return "it cannot be searched: there is no API token, or the task does not wait"
        return f"no new run was listed within {self.appearance_seconds:g} s"

    def _fetch_cursor(self) -> int | None:
        """Fetch the receiver's cursor; None without a receiver, or if only the API is available."""
        if not self.is_waited_for or self.hook.settings.receiver is None:
            return None
        try:
            return self.hook.fetch_cursor()
        except PushMetricsUnavailableError as error:
            if not self.hook.settings.api_token:
                raise
            self.log.warning("%s. The run is started anyway, and the API is polled", error)
            return None

    def _fetch_newest_run_id(self, report_id: str) -> int:
        runs = self.hook.fetch_runs(report_id)
        return runs[0].id if runs else 0
