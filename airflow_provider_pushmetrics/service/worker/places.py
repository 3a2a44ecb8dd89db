"""Share the places of a worker among groups of waiting work, so that no group takes all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from airflow_provider_pushmetrics.service.worker.claims import Claim, Group


@dataclass(frozen=True)
class WaitingGroup:
    """
    The waiting work of a group.

    :param count: The number of rows.
    :param first: When the first was created, or is due.
    """

    group: Group
    count: int
    first: datetime


@dataclass(frozen=True)
class PlaceLimits:
    """
    The maximum number of active rows of a worker.

    :param places: The total.
    :param per_group: The maximum for the groups of one key, so that a slow one leaves places for others.
    :param is_shared: Whether there are several workspaces. Then one place is reserved for other workspaces.
    """

    places: int
    per_group: int
    is_shared: bool = False

    @property
    def per_workspace(self) -> int:
        """All places but one, if there are other workspaces."""
        return max(1, self.places - 1) if self.is_shared else self.places


def choose_groups(
    waiting: Collection[WaitingGroup], active: Collection[Claim], limits: PlaceLimits
) -> Counter[Group]:
    """
    Choose how many rows of each group fill the free places.

    The workspace with the fewest active rows comes first, then the key with the fewest, then the oldest row.
    A worker executes one suspect at a time: if it dies again, that run is the cause.
    """
    chosen: Counter[Group] = Counter()
    workspaces = Counter(claim.group.workspace_id for claim in active)
    keys = Counter(claim.group.key for claim in active)
    has_suspect = any(claim.group.is_suspect for claim in active)
    for _ in range(limits.places - len(active)):
        allowed = [
            (workspaces[group.workspace_id], keys[group.key], one.first, group)
            for one in waiting
            if chosen[group := one.group] < one.count
            and workspaces[group.workspace_id] < limits.per_workspace
            and keys[group.key] < limits.per_group
            and not (group.is_suspect and has_suspect)
        ]
        if not allowed:
            break
        group = min(allowed, key=lambda one: one[:3])[3]
        chosen[group] += 1
        workspaces[group.workspace_id] += 1
        keys[group.key] += 1
        has_suspect = has_suspect or group.is_suspect
    return +chosen
