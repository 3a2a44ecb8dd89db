"""Doing the work that is due in the thread of a test."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from airflow_provider_pushmetrics.service.notifications.outbox import KINDS
from airflow_provider_pushmetrics.service.notifications.outbox_sender import OutboxSender
from airflow_provider_pushmetrics.service.storage.clock import get_now
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.service.worker.claim_queue import ClaimQueue
from airflow_provider_pushmetrics.service.worker.claims import ClaimT
from airflow_provider_pushmetrics.service.worker.due_selection import DueRow, select_messages


def do_all(queue: ClaimQueue[ClaimT]) -> None:
    """Claim and do until nothing is due."""
    while claims := queue.claim()[0]:
        for claim in claims:
            queue.perform(claim)


def open_outbox(
    database: Database,
    sender: OutboxSender,
    *,
    name: str = "me",
    clock: Callable[[], datetime] = get_now,
) -> ClaimQueue[DueRow]:
    """Open the queue of mails and Slack posts of a worker."""
    selection = select_messages(len(KINDS), lambda _: clock())
    return ClaimQueue("message", database, name, selection, lambda row: sender.attempt(row.id))


def send_due(database: Database, sender: OutboxSender, clock: Callable[[], datetime] = get_now) -> None:
    """Send the mails and Slack posts that are due."""
    do_all(open_outbox(database, sender, clock=clock))
