"""
Batching of concurrent trigger calls.

A batch needs four or five statements and a thread, and so does a single call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from airflow_provider_pushmetrics.exceptions import PushMetricsError
from airflow_provider_pushmetrics.service.results.store import ResultStore
from airflow_provider_pushmetrics.service.runs.pending_limit import PendingLimit
from airflow_provider_pushmetrics.service.runs.submission import (
    AcceptedRun,
    RunSubmission,
    UnreadChoicesError,
    accept_runs,
)
from airflow_provider_pushmetrics.service.runs.triggers import (
    CalledTrigger,
    TriggerCall,
    find_called_triggers,
)
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.serving.group_commit import GroupCommit

CHOICE_READERS = 4
"""How many calls may read the choices of their parameters at the same time."""


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


@dataclass(frozen=True)
class UnreadCall:
    """A call that needs the choices of a parameter: results, whose storage may be slow."""

    trigger: CalledTrigger
    request: RunSubmission


class CallBatcher:
    """
    Finds triggers and accepts runs for calls on an event loop, without a thread for each.

    Calls that need the result of a query are completed in threads of their own, so that no other call waits
    for the storage of results.

    :param database: The database.
    :param results: The results with the choices of parameters.
    :param limit: How many runs of a workspace may wait.
    """

    def __init__(self, database: Database, results: ResultStore, limit: PendingLimit) -> None:
        self._database = database
        self._results = results
        self._limit = limit
        self._group = GroupCommit[WaitingCall, CallOutcome | UnreadCall]("trigger-calls", self._commit)
        self._readers = ThreadPoolExecutor(CHOICE_READERS, thread_name_prefix="trigger-choices")

    async def call(self, call: TriggerCall, build: Callable[[CalledTrigger], RunSubmission]) -> CallOutcome:
        """
        Find the trigger of a call, and record the run that it starts.

        After this returns a run, the run is executed even if this process dies.

        :param build: See :class:`WaitingCall`; its errors are raised here.
        :raises PushMetricsConflictError: if its key was used for other parameters, or its report was deleted.
        :raises PushMetricsUnavailableError: if too many runs of the workspace wait.
        """
        outcome = await self._group.submit(WaitingCall(call, build))
        if isinstance(outcome, CallOutcome):
            return outcome
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, self._read_and_accept, outcome)

    def close(self) -> None:
        """Complete the waiting calls, and stop."""
        self._group.close()
        self._readers.shutdown()

    def _read_and_accept(self, call: UnreadCall) -> CallOutcome:
        (run,) = accept_runs(self._database, self._results, [call.request], self._limit)
        if isinstance(run, Exception):
            raise run
        return CallOutcome(call.trigger, run)

    def _commit(self, calls: Sequence[WaitingCall]) -> list[CallOutcome | UnreadCall | Exception]:
        triggers = find_called_triggers(self._database, [one.call for one in calls])
        built = [_build(one, trigger) for one, trigger in zip(calls, triggers, strict=True)]
        wanted = [one for one in built if isinstance(one, RunSubmission)]
        accepted = iter(accept_runs(self._database, None, wanted, self._limit) if wanted else ())
        outcomes: list[CallOutcome | UnreadCall | Exception] = []
        for trigger, one in zip(triggers, built, strict=True):
            run = next(accepted) if isinstance(one, RunSubmission) else one
            if isinstance(run, UnreadChoicesError) and isinstance(one, RunSubmission) and trigger is not None:
                outcomes.append(UnreadCall(trigger, one))
            else:
                outcomes.append(run if isinstance(run, Exception) else CallOutcome(trigger, run))
        return outcomes


def _build(waiting: WaitingCall, trigger: CalledTrigger | None) -> RunSubmission | PushMetricsError | None:
    if trigger is None or not trigger.is_active:
        return None
    try:
        return waiting.build(trigger)
    except PushMetricsError as error:
        return error
