"""
Batching of concurrent trigger calls.

Measured by ``python -m benchmarks.service``: a single call needs four statements, a commit and two
threads; a batch needs six statements and a commit.
"""

from __future__ import annotations

from airflow_provider_pushmetrics.service.results.store import ResultStore
from airflow_provider_pushmetrics.service.runs.pending_limit import PendingLimit
from airflow_provider_pushmetrics.service.runs.submission import AcceptedRun, RunSubmission, accept_runs
from airflow_provider_pushmetrics.service.runs.triggers import (
    CalledTrigger,
    TriggerCall,
    find_called_triggers,
)
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.serving.group_commit import GroupCommit


class CallBatcher:
    """
    Finds triggers and accepts runs for calls on an event loop, without a thread for each.

    :param database: The database.
    :param results: The results with the choices of parameters.
    :param limit: How many runs of a workspace may wait.
    """

    def __init__(self, database: Database, results: ResultStore, limit: PendingLimit) -> None:
        self._finder = GroupCommit[TriggerCall, CalledTrigger | None](
            "find-triggers", lambda calls: find_called_triggers(database, calls)
        )
        self._acceptor = GroupCommit[RunSubmission, AcceptedRun](
            "accept-runs", lambda requests: accept_runs(database, results, requests, limit)
        )

    async def find_trigger(self, call: TriggerCall) -> CalledTrigger | None:
        """Find the trigger of a token, enabled or not; None if there is none."""
        return await self._finder.submit(call)

    async def accept_run(self, request: RunSubmission) -> AcceptedRun:
        """
        Record a run of a report.

        After this returns, the run is executed even if this process dies.

        :raises PushMetricsConflictError: if its key was used for other parameters, or its report was deleted.
        :raises PushMetricsUnavailableError: if too many runs of the workspace wait.
        """
        return await self._acceptor.submit(request)

    def close(self) -> None:
        """Complete the waiting calls, and stop."""
        self._finder.close()
        self._acceptor.close()
