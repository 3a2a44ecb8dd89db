"""Which work a worker claims next: the oldest rows of the groups that :mod:`places` chooses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Executable, SQLColumnExpression, func, literal, select, union_all
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.service.models import (
    AnyRun,
    Delivery,
    OutgoingMessage,
    Run,
    StandaloneQueryRun,
    Subscription,
    Workspace,
)
from airflow_provider_pushmetrics.service.storage.clock import CLOCK
from airflow_provider_pushmetrics.service.storage.database import execute_core
from airflow_provider_pushmetrics.service.worker.claims import Claim, Group, WorkRow, is_suspect, is_waiting
from airflow_provider_pushmetrics.service.worker.places import PlaceLimits, WaitingGroup, choose_groups

MIN_WAIT_SECONDS = 0.02

COLUMNS = ("kind", "workspace_id", "key", "is_suspect", "rows", "first", "is_shared", "now")

NONE = literal(0)


@dataclass(frozen=True)
class Choice:
    """
    What a worker claims.

    :param groups: How many rows of each group.
    :param now: The time at which they are due; None for runs, which are always due.
    :param wait_seconds: The time until more work is due, if known.
    :param has_more: Whether there may be work for the next free place.
    """

    groups: Counter[Group] = field(default_factory=Counter)
    now: datetime | None = None
    wait_seconds: float | None = None
    has_more: bool = False


@dataclass(frozen=True)
class Selection:
    """
    Chooses among the unfinished rows that no worker has claimed.

    :param kinds: The tables.
    :param waiting: Selects the waiting groups, with ``COLUMNS``. ``now`` is 0 if their rows are always due.
    :param places: How many rows this worker executes at the same time.
    :param group_places: The maximum for one key.
    """

    kinds: Sequence[type[WorkRow]]
    waiting: Executable
    places: int
    group_places: int

    def choose(self, session: Session, active: Collection[Claim]) -> Choice:
        """Choose rows for the free places."""
        if len(active) >= self.places:
            return Choice(has_more=True)
        rows = [row for row in execute_core(session, self.waiting).all() if row.rows]
        now = rows[0].now or None if rows else None
        due, later = [], []
        for row in rows:
            if now is None or row.first <= now:
                group = Group(self.kinds[row.kind], row.key, row.workspace_id, bool(row.is_suspect))
                due.append(WaitingGroup(group, row.rows, row.first))
            else:
                later.append((row.first - now).total_seconds())
        limits = PlaceLimits(self.places, self.group_places, any(row.is_shared for row in rows))
        chosen = choose_groups(due, active, limits)
        wait_seconds = max(min(later), MIN_WAIT_SECONDS) if later else None
        return Choice(chosen, now, wait_seconds, sum(one.count for one in due) > chosen.total())


def _list_groups(*columns: SQLColumnExpression[Any]) -> Any:
    """
    Select groups.

    :param columns: The number of the table in its selection, the workspace, the key, whether they are
        suspects, the number of rows, when the first was created or is due, whether there are several
        workspaces, and the time at which the rows must be due.
    """
    return select(*(column.label(name) for column, name in zip(columns, COLUMNS, strict=True)))


def select_runs(places: int) -> Selection:
    """Choose runs of reports and of single blocks. One report has at most half of the places."""
    kinds: tuple[type[AnyRun], ...] = (Run, StandaloneQueryRun)
    two = select(Workspace.id).limit(2).subquery()
    is_shared = select(func.count() > 1).select_from(two).scalar_subquery()
    groups = []
    for number, kind in enumerate(kinds):
        columns = (kind.workspace_id, kind.report_id, is_suspect(kind))
        found = _list_groups(
            literal(number), *columns, func.count(), func.min(kind.created_on), is_shared, NONE
        )
        groups.append(found.where(is_waiting(kind)).group_by("workspace_id", "key", "is_suspect"))
    return Selection(kinds, union_all(*groups), places, max(1, places // 2))


def select_deliveries(places: int, endpoint_places: int, clock: ColumnElement[datetime] = CLOCK) -> Selection:
    """Choose deliveries to active subscriptions. A slow endpoint has only its own places."""
    mine = (Delivery.subscription_id == Subscription.id, is_waiting(Delivery))
    first = select(func.min(Delivery.next_attempt_on)).where(*mine).scalar_subquery()
    # There may be very many: they are counted only as far as it matters.
    some = select(Delivery.id).where(*mine).limit(endpoint_places + 1).correlate(Subscription).subquery()
    count = select(func.count()).select_from(some).scalar_subquery()
    waiting = _list_groups(NONE, NONE, Subscription.id, NONE, count, first, NONE, clock).where(
        Subscription.active.is_(True)
    )
    return Selection((Delivery,), waiting, places, endpoint_places)


def select_messages(kinds: int, clock: ColumnElement[datetime] = CLOCK) -> Selection:
    """Choose one message of each kind, in their order: a slow mail server does not delay Slack."""
    first = func.min(OutgoingMessage.next_attempt_on)
    waiting = _list_groups(NONE, NONE, OutgoingMessage.kind, NONE, func.count(), first, NONE, clock)
    waiting = waiting.where(is_waiting(OutgoingMessage)).group_by(OutgoingMessage.kind)
    return Selection((OutgoingMessage,), waiting, kinds, 1)
