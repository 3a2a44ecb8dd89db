"""
The processes that execute, and what becomes of the work of one that died.

Each has a row that it touches again and again. When a row is old, its process is taken for dead; whoever
claims the row first releases what the dead one had claimed. Only who has watched for a whole
lease may do that: when the database was away, all rows are old, and all processes live. A process that was
only slow does no harm: what is done twice is recorded once.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, select, update

from airflow_provider_pushmetrics.service.models import Worker
from airflow_provider_pushmetrics.service.storage.clock import DatabaseClock, read_database_clock
from airflow_provider_pushmetrics.service.storage.database import Database, is_unavailable
from airflow_provider_pushmetrics.service.worker.claims import has_claims
from airflow_provider_pushmetrics.serving.background import BackgroundLoop

SIGNED_OFF = datetime(1970, 1, 1, tzinfo=UTC)
"""The moment in the row of a process that has stopped and left work behind: anybody may have it at once."""

log = logging.getLogger(__name__)

Recover = Callable[[str], int]
"""Releases what a worker has claimed, and gives the number of rows."""


class WorkerRegistry:
    """
    Shows that this process lives, and looks after those that do not.

    :param executor_id: This process.
    :param lease_seconds: How old the sign of life of a dead process is at least.
    :param recover: Takes over what a dead one left.
    :param recover_lost: Looks for what this process itself has lost sight of.
    """

    def __init__(
        self,
        database: Database,
        executor_id: str,
        lease_seconds: float,
        recover: Recover,
        recover_lost: Callable[[], object] = lambda: None,
        *,
        clock: DatabaseClock = read_database_clock,
    ) -> None:
        self._database = database
        self._executor_id = executor_id
        self._lease = timedelta(seconds=lease_seconds)
        self._recover = recover
        self._recover_lost = recover_lost
        self._clock = clock
        self._last_beat: datetime | None = None
        self._beat_at = -float("inf")
        self._watching_since: datetime | None = None
        self._loop = BackgroundLoop("heartbeat", self._run_once, interval_seconds=lease_seconds / 4)

    def start(self) -> None:
        """Sign on, and begin to beat."""
        self.beat()
        self._loop.start()

    def stop(self, *, is_finished: bool) -> None:
        """
        Sign off.

        :param is_finished: Whether nothing is left behind. If something is, others take it over at once.
        """
        self._loop.stop()
        mine = Worker.executor_id == self._executor_id
        try:
            with self._database.writing() as session:
                if is_finished:
                    session.execute(delete(Worker).where(mine))
                else:
                    session.execute(update(Worker).where(mine).values(beat_on=SIGNED_OFF))
        except Exception as error:
            if not is_unavailable(error):
                raise
            log.warning("cannot sign off, others will find out: %s", error)

    def beat(self) -> None:
        """Show that this process lives."""
        with self._database.writing() as session:
            now = self._clock(session)
            row = session.scalar(select(Worker).where(Worker.executor_id == self._executor_id))
            if row is None:
                session.add(
                    Worker(
                        executor_id=self._executor_id,
                        host=socket.gethostname()[:255],
                        pid=os.getpid(),
                        started_on=now,
                        beat_on=now,
                    )
                )
            else:
                row.beat_on = now
        # Late, or the first one: what the others' rows say of the time before may not be true.
        if self._last_beat is None or now - self._last_beat > self._lease / 2:
            self._watching_since = now
        self._last_beat = now
        self._beat_at = time.monotonic()

    def is_current(self) -> bool:
        """Return whether the last heartbeat is younger than the lease, so that nobody takes over."""
        return time.monotonic() - self._beat_at < self._lease.total_seconds()

    def take_over(self) -> int:
        """Release what the dead had claimed; give the number of rows."""
        count = 0
        for executor_id in self._claim_dead():
            found = self._recover(executor_id)
            with self._database.writing() as session:
                if not has_claims(session, executor_id):  # else it is dead again after a lease
                    session.execute(delete(Worker).where(Worker.executor_id == executor_id))
            log.warning("worker %s is dead: released %d claims of it", executor_id, found)
            count += found
        return count

    def _claim_dead(self) -> list[str]:
        claimed = []
        with self._database.writing() as session:
            now = self._clock(session)
            dead = select(Worker.executor_id, Worker.beat_on).where(
                Worker.executor_id != self._executor_id, Worker.beat_on <= self._find_oldest_sign(now)
            )
            for executor_id, beat_on in session.execute(dead).all():
                # Whoever changes the moment has the row, for a lease: if he dies too, another has it.
                row = select(Worker.id).where(Worker.executor_id == executor_id)
                if session.scalar(row.with_for_update(skip_locked=True)) is None:
                    continue  # another takes it over, or it is frozen in a heartbeat
                changed = session.execute(
                    update(Worker)
                    .where(Worker.executor_id == executor_id, Worker.beat_on == beat_on)
                    .values(beat_on=now)
                )
                if changed.rowcount:  # type: ignore[attr-defined]
                    claimed.append(executor_id)
        return claimed

    def _find_oldest_sign(self, now: datetime) -> datetime:
        """Find the moment such that who last showed that he lived before it has stopped, or is dead."""
        since = self._watching_since
        has_watched = since is not None and now - since >= self._lease
        return now - self._lease if has_watched else SIGNED_OFF

    def _run_once(self) -> None:
        self.beat()
        self.take_over()
        self._recover_lost()
