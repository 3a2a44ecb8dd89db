"""As many deliveries as are made at a time, all answered at the same moment."""

from __future__ import annotations

import threading
from pathlib import Path

from sqlalchemy import func, select

from airflow_provider_pushmetrics.service.models import Delivery, Subscription
from airflow_provider_pushmetrics.service.runtime import ServiceParts, assemble
from airflow_provider_pushmetrics.service.settings import ServiceSettings
from airflow_provider_pushmetrics.service.webhooks.event_outbox import put_in_outbox
from airflow_provider_pushmetrics.signatures import generate_secret
from tests.fakes.service_process import API_TOKEN
from tests.fakes.service_subscriber import Subscriber
from tests.fakes.waiting import wait_until

COUNT = 64


def put_events(parts: ServiceParts, url: str) -> None:
    with parts.database.writing() as session:
        session.add(
            Subscription(
                workspace_id=1,
                name="s",
                url=url,
                events=["report.updated"],
                secret_encrypted=parts.cipher.encrypt(generate_secret()),
            )
        )
        session.flush()
        for number in range(COUNT):
            put_in_outbox(session, 1, {"event": "report.updated", "report_id": number})


def count_delivered(parts: ServiceParts) -> int:
    with parts.database.reading() as session:
        done = select(func.count()).select_from(Delivery).where(Delivery.status == "delivered")
        return session.scalar(done) or 0


def test_they_share_few_connections_and_none_waits_for_another(
    tmp_path: Path, database_url: str | None, subscriber: Subscriber
) -> None:
    all_are_here = threading.Barrier(COUNT)
    subscriber.before_answer = lambda: all_are_here.wait(60)
    parts = assemble(
        ServiceSettings(
            tmp_path,
            database_url=database_url,
            bootstrap_token=API_TOKEN,
            allow_private_endpoints=True,
            endpoint_concurrency=COUNT,
            delivery_timeout_seconds=60,
        )
    )
    parts.start()
    try:
        put_events(parts, subscriber.url)
        wait_until(lambda: count_delivered(parts) >= COUNT)
        assert len(subscriber.received) == COUNT
    finally:
        all_are_here.abort()
        assert parts.stop()
