"""Share the run places of a worker among workspaces and reports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from airflow_provider_pushmetrics.service.models import AnyRun


@dataclass(frozen=True)
class RunGroup:
    """
    The waiting runs of one report: all suspects, or all others.

    :param is_suspect: Whether a worker died while it executed them.
    :param count: The number of runs.
    :param oldest: When the oldest was created.
    """

    kind: type[AnyRun]
    workspace_id: int
    report_id: int
    is_suspect: bool
    count: int
    oldest: datetime


@dataclass(frozen=True)
class ActiveRun:
    """A run that a worker executes."""

    kind: type[AnyRun]
    id: int
    workspace_id: int
    report_id: int
    is_suspect: bool = False


@dataclass(frozen=True)
class PlaceLimits:
    """
    The maximum number of concurrent runs of a worker.

    :param places: The total.
    :param is_shared: Whether there are several workspaces. Then one place is reserved for other workspaces.
    """

    places: int
    is_shared: bool

    @property
    def per_report(self) -> int:
        """At most half of the places for one report."""
        return max(1, self.places // 2)

    @property
    def per_workspace(self) -> int:
        """All places but one, if there are other workspaces."""
        return max(1, self.places - 1) if self.is_shared else self.places


def choose_groups(
    waiting: Sequence[RunGroup], active: Collection[ActiveRun], limits: PlaceLimits
) -> Counter[RunGroup]:
    """
    Choose how many runs of each group fill the free places.

    The workspace with the fewest active runs comes first, then the report with the fewest, then the oldest
    run. A worker executes one suspect at a time: if it dies again, that run is the cause.
    """
    chosen: Counter[RunGroup] = Counter()
    workspaces = Counter(run.workspace_id for run in active)
    reports = Counter(run.report_id for run in active)
    has_suspect = any(run.is_suspect for run in active)
    for _ in range(limits.places - len(active)):
        allowed = [
            group
            for group in waiting
            if chosen[group] < group.count
            and workspaces[group.workspace_id] < limits.per_workspace
            and reports[group.report_id] < limits.per_report
            and not (group.is_suspect and has_suspect)
        ]
        if not allowed:
            break
        group = min(
            allowed, key=lambda one: (workspaces[one.workspace_id], reports[one.report_id], one.oldest)
        )
        chosen[group] += 1
        workspaces[group.workspace_id] += 1
        reports[group.report_id] += 1
        has_suspect = has_suspect or group.is_suspect
    return +chosen
