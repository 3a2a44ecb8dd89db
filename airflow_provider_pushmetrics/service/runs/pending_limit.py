"""The limit on the runs of a workspace that wait for a worker."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from sqlalchemy import ScalarSelect, bindparam, func, select
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.exceptions import PushMetricsUnavailableError
from airflow_provider_pushmetrics.service.models import AnyRun, Run, StandaloneQueryRun
from airflow_provider_pushmetrics.service.storage.database import execute_core

ROOM_RETRY_SECONDS = 10.0
"""What ``Retry-After`` asks for: how soon there is room depends on how long runs take."""


def _count_pending(kind: type[AnyRun]) -> ScalarSelect[int]:
    """Count the waiting runs of a kind by the partial index ``ix_…_waiting``."""
    mine = kind.workspace_id == bindparam("workspace")
    waiting = select(func.count()).where(mine, kind.worker_id.is_(None), kind.finished_on.is_(None))
    return waiting.select_from(kind).scalar_subquery()


SELECT_PENDING = select(_count_pending(Run) + _count_pending(StandaloneQueryRun))


@dataclass(frozen=True)
class PendingLimit:
    """
    A limit for each workspace.

    Concurrent requests may exceed it by their number: they count before one of them is stored.

    :param max_runs: How many runs, of reports and of single blocks, may wait; 0 for no limit.
    """

    max_runs: int

    def count_pending(self, session: Session, workspace_id: int) -> int:
        """Count the waiting runs of a workspace; 0 if there is no limit."""
        if not self.max_runs:
            return 0
        return int(execute_core(session, SELECT_PENDING, {"workspace": workspace_id}).scalar_one())

    def add(self, pending: Counter[int], workspace_id: int) -> None:
        """
        Count one more run of a workspace.

        :param pending: The waiting runs of each workspace.
        :raises PushMetricsUnavailableError: if there are too many.
        """
        if self.max_runs and pending[workspace_id] >= self.max_runs:
            raise PushMetricsUnavailableError(
                f"{pending[workspace_id]} runs of this workspace wait for a worker, and at most"
                f" {self.max_runs} may: try again later, or start more workers",
                status_code=429,
                retry_after_seconds=ROOM_RETRY_SECONDS,
            )
        pending[workspace_id] += 1

    def check(self, session: Session, workspace_id: int) -> None:
        """
        Check that a workspace may start one more run.

        :raises PushMetricsUnavailableError: if it may not.
        """
        self.add(Counter({workspace_id: self.count_pending(session, workspace_id)}), workspace_id)


UNLIMITED = PendingLimit(0)
