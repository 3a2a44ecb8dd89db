"""
The heartbeats of workers, and the one reconciliation: the release of the claims of dead workers.

Each worker updates its row regularly. A worker whose row is older than the lease counts as dead: another
worker deletes its row, and releases all claims whose worker has no row. A worker does this only after it has
been watching for a whole lease, since after an outage of the database all rows are old although all workers
are alive. A worker that was only slow does no harm: work that is done twice is recorded once.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable, Collection
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.service.models import Worker
from airflow_provider_pushmetrics.service.storage.clock import DatabaseClock, read_database_clock
from airflow_provider_pushmetrics.service.storage.database import Database, is_unavailable
from airflow_provider_pushmetrics.service.worker.claims import Claim, release
from airflow_provider_pushmetrics.serving.background import BackgroundLoop

log = logging.getLogger(__name__)


class WorkerRegistry:
    """
    Sends the heartbeats of this worker, and releases the claims of dead workers.

    :param worker_id: The name of this worker.
    :param lease_seconds: A worker whose last heartbeat is older counts as dead.
    :param list_active: Lists the active claims of this worker. Its others are released: the connection was
        lost during the commit of the claim, or the work failed.
    """

    def __init__(
        self,
        database: Database,
        worker_id: str,
        lease_seconds: float,
        list_active: Callable[[], Collection[Claim]],
        *,
        clock: DatabaseClock = read_database_clock,
    ) -> None:
        self._database = database
        self._worker_id = worker_id
        self._lease = timedelta(seconds=lease_seconds)
        self._list_active = list_active
        self._clock = clock
        self._last_beat: datetime | None = None
        self._beat_at = -float("inf")
        self._watching_since: datetime | None = None
        self._loop = BackgroundLoop("heartbeat", self._run_once, interval_seconds=lease_seconds / 4)

    def start(self) -> None:
        """Release what a dead predecessor of the same name has claimed, and send heartbeats from now on."""
        self.beat()
        with self._database.writing() as session:
            release(session, lambda kind: kind.worker_id == self._worker_id, counts_loss=True)
        self.reconcile()
        self._loop.start()

    def stop(self) -> bool:
        """
        Stop, and release the claims of this worker, for others to continue.

        :return: Whether that is recorded. If not, others notice after its lease.
        """
        self._loop.stop()
        try:
            with self._database.writing() as session:
                release(session, lambda kind: kind.worker_id == self._worker_id)
                session.execute(delete(Worker).where(Worker.worker_id == self._worker_id))
        except Exception as error:
            if not is_unavailable(error):
                raise
            log.warning("cannot release the claims of this worker; others do it after its lease: %s", error)
            return False
        return True

    def beat(self) -> None:
        """Send a heartbeat."""
        with self._database.writing() as session:
            now = self._clock(session)
            mine = update(Worker).where(Worker.worker_id == self._worker_id).values(beat_on=now)
            if not session.execute(mine).rowcount:  # type: ignore[attr-defined]
                session.add(
                    Worker(
                        worker_id=self._worker_id,
                        host=socket.gethostname()[:255],
                        pid=os.getpid(),
                        started_on=now,
                        beat_on=now,
                    )
                )
        # The first heartbeat, or a late one: the heartbeats of others may have failed too.
        if self._last_beat is None or now - self._last_beat > self._lease / 2:
            self._watching_since = now
        self._last_beat = now
        self._beat_at = time.monotonic()

    def is_current(self) -> bool:
        """Return whether the last heartbeat is younger than the lease."""
        return time.monotonic() - self._beat_at < self._lease.total_seconds()

    def reconcile(self) -> None:
        """Release the claims of dead workers, and those of this worker that are not active."""
        with self._database.writing() as session:
            self._delete_dead(session)
            workers = select(Worker.worker_id)
            lost = release(session, lambda kind: kind.worker_id.not_in(workers), counts_loss=True)
            forgotten = release(
                session, lambda kind: kind.worker_id == self._worker_id, keeps=self._list_active
            )
        if lost:
            log.warning("released claims of dead workers: %s", ", ".join(lost))
        if forgotten:
            log.warning("released what was claimed, and not active: %s", ", ".join(forgotten))

    def _delete_dead(self, session: Session) -> None:
        now, since = self._clock(session), self._watching_since
        if since is None or now - since < self._lease:
            return
        is_dead = (Worker.worker_id != self._worker_id, Worker.beat_on <= now - self._lease)
        # Not one that is frozen in a heartbeat, or that another worker is deleting.
        rows = select(Worker.id, Worker.worker_id).where(*is_dead).with_for_update(skip_locked=True)
        for row_id, worker_id in session.execute(rows).all():
            session.execute(delete(Worker).where(Worker.id == row_id))
            log.warning("worker %s is dead", worker_id)

    def _run_once(self) -> None:
        self.beat()
        self.reconcile()
