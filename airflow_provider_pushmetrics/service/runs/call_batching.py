"""
Where triggers call: all that call at the same time are answered together.

Measured by ``python -m benchmarks.service``: one call at a time needs four statements, a commit and two
threads; together they need six statements and a commit.
"""

from __future__ import annotations

from airflow_provider_pushmetrics.service.results.store import ResultStore
from airflow_provider_pushmetrics.service.runs.submission import AcceptedRun, RunRequest, accept_runs
from airflow_provider_pushmetrics.service.runs.triggers import (
    CalledTrigger,
    TriggerCall,
    find_called_triggers,
)
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.serving.group_commit import GroupCommit


class CallBatcher:
    """
    Finds triggers and accepts runs for calls that wait on an event loop, without a thread for each.

    :param database: Where both are.
    :param results: Where the results are from which parameters take their choices.
    """

    def __init__(self, database: Database, results: ResultStore) -> None:
        self._finder = GroupCommit[TriggerCall, CalledTrigger | None](
            "find-triggers", lambda calls: find_called_triggers(database, calls)
        )
        self._acceptor = GroupCommit[RunRequest, AcceptedRun](
            "accept-runs", lambda requests: accept_runs(database, results, requests)
        )

    async def find_trigger(self, call: TriggerCall) -> CalledTrigger | None:
        """Find the trigger that a token calls, enabled or not; None if it calls none."""
        return await self._finder.submit(call)

    async def accept_run(self, request: RunRequest) -> AcceptedRun:
        """
        Record that a report is to run.

        When this returns, the run will happen, whatever happens to this process.

        :raises PushMetricsConflictError: if its key was used for other parameters, or its report is gone.
        """
        return await self._acceptor.submit(request)

    def close(self) -> None:
        """Answer who waits, and end."""
        self._finder.close()
        self._acceptor.close()
