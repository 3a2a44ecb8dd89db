"""
The deletion of results with their runs, after the transaction that deletes the runs.

That transaction records their folders. So each of them is deleted in the end, also if the storage does not
answer at that moment or the process dies, and no transaction waits for the storage.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import ColumnElement, delete, insert, literal, or_, select, update
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.service.models import AnyRun, DeletedFolder, Run, StandaloneQueryRun
from airflow_provider_pushmetrics.service.models.base import get_table
from airflow_provider_pushmetrics.service.results.store import ResultStore
from airflow_provider_pushmetrics.service.runs.execution.plan import name_result_folder
from airflow_provider_pushmetrics.service.storage.clock import DatabaseClock, read_database_clock
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.serving.background import BackgroundLoop
from airflow_provider_pushmetrics.serving.columns import UtcDateTime

FOLDER_SECONDS = 5.0
"""How often recorded folders are looked for."""

FOLDER_RETRY_SECONDS = 60.0

FOLDER_BATCH = 200
"""How many folders are deleted at a time."""

BATCH_LEASE = timedelta(minutes=5)
"""How long a batch belongs to the worker that has taken it; then it is tried again."""

WRITING_PERIOD = timedelta(days=1)
"""How long after the end of a run a worker may still write a result of it."""

RUN_KINDS: dict[str, type[AnyRun]] = {kind.__tablename__: kind for kind in (Run, StandaloneQueryRun)}


def record_folders(session: Session, kind: type[AnyRun], *conditions: ColumnElement[bool]) -> None:
    """
    Record the folders of runs, in the transaction that deletes them, and before it does.

    Also of those without a result: a worker may be writing one. A folder into which a worker may write is
    deleted a second time.

    :param conditions: The conditions of the runs.
    """
    now = read_database_clock(session)
    may_be_written = or_(kind.finished_on.is_(None), kind.finished_on > now - WRITING_PERIOD)
    for due_on, more in ((now, ()), (now + WRITING_PERIOD, (may_be_written,))):
        columns = (literal(kind.__tablename__), kind.id, literal(due_on, UtcDateTime))
        chosen = select(*columns).where(*conditions, *more).order_by(kind.id)
        recorded = insert(get_table(DeletedFolder)).from_select(["kind", "run_id", "due_on"], chosen)
        session.execute(recorded)


class FolderDeletion:
    """Deletes recorded folders in a background thread. Several workers may do so at the same time."""

    def __init__(
        self, database: Database, results: ResultStore, *, clock: DatabaseClock = read_database_clock
    ) -> None:
        self._database = database
        self._results = results
        self._clock = clock
        self._loop = BackgroundLoop(
            "deleted-folders",
            self.run_once,
            interval_seconds=FOLDER_SECONDS,
            retry_seconds=FOLDER_RETRY_SECONDS,
            starts_at_once=True,
        )

    def start(self) -> None:
        """Begin, at once."""
        self._loop.start()

    def request_stop(self) -> None:
        """Ask the thread to end after the running batch, without waiting for it."""
        self._loop.request_stop()

    def stop(self) -> bool:
        """Stop after the running batch, and return whether the thread has ended."""
        return self._loop.stop()

    def run_once(self) -> None:
        """
        Delete the folders that are due, a batch at a time.

        :raises ObjectStoreError: if the object storage does not answer; the folders stay recorded.
        :raises OSError: if a folder of this machine cannot be deleted; its batch stays recorded.
        """
        while not self._loop.stopping.is_set() and (batch := self._take_batch()):
            self._results.delete_folders(self._list_names(batch))
            with self._database.recording() as session:
                done = delete(DeletedFolder).where(DeletedFolder.id.in_([one.id for one in batch]))
                session.execute(done.execution_options(synchronize_session=False))

    def _take_batch(self) -> Sequence[DeletedFolder]:
        """Take some folders that are due, which others then leave alone for some time."""
        with self._database.reading() as session:
            now = self._clock(session)
            due = select(DeletedFolder).where(
                DeletedFolder.due_on <= now, DeletedFolder.kind.in_(list(RUN_KINDS))
            )
            if session.scalars(due.limit(1)).first() is None:
                return ()
        with self._database.recording() as session:
            oldest = due.order_by(DeletedFolder.due_on, DeletedFolder.id).limit(FOLDER_BATCH)
            batch = session.scalars(oldest.with_for_update(skip_locked=True)).all()
            mine = update(DeletedFolder).where(DeletedFolder.id.in_([one.id for one in batch]))
            taken = mine.values(due_on=now + BATCH_LEASE)
            session.execute(taken.execution_options(synchronize_session=False))
            return batch

    def _list_names(self, batch: Sequence[DeletedFolder]) -> list[str]:
        """List the names of folders, except those of runs that are there (again)."""
        names = []
        with self._database.reading() as session:
            for name, kind in RUN_KINDS.items():
                ids = {one.run_id for one in batch if one.kind == name}
                ids -= set(session.scalars(select(kind.id).where(kind.id.in_(ids))))
                names += [name_result_folder(kind, run_id) for run_id in sorted(ids)]
        return names
