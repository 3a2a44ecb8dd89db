"""Appending events again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from airflow_provider_pushmetrics.receiver.inbox.records import Recorded, build_replay_key
from airflow_provider_pushmetrics.receiver.inbox.store import Inbox


def replay(inbox: Inbox, event_ids: Sequence[int]) -> list[Recorded]:
    """
    Append events again, in their order and in one transaction: all or none.

    :return: The new events, of those that still exist.
    """
    deliveries = [(event_id, inbox.find_delivery(event_id)) for event_id in event_ids]
    again = [
        replace(delivery, key=build_replay_key(event_id), replay_of=event_id)
        for event_id, delivery in deliveries
        if delivery is not None
    ]
    return inbox.record(again) if again else []
