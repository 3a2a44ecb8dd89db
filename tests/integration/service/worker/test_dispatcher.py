"""What is committed is handed to the queues, whenever the queues come to it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import httpx
from sqlalchemy import select

from airflow_provider_pushmetrics.service.accounts.bootstrap import bootstrap
from airflow_provider_pushmetrics.service.models import DeliveryAttempt, Subscription
from airflow_provider_pushmetrics.service.storage.clock import get_now
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.service.storage.encryption import Cipher
from airflow_provider_pushmetrics.service.webhooks.delivery import WebhookSender
from airflow_provider_pushmetrics.service.webhooks.outbox import put_in_outbox
from airflow_provider_pushmetrics.service.worker.dispatcher import Dispatcher
from airflow_provider_pushmetrics.service.worker.queue import Task, WorkflowQueue
from airflow_provider_pushmetrics.signatures import generate_secret
from tests.fakes.service_process import API_TOKEN


class HastyQueue(WorkflowQueue):
    """Has done what it is given before the dispatcher has noted that it gave it."""

    def __init__(self, sender: WebhookSender) -> None:
        self.sender = sender

    def enqueue(self, tasks: Iterable[Task]) -> None:
        for task in list(tasks):
            self.sender.attempt(*task.arguments)


def refuse(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused")


def test_attempt_that_fails_before_it_is_noted_is_followed_by_the_next(url: str, tmp_path: Path) -> None:
    database, cipher, now = Database(url), Cipher("k" * 32), get_now()
    database.migrate()
    bootstrap(database, tmp_path, API_TOKEN)
    with database.writing() as session:
        secret = cipher.encrypt(generate_secret())
        session.add(
            Subscription(
                workspace_id=1, name="s", url="http://s.test/", events=["e"], secret_encrypted=secret
            )
        )
        session.flush()
        put_in_outbox(session, 1, {"event": "e"})
    sender = WebhookSender(database, cipher, 5, transport=httpx.MockTransport(refuse), clock=lambda: now)
    dispatcher = Dispatcher(database, HastyQueue(sender), 30, lambda: None, clock=lambda: now)
    for _ in range(3):
        now += timedelta(hours=3)
        dispatcher.dispatch()
    with database.reading() as session:
        attempts = session.scalars(select(DeliveryAttempt.number).order_by(DeliveryAttempt.id)).all()
    assert attempts == [1, 2, 3]
    sender.close()
    database.close()
