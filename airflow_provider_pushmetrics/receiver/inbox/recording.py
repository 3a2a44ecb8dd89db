"""
Recording deliveries in one transaction: what is new gets the next ids, what is known keeps its own.

Written with SQLAlchemy, for either database. On SQLite, ``sqlite_recording`` does the same faster.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from airflow_provider_pushmetrics.receiver.inbox.commit_signals import announce_change
from airflow_provider_pushmetrics.receiver.inbox.records import Delivery
from airflow_provider_pushmetrics.receiver.inbox.tables import events, state

# Built once: SQLAlchemy takes as long to build a statement as the database to run it.
LOCK_LAST_ID = select(state.c.last_event_id).with_for_update()
STORE_LAST_ID = update(state).values(last_event_id=bindparam("newest"))
FIND_KNOWN = select(events.c.delivery_key, events.c.id).where(
    events.c.source == bindparam("of_source"), events.c.delivery_key.in_(bindparam("keys", expanding=True))
)

KnownIds = dict[tuple[str, str], int]
"""The event id of every delivery that is known, by its source and key."""


@dataclass(frozen=True)
class Recorded:
    """
    What became of a delivery.

    :param id: The event's id: the first one's, if the delivery is a duplicate.
    :param is_new: Whether it was kept now.
    :param delivery: The delivery.
    """

    id: int
    is_new: bool
    delivery: Delivery


def record(connection: Connection, deliveries: Sequence[Delivery], received_at: datetime) -> list[Recorded]:
    """
    Keep what is new, in the transaction that the connection is in.

    The row that hands out ids stays locked until the commit, so ids follow the order of commits.

    :return: What became of each, in the order given.
    """
    last_id = connection.execute(LOCK_LAST_ID).scalar_one()
    known: KnownIds = {}
    for source, keys in group_keys(deliveries):
        found = connection.execute(FIND_KNOWN, {"of_source": source, "keys": keys})
        known.update({(source, key): event_id for key, event_id in found})
    recorded = assign_ids(deliveries, known, last_id)
    new = [item for item in recorded if item.is_new]
    if new:
        connection.execute(insert(events), [_build_row(item, received_at) for item in new])
        connection.execute(STORE_LAST_ID, {"newest": new[-1].id})
        announce_change(connection)
    return recorded


def group_keys(deliveries: Sequence[Delivery]) -> Iterable[tuple[str, list[str]]]:
    """Group the deliveries' keys by their source."""
    keys: dict[str, list[str]] = {}
    for delivery in deliveries:
        keys.setdefault(delivery.source, []).append(delivery.key)
    return keys.items()


def assign_ids(deliveries: Sequence[Delivery], known: KnownIds, last_id: int) -> list[Recorded]:
    """Give what is new the next ids; of two copies, the first is new. ``known`` learns the new ones."""
    recorded = []
    for delivery in deliveries:
        identity = (delivery.source, delivery.key)
        event_id = known.get(identity)
        is_new = event_id is None
        if event_id is None:
            event_id = last_id = last_id + 1
            known[identity] = event_id
        recorded.append(Recorded(event_id, is_new, delivery))
    return recorded


def _build_row(item: Recorded, received_at: datetime) -> dict[str, Any]:
    delivery = item.delivery
    return {
        "id": item.id,
        "source": delivery.source,
        "delivery_key": delivery.key,
        "received_at": received_at,
        "event": delivery.event,
        "report_id": delivery.report_id,
        "query_id": delivery.query_id,
        "run_id": delivery.run_id,
        "replay_of": delivery.replay_of,
        "body_bytes": len(delivery.body),
        "body": delivery.body,
    }
