"""As many deliveries as are made at a time, all answered at the same moment."""

from __future__ import annotations

import threading
from pathlib import Path

from sqlalchemy import func, select

from airflow_provider_pushmetrics.service.models import Delivery
from airflow_provider_pushmetrics.service.runtime import ServiceParts
from airflow_provider_pushmetrics.service.webhooks.event_outbox import put_in_outbox
from tests.fakes.service_subscriber import Subscriber, add_subscription
from tests.fakes.waiting import wait_until
from tests.integration.service.conftest import run_parts

COUNT = 64


def put_events(parts: ServiceParts, url: str) -> None:
    add_subscription(parts.database, parts.cipher, url, "report.updated")
    with parts.database.writing() as session:
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
    with run_parts(
        tmp_path,
        database_url=database_url,
        allow_private_endpoints=True,
        endpoint_concurrency=COUNT,
        delivery_timeout_seconds=60,
    ) as parts:
        try:
            put_events(parts, subscriber.url)
            wait_until(lambda: count_delivered(parts) >= COUNT)
            assert len(subscriber.received) == COUNT
        finally:
            all_are_here.abort()
