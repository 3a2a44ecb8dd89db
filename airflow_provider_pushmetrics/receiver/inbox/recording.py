"""
Recording webhooks in one transaction: new ones get the next ids, and duplicates get the id of the first.

Uses SQLAlchemy, for both databases. On SQLite, ``sqlite_recording`` does the same faster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, TypeAlias

from sqlalchemy import Connection, bindparam, func, insert, select, update

from airflow_provider_pushmetrics.receiver.inbox.records import IncomingWebhook, Recorded
from airflow_provider_pushmetrics.receiver.inbox.tables import VALUE, events, state
from airflow_provider_pushmetrics.serving.columns import UtcDateTime
from airflow_provider_pushmetrics.serving.commit_signals import announce_change

# Built once: building a statement takes SQLAlchemy as long as executing it takes the database.
LOCK_LAST_ID = select(state.c.last_event_id).with_for_update()
LOCK_LAST_ID_AND_READ_TIME = LOCK_LAST_ID.add_columns(func.clock_timestamp(type_=UtcDateTime))
STORE_LAST_ID = update(state).values(last_event_id=bindparam("newest"))
FIND_KNOWN = select(events.c.delivery_key, events.c.id).where(
    events.c.source == bindparam("of_source"), events.c.delivery_key.in_(bindparam("keys", expanding=True))
)

VALUE_COLUMNS = {column.name: column.info[VALUE] for column in events.c if VALUE in column.info}
"""The attribute of ``Recorded`` for each column; all but the timestamp."""

DELIVERY_FIELDS = {
    name: value.removeprefix("delivery.")
    for name, value in VALUE_COLUMNS.items()
    if value in {f"delivery.{field.name}" for field in fields(IncomingWebhook)}
}
"""The columns of an incoming webhook, with the names of its fields."""

read_values = attrgetter(*VALUE_COLUMNS.values())
"""Reads the values of ``VALUE_COLUMNS`` from a ``Recorded``, in their order."""

CHANNEL = "pushmetrics_inbox"
"""PostgreSQL's name for the notifications of new events."""

Clock: TypeAlias = Callable[[], datetime]

KnownIds = dict[tuple[str, str], int]
"""The event id of every known webhook, by its source and key."""


def get_now() -> datetime:
    """Return this machine's time."""
    return datetime.now(UTC)


def lock_last_id(connection: Connection, clock: Clock | None) -> tuple[int, datetime]:
    """
    Lock the row that assigns ids until the end of the transaction.

    :param clock: Returns the time. None for that of PostgreSQL: receivers compare each other's times, and one
        with a wrong clock would delete the events of all. SQLite has the time of its machine.
    :return: The newest id, and the time.
    """
    if clock is None and connection.dialect.name == "postgresql":
        last_id, now = connection.execute(LOCK_LAST_ID_AND_READ_TIME).one()
        return last_id, now
    return connection.execute(LOCK_LAST_ID).scalar_one(), (clock or get_now)()


def record(
    connection: Connection,
    deliveries: Sequence[IncomingWebhook],
    clock: Clock | None = None,
    add_waiting: Callable[[], None] | None = None,
) -> list[Recorded]:
    """
    Store new webhooks in the current transaction of the connection.

    The row that assigns ids stays locked until the commit, so ids follow the order of commits.

    :param clock: Returns the time; see :func:`lock_last_id`.
    :param add_waiting: Called when the row is locked; may add to the webhooks.
    :return: The result for each, in the given order.
    """
    last_id, received_at = lock_last_id(connection, clock)
    if add_waiting is not None:
        add_waiting()
    known: KnownIds = {}
    for source, keys in group_keys(deliveries):
        found = connection.execute(FIND_KNOWN, {"of_source": source, "keys": keys})
        known.update({(source, key): event_id for key, event_id in found})
    recorded = assign_ids(deliveries, known, last_id)
    new = [item for item in recorded if item.is_new]
    if new:
        connection.execute(insert(events), [_build_row(item, received_at) for item in new])
        connection.execute(STORE_LAST_ID, {"newest": new[-1].id})
        announce_change(connection, CHANNEL)
    return recorded


def group_keys(deliveries: Sequence[IncomingWebhook]) -> Iterable[tuple[str, list[str]]]:
    """Group the webhooks' keys by their source."""
    keys: dict[str, list[str]] = {}
    for delivery in deliveries:
        keys.setdefault(delivery.source, []).append(delivery.key)
    return keys.items()


def assign_ids(deliveries: Sequence[IncomingWebhook], known: KnownIds, last_id: int) -> list[Recorded]:
    """Assign the next ids to new webhooks; of two copies, the first is new. Adds them to ``known``."""
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
    return {"received_at": received_at, **dict(zip(VALUE_COLUMNS, read_values(item), strict=True))}
