"""Events that were deleted before a named consumer had read them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, select, update

from airflow_provider_pushmetrics.receiver.inbox.tables import consumers

IN_USE = timedelta(days=30)
"""A consumer that stored no position in this time before an event does not count as missing it."""


@dataclass(frozen=True)
class Gap:
    """
    Events that a consumer missed.

    :param consumer: Its name.
    :param position: Its position.
    :param missed: How many events beyond it were deleted.
    """

    consumer: str
    position: int
    missed: int


@dataclass(frozen=True)
class Deleted:
    """
    The result of a cleanup.

    :param events: How many events were deleted.
    :param gaps: The consumers that had not read all of them.
    """

    events: int = 0
    gaps: tuple[Gap, ...] = ()


def store_gaps(connection: Connection, deleted: Sequence[int], *, since: datetime) -> tuple[Gap, ...]:
    """
    Add events that are about to be deleted, ids in order, to the missed events of consumers.

    :param since: When the newest of them arrived, or later.
    """
    behind = select(consumers.c.name, consumers.c.position).where(
        consumers.c.position < deleted[-1], consumers.c.updated_at >= since - IN_USE
    )
    gaps = tuple(
        Gap(row.name, row.position, len(deleted) - bisect_right(deleted, row.position))
        for row in connection.execute(behind.order_by(consumers.c.name))
    )
    for gap in gaps:
        so_far = update(consumers).where(consumers.c.name == gap.consumer)
        connection.execute(so_far.values(missed=consumers.c.missed + gap.missed))
    return gaps
