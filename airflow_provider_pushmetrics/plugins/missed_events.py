"""
Finds asset events that Airflow's scheduler has missed, and queues their Dags again.

For Airflow 3.1 to 3.3. An event is missed for a Dag if the queue has no row for them and no run of the
Dag has consumed the event. The API server checks the events of all PushMetrics assets every few seconds,
whether the triggerer wrote them for a watcher or an API server did.

Events that must not be started are remembered while they are checked: those that arrived while the Dag
was paused, which Airflow drops on purpose, and those that had a run, which a user may have deleted. The
memory ends with the process: one that starts within ten minutes after an event whose run was deleted takes
it for missed, because Airflow's tables do not tell the two apart.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from airflow.utils.session import create_session

from airflow_provider_pushmetrics.metrics import gauge_events_without_run
from airflow_provider_pushmetrics.plugins.dag_run_queue import queue_again
from airflow_provider_pushmetrics.plugins.event_starts import HORIZON, FoundStart, Start, fetch_starts
from airflow_provider_pushmetrics.serving.logs import ThrottledLog, describe_fault

log = logging.getLogger(__name__)

RECHECK_SECONDS = 5.0
"""How often to check. A start that is found missed twice is queued again, so after 5 to 10 seconds."""

MAX_ATTEMPTS = 5


@dataclass
class StartProgress:
    """
    The state of a start between two checks.

    :param is_settled: Whether there is nothing left to do.
    :param is_given_up: Whether all attempts failed.
    :param was_missed: Whether it was found missed the last time.
    :param attempts: How often its Dag was queued again.
    :param is_seen_queued: Whether its Dag was found in the queue.
    :param last_run: The newest asset-triggered run of its Dag when it was found there the last time.
    """

    is_settled: bool = False
    is_given_up: bool = False
    was_missed: bool = False
    attempts: int = 0
    is_seen_queued: bool = False
    last_run: int | None = None

    def is_removed(self, item: FoundStart, now: datetime) -> bool:
        """
        Return whether an old event has left the queue, and no run was created.

        A user has removed it. A scheduler that misses an event creates a run of others.
        """
        is_old = now - item.timestamp > HORIZON
        return is_old and item.is_missed and self.is_seen_queued and item.last_run == self.last_run


@dataclass
class MissedStarts:
    """
    Decides which Dags to queue again; it does no I/O.

    :param memory: The state of the starts that were found the last time.
    """

    memory: dict[Start, StartProgress] = field(default_factory=dict)

    def observe(self, found: Iterable[FoundStart], *, now: datetime) -> list[Start]:
        """Record the current starts, and list those whose Dags must be queued again."""
        before, self.memory = self.memory, {}
        due = []
        for item in found:
            known = before.get(item.start) or StartProgress(is_settled=item.is_paused)
            self.memory[item.start] = known
            known.is_settled = known.is_settled or item.is_consumed or known.is_removed(item, now)
            if item.is_queued:
                known.is_seen_queued, known.last_run = True, item.last_run
            was_missed, known.was_missed = known.was_missed, item.is_missed
            if was_missed and item.is_missed and not known.is_settled and not item.is_paused:
                due.append(item.start)
        return [start for start in due if self._may_try(start)]

    def list_unfinished(self) -> set[Start]:
        """List the starts that may be queued again: for an asset and a Dag, that of the newest event."""
        newest: dict[tuple[int, str], Start] = {}
        for start, known in self.memory.items():
            if not known.is_settled:
                key = (start.asset_id, start.dag_id)
                newest[key] = max(newest.get(key, start), start)
        return set(newest.values())

    def _may_try(self, start: Start) -> bool:
        known = self.memory[start]
        if known.attempts >= MAX_ATTEMPTS:
            self.give_up(start, f"its Dag was queued again {MAX_ATTEMPTS} times")
        return not known.is_given_up

    def count_attempt(self, start: Start) -> None:
        """Count that a Dag was queued again."""
        known = self.memory[start]
        known.attempts += 1
        known.was_missed = False

    def give_up(self, start: Start, reason: str) -> None:
        """Stop trying a start, and log it once."""
        known = self.memory[start]
        known.is_settled = known.is_given_up = True
        log.error(
            "Asset event %s has started no run of Dag %s, and will start none: %s. Trigger the Dag manually.",
            start.event_id,
            start.dag_id,
            reason,
        )

    def count_without_run(self) -> int:
        """Count the starts that are missed now, and those that were given up."""
        return sum(
            known.is_given_up or (known.was_missed and not known.is_settled) for known in self.memory.values()
        )


class MissedEventsCheck:
    """
    Checks for missed events periodically, in the API server.

    :param interval_seconds: How often.
    """

    def __init__(self, *, interval_seconds: float = RECHECK_SECONDS) -> None:
        self._interval_seconds = interval_seconds
        self._starts = MissedStarts()
        self._outage = ThrottledLog(log)

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            try:
                await asyncio.to_thread(self.check)
            except Exception as error:  # the task's top: without it, nobody would look ever again
                self._outage.error(
                    "Whether PushMetrics events have started their Dags cannot be checked: %s. An event that"
                    " the scheduler misses waits for the next one.",
                    describe_fault(error),
                )
            else:
                self._outage.end("Whether PushMetrics events have started their Dags can be checked again.")
            await asyncio.sleep(self._interval_seconds)

    def check(self) -> None:
        """Check once, and queue again the starts that were found missed twice."""
        now = datetime.now(UTC)
        with create_session(scoped=False) as session:
            found = fetch_starts(session, now=now, unfinished=self._starts.list_unfinished())
        by_asset: defaultdict[int, list[Start]] = defaultdict(list)
        for start in self._starts.observe(found, now=now):
            by_asset[start.asset_id].append(start)
        for asset_id, starts in sorted(by_asset.items()):
            self._queue_again(asset_id, starts)
        gauge_events_without_run(self._starts.count_without_run())

    def _queue_again(self, asset_id: int, starts: Sequence[Start]) -> None:
        with create_session(scoped=False) as session:
            done = queue_again(session, asset_id, starts)
        for start in done.queued:
            self._starts.count_attempt(start)
        for start in done.hopeless:
            self._starts.give_up(start, "it is older than the last run, by a clock that differs")
        for dag_id, count in sorted(Counter(start.dag_id for start in done.queued).items()):
            log.warning(
                "The scheduler missed %d asset event(s) for Dag %s, which is queued again.", count, dag_id
            )
