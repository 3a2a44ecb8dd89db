"""
The heartbeats of workers, and the release of the claims of dead workers.

Each worker updates its row regularly. A worker whose row is older than the lease counts as dead. The worker
that claims this row first releases the claims of the dead one. A worker does this only after it has been
watching for a whole lease, since after an outage of the database all rows are old although all workers are
alive. A worker that was only slow does no harm: work that is done twice is recorded once.
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
"""The time in the row of a worker that has stopped with unfinished work: others release it at once."""

log = logging.getLogger(__name__)

Recover = Callable[[str], int]
"""Releases the claims of a worker, and returns the number of rows."""


class WorkerRegistry:
    """
    Sends the heartbeats of this worker, and releases the claims of dead workers.

    :param worker_id: The name of this worker.
    :param lease_seconds: A worker whose last heartbeat is older counts as dead.
    :param recover: Releases the claims of a dead worker.
    :param recover_lost: Releases claims of this worker that are not active.
    """

    def __init__(
        self,
        database: Database,
        worker_id: str,
        lease_seconds: float,
        recover: Recover,
        recover_lost: Callable[[], object] = lambda: None,
        *,
        clock: DatabaseClock = read_database_clock,
    ) -> None:
        self._database = database
        self._worker_id = worker_id
        self._lease = timedelta(seconds=lease_seconds)
        self._recover = recover
        self._recover_lost = recover_lost
        self._clock = clock
        self._last_beat: datetime | None = None
        self._beat_at = -float("inf")
        self._watching_since: datetime | None = None
        self._loop = BackgroundLoop("heartbeat", self._run_once, interval_seconds=lease_seconds / 4)

    def start(self) -> None:
        """Send the first heartbeat, and start the thread that sends the others."""
        self.beat()
        self._loop.start()

    def stop(self, *, is_finished: bool) -> None:
        """
        Stop, and record that this worker has stopped.

        :param is_finished: Whether all work has ended. If not, others continue it at once.
        """
        self._loop.stop()
        mine = Worker.worker_id == self._worker_id
        try:
            with self._database.writing() as session:
                if is_finished:
                    session.execute(delete(Worker).where(mine))
                else:
                    session.execute(update(Worker).where(mine).values(beat_on=SIGNED_OFF))
        except Exception as error:
            if not is_unavailable(error):
                raise
            log.warning(
                "cannot record that this worker has stopped; others notice after its lease: %s", error
            )

    def beat(self) -> None:
        """Send a heartbeat."""
        with self._database.writing() as session:
            now = self._clock(session)
            row = session.scalar(select(Worker).where(Worker.worker_id == self._worker_id))
            if row is None:
                session.add(
                    Worker(
                        worker_id=self._worker_id,
                        host=socket.gethostname()[:255],
                        pid=os.getpid(),
                        started_on=now,
                        beat_on=now,
                    )
                )
            else:
                row.beat_on = now
        # The first heartbeat, or a late one: the heartbeats of others may have failed too.
        if self._last_beat is None or now - self._last_beat > self._lease / 2:
            self._watching_since = now
        self._last_beat = now
        self._beat_at = time.monotonic()

    def is_current(self) -> bool:
        """Return whether the last heartbeat is younger than the lease."""
        return time.monotonic() - self._beat_at < self._lease.total_seconds()

    def take_over(self) -> int:
        """Release the claims of dead workers, and return the number of rows."""
        count = 0
        for worker_id in self._claim_dead():
            found = self._recover(worker_id)
            with self._database.writing() as session:
                if not has_claims(session, worker_id):  # if it has, it counts as dead again after a lease
                    session.execute(delete(Worker).where(Worker.worker_id == worker_id))
            log.warning("worker %s is dead: released %d claims of it", worker_id, found)
            count += found
        return count

    def _claim_dead(self) -> list[str]:
        claimed = []
        with self._database.writing() as session:
            now = self._clock(session)
            dead = select(Worker.worker_id, Worker.beat_on).where(
                Worker.worker_id != self._worker_id, Worker.beat_on <= self._find_oldest_sign(now)
            )
            for worker_id, beat_on in session.execute(dead).all():
                # The worker that changes the time has the row for a lease; then another one may take it.
                row = select(Worker.id).where(Worker.worker_id == worker_id)
                if session.scalar(row.with_for_update(skip_locked=True)) is None:
                    continue  # another worker has it, or it is frozen in a heartbeat
                changed = session.execute(
                    update(Worker)
                    .where(Worker.worker_id == worker_id, Worker.beat_on == beat_on)
                    .values(beat_on=now)
                )
                if changed.rowcount:  # type: ignore[attr-defined]
                    claimed.append(worker_id)
        return claimed

    def _find_oldest_sign(self, now: datetime) -> datetime:
        """Find the time such that a worker whose last heartbeat is older is dead, or has stopped."""
        since = self._watching_since
        has_watched = since is not None and now - since >= self._lease
        return now - self._lease if has_watched else SIGNED_OFF

    def _run_once(self) -> None:
        self.beat()
        self.take_over()
        self._recover_lost()
