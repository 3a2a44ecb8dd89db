"""Which runs a worker executes next: the oldest of the groups that :mod:`run_places` chooses."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.service.models import AnyRun, Run, StandaloneQueryRun, Workspace
from airflow_provider_pushmetrics.service.worker.claims import Share, is_waiting
from airflow_provider_pushmetrics.service.worker.run_places import (
    ActiveRun,
    PlaceLimits,
    RunGroup,
    choose_groups,
)


class RunSelection:
    """
    Chooses among the unfinished runs that no worker has claimed.

    :param places: How many runs this worker executes at the same time.
    """

    kinds: Sequence[type[AnyRun]] = (Run, StandaloneQueryRun)

    def __init__(self, places: int) -> None:
        self._places = places

    def choose(
        self, session: Session, active: Collection[ActiveRun]
    ) -> tuple[Sequence[Share[ActiveRun]], None]:
        """Choose runs for the free places. When others will come is unknown."""
        if len(active) >= self._places:
            return [], None
        waiting = list(_read_groups(session))
        is_shared = bool(waiting) and len(session.scalars(select(Workspace.id).limit(2)).all()) > 1
        chosen = choose_groups(waiting, active, PlaceLimits(self._places, is_shared))
        return [_build_share(group, count) for group, count in chosen.items()], None


def _read_groups(session: Session) -> Iterator[RunGroup]:
    for kind in RunSelection.kinds:
        suspect = _is_suspect(kind).label("is_suspect")
        groups = (
            select(kind.workspace_id, kind.report_id, suspect, func.count(), func.min(kind.created_on))
            .where(is_waiting(kind))
            .group_by(kind.workspace_id, kind.report_id, suspect)
        )
        for workspace_id, report_id, is_suspect, count, oldest in session.execute(groups):
            yield RunGroup(kind, workspace_id, report_id, bool(is_suspect), count, oldest)


def _build_share(group: RunGroup, count: int) -> Share[ActiveRun]:
    kind = group.kind
    return Share(
        kind,
        (
            kind.workspace_id == group.workspace_id,
            kind.report_id == group.report_id,
            _is_suspect(kind) == int(group.is_suspect),
        ),
        (kind.created_on, kind.id),
        count,
        lambda run_id: ActiveRun(kind, run_id, group.workspace_id, group.report_id, group.is_suspect),
    )


def _is_suspect(kind: type[AnyRun]) -> ColumnElement[int]:
    return case((kind.lost_workers > 0, 1), else_=0)
