"""
Finding asset events that Airflow's scheduler has overlooked, and queueing their Dags again.

For Airflow 3.1 to 3.3. An event is overlooked for a Dag if the queue has no row for them and no run of the
Dag has taken the event. The API server looks every few seconds, at the events of all PushMetrics assets,
whoever wrote them: the triggerer for a watcher, or an API server.

What is not ours to start is remembered for as long as the event is looked at: events that came while the Dag
was paused, which Airflow drops on purpose, and events that had a run, which somebody may have deleted.
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
from airflow_provider_pushmetrics.plugins.event_starts import FoundStart, Start, fetch_starts
from airflow_provider_pushmetrics.serving.logs import ThrottledLog, describe_fault

log = logging.getLogger(__name__)

RECHECK_SECONDS = 5.0
"""How often to look. What is found overlooked twice is queued again, so after 5 to 10 seconds."""

MAX_ATTEMPTS = 5


@dataclass
class StartProgress:
    """
    What is remembered of a start from one look to the next.

    :param is_settled: Whether there is nothing left to do about it.
    :param is_given_up: Whether that is so because nothing has helped.
    :param was_missed: Whether it was found overlooked the last time.
    :param attempts: How often its Dag was queued again.
    """

    is_settled: bool = False
    is_given_up: bool = False
    was_missed: bool = False
    attempts: int = 0


@dataclass
class MissedStarts:
    """
    Decides which Dags to queue again; it does no I/O.

    :param memory: What is remembered of the starts that were found the last time.
    """

    memory: dict[Start, StartProgress] = field(default_factory=dict)

    def observe(self, found: Iterable[FoundStart]) -> list[Start]:
        """Take in what was found now, and list the starts whose Dags are to be queued again."""
        before, self.memory = self.memory, {}
        due = []
        for item in found:
            known = before.get(item.start) or StartProgress(is_settled=item.is_paused)
            self.memory[item.start] = known
            known.is_settled = known.is_settled or item.is_consumed
            was_missed, known.was_missed = known.was_missed, item.is_missed
            if was_missed and item.is_missed and not known.is_settled and not item.is_paused:
                due.append(item.start)
        return [start for start in due if self._may_try(start)]

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
        """Do nothing more about a start, and say so once."""
        known = self.memory[start]
        known.is_settled = known.is_given_up = True
        log.error(
            "Asset event %s has started no run of Dag %s, and will start none: %s. Trigger the Dag by hand.",
            start.event_id,
            start.dag_id,
            reason,
        )

    def count_without_run(self) -> int:
        """Count the starts that are overlooked now, and those that were given up."""
        return sum(
            known.is_given_up or (known.was_missed and not known.is_settled) for known in self.memory.values()
        )


class MissedEventsCheck:
    """
    Looks again and again for events that were overlooked, in the API server.

    :param interval_seconds: How often.
    """

    def __init__(self, *, interval_seconds: float = RECHECK_SECONDS) -> None:
        self._interval_seconds = interval_seconds
        self._starts = MissedStarts()
        self._outage = ThrottledLog(log)

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            try:
                await asyncio.to_thread(self.check)
            except Exception as error:  # the task's top: without it, nobody would look ever again
                self._outage.error(
                    "Whether PushMetrics events have started their Dags cannot be checked: %s. An event that"
                    " the scheduler overlooks waits for the next one.",
                    describe_fault(error),
                )
            else:
                self._outage.end("Whether PushMetrics events have started their Dags can be checked again.")
            await asyncio.sleep(self._interval_seconds)

    def check(self) -> None:
        """Look once, and queue again what was found overlooked twice."""
        with create_session(scoped=False) as session:
            found = fetch_starts(session, now=datetime.now(UTC))
        by_asset: defaultdict[int, list[Start]] = defaultdict(list)
        for start in self._starts.observe(found):
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
                "The scheduler overlooked %d asset event(s) for Dag %s, which is queued again.", count, dag_id
            )
