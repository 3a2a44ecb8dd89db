"""Doing the work that is due in the thread of a test."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, bindparam
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.service.notifications.message_outbox import KINDS
from airflow_provider_pushmetrics.service.notifications.outbox_sender import OutboxSender
from airflow_provider_pushmetrics.service.storage.clock import CLOCK, DatabaseClock, read_database_clock
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.service.worker.claim_queue import ClaimQueue
from airflow_provider_pushmetrics.service.worker.claims import release
from airflow_provider_pushmetrics.service.worker.selection import select_messages
from airflow_provider_pushmetrics.serving.columns import UtcDateTime


def do_all(queue: ClaimQueue) -> None:
    """Claim and do until nothing is due."""
    while claims := queue.claim()[0]:
        for claim in claims:
            queue.perform(claim)


def open_outbox(
    database: Database,
    sender: OutboxSender,
    *,
    name: str = "me",
    clock: DatabaseClock = read_database_clock,
) -> ClaimQueue:
    """Open the queue of mails and Slack posts of a worker."""
    column: ColumnElement[datetime] = CLOCK
    if clock is not read_database_clock:
        column = bindparam("now", callable_=lambda: clock(Session()), type_=UtcDateTime)
    selection = select_messages(len(KINDS), column)
    return ClaimQueue("message", database, name, selection, lambda row: sender.attempt(row.id))


def send_due(database: Database, sender: OutboxSender, clock: DatabaseClock = read_database_clock) -> None:
    """Send the mails and Slack posts that are due."""
    do_all(open_outbox(database, sender, clock=clock))


def release_all(database: Database, worker_id: str, *, counts_loss: bool = False) -> list[str]:
    """Release the claims of a worker, and name the rows."""
    with database.writing() as session:
        return release(session, lambda kind: kind.worker_id == worker_id, counts_loss=counts_loss)


def release_forgotten(database: Database, queue: ClaimQueue, worker_id: str) -> None:
    """Release the claims of a worker that are not active in its queue."""
    with database.writing() as session:
        release(session, lambda kind: kind.worker_id == worker_id, keeps=queue.list_active)
