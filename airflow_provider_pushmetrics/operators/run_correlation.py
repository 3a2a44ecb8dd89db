"""Telling the run of a task from other runs of its report, where PushMetrics does not name it."""

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
    How the run of a task is found.

    :param hook: Calls PushMetrics and the receiver.
    :param log: The task's log.
    :param is_waited_for: Whether the task waits, and so must know which run is its own.
    :param newest_wins: Whether the newest of several possible runs is taken.
    :param appearance_seconds: How long a new run may take to be listed.
    """

    hook: PushMetricsHook
    log: Any
    is_waited_for: bool = True
    newest_wins: bool = False
    appearance_seconds: float = 30.0

    @property
    def can_list_runs(self) -> bool:
        """Whether the run can be looked for in the API's list of runs."""
        return self.is_waited_for and bool(self.hook.settings.api_token)

    def mark_position(self, report_id: str) -> RunTarget:
        """Fetch, before the call, what tells the new run from earlier ones: the newest run, the cursor."""
        newest = self._fetch_newest_run_id(report_id) if self.can_list_runs else None
        return RunTarget(report_id, None, self._fetch_cursor(), newest)

    def identify(self, target: RunTarget) -> RunTarget:
        """
        Find out which run was started by a call that PushMetrics accepted without naming the run.

        :return: The target with the run's number; without it if the run's event is to tell.
        :raises PushMetricsRunTimeout: if the run is not listed, and there is no receiver.
        """
        if not self.is_waited_for:
            return target
        if target.after_run_id is None:
            self.log.info(
                "PushMetrics did not name the run, and there is no API token to look for it: the first"
                " report.run of report %s to arrive from now on counts as ours",
                target.report_id,
            )
            return target
        found = self.find_new_run(target)
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
        self.log.info("Report %s: run %d is new since the call, so it is ours", target.report_id, run.id)
        return replace(target, run_id=run.id)

    def describe_search(self) -> str:
        """Say why no run was found."""
        if not self.can_list_runs:
            return "it cannot be looked for: there is no API token, or the task does not wait"
        return f"no new run was listed within {self.appearance_seconds:g} s"

    def _fetch_cursor(self) -> int | None:
        """Fetch the receiver's cursor; None without a receiver, or if it is away and the API is not."""
        if not self.is_waited_for or self.hook.settings.receiver is None:
            return None
        try:
            return self.hook.fetch_cursor()
        except PushMetricsUnavailableError as error:
            if not self.hook.settings.api_token:
                raise
            self.log.warning("%s. The run is started all the same, and the API asked how it is", error)
            return None

    def _fetch_newest_run_id(self, report_id: str) -> int:
        runs = self.hook.fetch_runs(report_id)
        return runs[0].id if runs else 0
