"""Which deliveries and messages are due, and how the places of a worker are shared among receivers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy import Select, SQLColumnExpression, func, select
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.service.models import Delivery, OutgoingMessage, Subscription
from airflow_provider_pushmetrics.service.storage.clock import DatabaseClock, read_database_clock
from airflow_provider_pushmetrics.service.worker.claims import Share, is_waiting

Group: TypeAlias = int | str
"""A subscription's id, or the kind of a message."""

MIN_WAIT_SECONDS = 0.02


@dataclass(frozen=True)
class DueRow:
    """A delivery or a message that a worker has claimed."""

    kind: type[Delivery] | type[OutgoingMessage]
    id: int
    group: Group


class DueSelection:
    """
    Chooses among the rows that are due.

    :param groups: Selects each group, and when its first row is due; None if it has no row.
    :param group_column: The column by which rows are grouped.
    :param places: The number of places of a worker.
    :param group_places: The maximum for one group, so that a slow group leaves places for others.
    :param clock: Reads the time of the database.
    """

    def __init__(
        self,
        kind: type[Delivery] | type[OutgoingMessage],
        groups: Select[Any, Any],
        group_column: SQLColumnExpression[Any],
        *,
        places: int,
        group_places: int,
        clock: DatabaseClock = read_database_clock,
    ) -> None:
        self.kinds = (kind,)
        self._kind = kind
        self._groups = groups
        self._group_column = group_column
        self._places = places
        self._group_places = group_places
        self._clock = clock

    def choose(
        self, session: Session, active: Collection[DueRow]
    ) -> tuple[Sequence[Share[DueRow]], float | None]:
        """Choose rows for the free places, and find when the next one is due."""
        if len(active) >= self._places:
            return [], None
        firsts = {group: moment for group, moment in session.execute(self._groups) if moment is not None}
        if not firsts:
            return [], None
        now = self._clock(session)
        due = sorted((group for group in firsts if firsts[group] <= now), key=lambda group: firsts[group])
        taken = Counter(row.group for row in active)
        places = share_places(due, taken, self._places, self._group_places)
        later = [(moment - now).total_seconds() for moment in firsts.values() if moment > now]
        shares = [self._build_share(group, count, now) for group, count in places.items()]
        return shares, max(min(later), MIN_WAIT_SECONDS) if later else None

    def _build_share(self, group: Group, count: int, now: datetime) -> Share[DueRow]:
        kind = self._kind
        return Share(
            kind,
            (self._group_column == group, kind.next_attempt_on <= now),
            (kind.next_attempt_on, kind.id),
            count,
            lambda row_id: DueRow(kind, row_id, group),
        )


def select_deliveries(
    places: int, endpoint_places: int, clock: DatabaseClock = read_database_clock
) -> DueSelection:
    """Choose deliveries to active subscriptions. A slow endpoint has only its own places."""
    first = (
        select(func.min(Delivery.next_attempt_on))
        .where(Delivery.subscription_id == Subscription.id, is_waiting(Delivery))
        .scalar_subquery()
    )
    groups = select(Subscription.id, first).where(Subscription.active.is_(True))
    return DueSelection(
        Delivery,
        groups,
        Delivery.subscription_id,
        places=places,
        group_places=endpoint_places,
        clock=clock,
    )


def select_messages(kinds: int, clock: DatabaseClock = read_database_clock) -> DueSelection:
    """Choose one message of each kind, in their order: a slow mail server does not delay Slack."""
    groups = (
        select(OutgoingMessage.kind, func.min(OutgoingMessage.next_attempt_on))
        .where(is_waiting(OutgoingMessage))
        .group_by(OutgoingMessage.kind)
    )
    return DueSelection(
        OutgoingMessage, groups, OutgoingMessage.kind, places=kinds, group_places=1, clock=clock
    )


def share_places(
    due: Sequence[Group], taken: Counter[Group], places: int, group_places: int
) -> Counter[Group]:
    """
    Share the free places. Each goes to the group with the fewest places, and the first of these.

    :param due: The groups with work, the most urgent first.
    :param taken: The number of places that each group has now.
    """
    chosen: Counter[Group] = Counter()
    for _ in range(places - taken.total()):
        open_groups = [group for group in due if taken[group] + chosen[group] < group_places]
        if not open_groups:
            break
        chosen[min(open_groups, key=lambda group: taken[group] + chosen[group])] += 1
    return chosen
