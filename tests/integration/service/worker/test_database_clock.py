"""Times that cross processes are of the clock of the database, not of the processes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import select
from sqlalchemy.engine import make_url

from airflow_provider_pushmetrics.service.accounts.bootstrap import bootstrap
from airflow_provider_pushmetrics.service.models import (
    Delivery,
    OutgoingMessage,
    ReportSchedule,
    Subscription,
)
from airflow_provider_pushmetrics.service.notifications.message_outbox import SlackDraft, add_slack
from airflow_provider_pushmetrics.service.notifications.outbox_sender import OutboxSender
from airflow_provider_pushmetrics.service.runs.schedules import find_wait, fire_due
from airflow_provider_pushmetrics.service.storage.clock import read_database_clock
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.service.storage.encryption import Cipher
from airflow_provider_pushmetrics.service.webhooks.event_outbox import put_in_outbox
from airflow_provider_pushmetrics.service.worker.claim_queue import ClaimQueue
from airflow_provider_pushmetrics.service.worker.selection import select_deliveries
from airflow_provider_pushmetrics.signatures import generate_secret
from tests.fakes.claims import send_due
from tests.fakes.postgres import write_url
from tests.fakes.service_process import API_TOKEN
from tests.fakes.service_reports import make_report, text

pytestmark = pytest.mark.postgres

CIPHER = Cipher("k" * 32)

BEHIND = timedelta(hours=1)
"""How far the database's clock is behind that of this process."""

SLOW_CLOCK = """
CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql
AS $$ SELECT pg_catalog.clock_timestamp() - interval '1 hour' $$
"""


@pytest.fixture
def slow_database(postgres_url: str, tmp_path: Path) -> Iterator[Database]:
    """Give a database whose clock is an hour behind."""
    name = make_url(postgres_url).database
    with psycopg.connect(write_url(postgres_url, "postgresql"), autocommit=True) as connection:
        connection.execute(SLOW_CLOCK)
        connection.execute(f'ALTER DATABASE "{name}" SET search_path = public, pg_catalog'.encode())
    database = Database(postgres_url)
    database.migrate()
    bootstrap(database, tmp_path, API_TOKEN)
    with database.reading() as session:
        assert datetime.now(UTC) - read_database_clock(session) > BEHIND / 2
    yield database
    database.close()


def test_delivery_is_due_when_it_is_committed(slow_database: Database) -> None:
    with slow_database.writing() as session:
        subscription = Subscription(
            workspace_id=1,
            name="s",
            url="https://example.com",
            events=["report.updated"],
            active=True,
            secret_encrypted=CIPHER.encrypt(generate_secret()),
        )
        session.add(subscription)
        session.flush()
        put_in_outbox(session, 1, {"event": "report.updated", "report_id": 1})
        delivery_id = session.scalars(select(Delivery.id)).one()
    queue = ClaimQueue("delivery", slow_database, "me", select_deliveries(1, 1), lambda _: True)
    (claim,), wait_seconds = queue.claim()
    assert (claim.id, wait_seconds) == (delivery_id, None)


def test_message_is_sent_when_it_is_committed(slow_database: Database) -> None:
    with slow_database.writing() as session:
        add_slack(session, 1, SlackDraft(("#sales",), "t"))
    send_due(slow_database, OutboxSender(slow_database, {}))
    with slow_database.reading() as session:
        assert session.scalars(select(OutgoingMessage.status)).one() == "kept", "no server is configured"


def test_schedule_fires_by_the_time_of_the_database(slow_database: Database, tmp_path: Path) -> None:
    made = make_report(slow_database, CIPHER, tmp_path, note=text("hello"))
    soon = datetime.now(UTC) - BEHIND / 2  # half an hour ago by this process, in half an hour by the database
    with slow_database.writing() as session:
        session.add(
            ReportSchedule(
                workspace_id=1,
                report_id=made.id,
                name="s",
                first_start=soon,
                time_zone="UTC",
                recurrence="daily",
                next_run_on=soon,
            )
        )
    assert fire_due(slow_database) == 0
    assert (find_wait(slow_database) or 0.0) > BEHIND.total_seconds() / 4
    with slow_database.writing() as session:
        session.scalars(select(ReportSchedule)).one().next_run_on = soon - BEHIND
    assert fire_due(slow_database) == 1
