"""
The queue of runs: the rows of unfinished runs that no worker has claimed.

A worker claims runs for its free places by writing its name into their rows, and executes each in a thread.
What a dead worker had claimed is released by another one, or by its successor of the same name.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import ColumnElement, and_, case, func, select, update
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.service.models import AnyRun, QueryRun, Run, Workspace
from airflow_provider_pushmetrics.service.models.statuses import RUNNING
from airflow_provider_pushmetrics.service.storage.database import Database, is_unavailable
from airflow_provider_pushmetrics.service.worker.retrying import WorkInterruptedError
from airflow_provider_pushmetrics.service.worker.run_places import (
    ActiveRun,
    PlaceLimits,
    RunGroup,
    choose_groups,
)
from airflow_provider_pushmetrics.serving.background import BackgroundLoop

KINDS: tuple[type[AnyRun], ...] = (Run, QueryRun)

RETRY_SECONDS = 1.0

log = logging.getLogger(__name__)

Execute = Callable[[type[AnyRun], int], object]


class RunQueue:
    """
    Claims waiting runs for this worker, and executes them.

    :param executor_id: The name of this worker.
    :param execute: Executes a run to its end. It raises :class:`WorkInterruptedError` when this process
        stops first.
    :param abandon: Ends a run whose execution raised an error of ours.
    :param places: How many runs this worker executes at the same time.
    :param poll_seconds: How long a run that another process committed can wait unseen; :meth:`wake` tells
        of those of this process.
    """

    def __init__(
        self,
        database: Database,
        executor_id: str,
        execute: Execute,
        abandon: Execute,
        *,
        places: int,
        poll_seconds: float,
    ) -> None:
        self._database = database
        self._executor_id = executor_id
        self._execute = execute
        self._abandon = abandon
        self._places = places
        self._lock = threading.Lock()
        self._active: set[ActiveRun] = set()
        self._is_idle = threading.Condition(self._lock)
        self._was_interrupted = False
        self._loop = BackgroundLoop(
            "run-queue",
            self._start_claimed,
            interval_seconds=poll_seconds,
            starts_at_once=True,
            retry_seconds=RETRY_SECONDS,
        )

    def start(self) -> None:
        """Release what a dead process of the same name had claimed, and begin to claim."""
        self.release_lost(self._executor_id)
        self._loop.start()

    def stop_claiming(self) -> bool:
        """
        Claim no more; what is active goes on.

        :return: Whether the thread that claims has ended.
        """
        return self._loop.stop()

    def stop(self, timeout_seconds: float) -> bool:
        """
        Wait for the active runs, and give back those that have not ended.

        :return: Whether all of them had.
        """
        claims_no_more = self.stop_claiming()
        with self._is_idle:
            has_ended = self._is_idle.wait_for(lambda: not self._active, timeout_seconds)
        try:
            self._release(self._executor_id)
        except Exception as error:
            if not is_unavailable(error):
                raise
            log.warning("cannot give back the runs of this worker, others will find out: %s", error)
        return claims_no_more and has_ended and not self._was_interrupted

    def wake(self) -> None:
        """Say that a run was committed."""
        self._loop.wake()

    def is_active(self) -> bool:
        """Tell whether a run is executed here."""
        with self._lock:
            return bool(self._active)

    def release_lost(self, executor_id: str) -> int:
        """
        Release the runs of a worker that died. Each run that it executed counts the loss.

        :return: How many there were.
        """
        return self._release(executor_id, counts_loss=True)

    def release_forgotten(self) -> None:
        """
        Release the runs that are claimed for this worker, and not active in it.

        The database went away while it answered the claim.
        """
        for kind in KINDS:
            with self._database.reading() as session:
                claimed = session.scalars(
                    select(kind.id).where(_is_claimed_by(kind, self._executor_id))
                ).all()
            # The active ones are read last: a run is active before its claim is committed.
            with self._lock:
                active = {run.id for run in self._active if run.kind is kind}
            for run_id in set(claimed) - active:
                log.warning("releasing %s %s, which was claimed and not begun", kind.__tablename__, run_id)
                with self._database.noting() as session:
                    session.execute(
                        update(kind)
                        .where(kind.id == run_id, _is_claimed_by(kind, self._executor_id))
                        .values(executor_id=None)
                    )
                self.wake()

    def claim(self) -> list[ActiveRun]:
        """Claim runs for the free places, in this worker's name."""
        with self._lock:
            active = list(self._active)
        if len(active) >= self._places:
            return []
        with self._database.reading() as session:
            waiting = list(_read_groups(session))
            is_shared = bool(waiting) and _has_several_workspaces(session)
        chosen = choose_groups(waiting, active, PlaceLimits(self._places, is_shared))
        if not chosen:
            return []
        with self._registering() as claimed, self._database.noting() as session:
            claimed += _claim(session, chosen, self._executor_id)
            with self._lock:
                self._active.update(claimed)
        return claimed

    @contextmanager
    def _registering(self) -> Iterator[list[ActiveRun]]:
        """Register what is claimed in the block as active; not if its commit fails."""
        claimed: list[ActiveRun] = []
        try:
            yield claimed
        except BaseException:
            self._remove(*claimed)
            raise

    def _start_claimed(self) -> None:
        for run in self.claim():
            name = f"{run.kind.__tablename__}-{run.id}"
            threading.Thread(target=self._run, args=(run,), name=name, daemon=True).start()

    def _run(self, run: ActiveRun) -> None:
        try:
            self._execute(run.kind, run.id)
        except WorkInterruptedError:
            self._was_interrupted = True
        except Exception:
            log.exception("%s %s has failed: ending it", run.kind.__tablename__, run.id)
            self._end(run)
        self._remove(run)
        self.wake()

    def _end(self, run: ActiveRun) -> None:
        try:
            self._abandon(run.kind, run.id)
        except Exception:
            log.exception("cannot end %s %s; it is executed again", run.kind.__tablename__, run.id)

    def _remove(self, *runs: ActiveRun) -> None:
        with self._is_idle:
            self._active.difference_update(runs)
            self._is_idle.notify_all()

    def _release(self, executor_id: str, *, counts_loss: bool = False) -> int:
        count = 0
        with self._database.writing() as session:
            for kind in KINDS:
                has_begun = case((kind.status == RUNNING, 1), else_=0)
                losses = kind.lost_workers + (has_begun if counts_loss else 0)
                released = session.execute(
                    update(kind)
                    .where(_is_claimed_by(kind, executor_id))
                    .values(executor_id=None, lost_workers=losses)
                    .execution_options(synchronize_session=False)
                )
                count += released.rowcount  # type: ignore[attr-defined]
        return count


def _is_waiting(kind: type[AnyRun]) -> ColumnElement[bool]:
    """Make the condition of the partial indexes ``ix_run_waiting`` and ``ix_query_run_waiting``."""
    return and_(kind.executor_id.is_(None), kind.finished_on.is_(None))


def _is_claimed_by(kind: type[AnyRun], executor_id: str) -> ColumnElement[bool]:
    return and_(kind.executor_id == executor_id, kind.finished_on.is_(None))


def _is_suspect(kind: type[AnyRun]) -> ColumnElement[int]:
    return case((kind.lost_workers > 0, 1), else_=0)


def _read_groups(session: Session) -> Iterator[RunGroup]:
    for kind in KINDS:
        suspect = _is_suspect(kind).label("is_suspect")
        groups = (
            select(kind.workspace_id, kind.report_id, suspect, func.count(), func.min(kind.created_on))
            .where(_is_waiting(kind))
            .group_by(kind.workspace_id, kind.report_id, suspect)
        )
        for workspace_id, report_id, is_suspect, count, oldest in session.execute(groups):
            yield RunGroup(kind, workspace_id, report_id, bool(is_suspect), count, oldest)


def _has_several_workspaces(session: Session) -> bool:
    return len(session.scalars(select(Workspace.id).limit(2)).all()) > 1


def _claim(session: Session, chosen: Counter[RunGroup], executor_id: str) -> list[ActiveRun]:
    claimed = []
    for group, count in chosen.items():
        kind = group.kind
        oldest = (
            select(kind.id)
            .where(
                _is_waiting(kind),
                kind.workspace_id == group.workspace_id,
                kind.report_id == group.report_id,
                _is_suspect(kind) == int(group.is_suspect),
            )
            .order_by(kind.created_on, kind.id)
            .limit(count)
            # Another worker may be claiming them: each takes what the other has not.
            .with_for_update(skip_locked=True)
        )
        ids = session.scalars(oldest).all()
        session.execute(
            update(kind)
            .where(kind.id.in_(ids))
            .values(executor_id=executor_id)
            .execution_options(synchronize_session=False)
        )
        claimed += [
            ActiveRun(kind, run_id, group.workspace_id, group.report_id, group.is_suspect) for run_id in ids
        ]
    return claimed
