"""
Batching of concurrent trigger calls.

A batch needs five statements, a commit and a thread, and so does a single call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from airflow_provider_pushmetrics.exceptions import PushMetricsError
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


@dataclass(frozen=True, eq=False)
class WaitingCall:
    """
    A call that waits for its batch.

    :param build: Builds the run that is wanted, from the trigger that was found. It may raise a
        :class:`PushMetricsError`, and is called only if the trigger is active: what an unknown caller sends
        is not parsed.
    """

    call: TriggerCall
    build: Callable[[CalledTrigger], RunSubmission]


@dataclass(frozen=True)
class CallOutcome:
    """
    The outcome of a call.

    :param trigger: The trigger of its token, active or not; None if there is none.
    :param run: The run; None if the trigger is not active.
    """

    trigger: CalledTrigger | None = None
    run: AcceptedRun | None = None


class CallBatcher:
    """
    Finds triggers and accepts runs for calls on an event loop, without a thread for each.

    :param database: The database.
    :param results: The results with the choices of parameters.
    :param limit: How many runs of a workspace may wait.
    """

    def __init__(self, database: Database, results: ResultStore, limit: PendingLimit) -> None:
        self._database = database
        self._results = results
        self._limit = limit
        self._group = GroupCommit[WaitingCall, CallOutcome]("trigger-calls", self._commit)

    async def call(self, call: TriggerCall, build: Callable[[CalledTrigger], RunSubmission]) -> CallOutcome:
        """
        Find the trigger of a call, and record the run that it starts.

        After this returns a run, the run is executed even if this process dies.

        :param build: See :class:`WaitingCall`; its errors are raised here.
        :raises PushMetricsConflictError: if its key was used for other parameters, or its report was deleted.
        :raises PushMetricsUnavailableError: if too many runs of the workspace wait.
        """
        return await self._group.submit(WaitingCall(call, build))

    def close(self) -> None:
        """Complete the waiting calls, and stop."""
        self._group.close()

    def _commit(self, calls: Sequence[WaitingCall]) -> list[CallOutcome | Exception]:
        triggers = find_called_triggers(self._database, [one.call for one in calls])
        built = [_build(one, trigger) for one, trigger in zip(calls, triggers, strict=True)]
        wanted = [one for one in built if isinstance(one, RunSubmission)]
        accepted = iter(accept_runs(self._database, self._results, wanted, self._limit) if wanted else ())
        outcomes: list[CallOutcome | Exception] = []
        for trigger, one in zip(triggers, built, strict=True):
            run = next(accepted) if isinstance(one, RunSubmission) else one
            outcomes.append(run if isinstance(run, Exception) else CallOutcome(trigger, run))
        return outcomes


def _build(waiting: WaitingCall, trigger: CalledTrigger | None) -> RunSubmission | PushMetricsError | None:
    if trigger is None or not trigger.is_active:
        return None
    try:
        return waiting.build(trigger)
    except PushMetricsError as error:
        return error
