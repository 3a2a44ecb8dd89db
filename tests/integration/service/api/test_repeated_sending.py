"""Calls that send something again, and meet another that has just done so."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, event, select, text

from airflow_provider_pushmetrics.service.models import Delivery, OutboxEvent, OutgoingMessage
from airflow_provider_pushmetrics.service.storage.clock import get_now
from airflow_provider_pushmetrics.service.storage.database import Database
from tests.integration.service.conftest import Api


@pytest.fixture(autouse=True)
def needs_concurrent_writers(database_kind: str) -> None:
    if database_kind == "sqlite":
        pytest.skip("SQLite has one writer at a time")


@contextmanager
def interpose(engine: Engine, table: str, statement: str) -> Iterator[list[str]]:
    """Let another transaction run a statement right after the first one that reads a row."""
    done: list[str] = []

    def act(_: Any, __: Any, executed: str, *___: Any) -> None:
        # All columns of a row: a background thread counts rows.
        if executed.startswith("SELECT") and f"{table}.uid" in executed and not done:
            done.append(statement)
            with engine.begin() as other:
                other.execute(text(statement))

    event.listen(engine, "after_cursor_execute", act)
    try:
        yield done
    finally:
        event.remove(engine, "after_cursor_execute", act)


async def test_message_that_was_sent_meanwhile_is_not_sent_again(api: Api) -> None:
    with api.parts.database.writing() as session:
        message = OutgoingMessage(
            workspace_id=1,
            kind="mail",
            recipient="a@example.com",
            text="x",
            status="failed",
            created_on=get_now(),
            next_attempt_on=get_now(),
            finished_on=get_now(),
        )
        session.add(message)
        session.flush()
        message_id = message.id
    sent = f"UPDATE message SET status = 'sent' WHERE id = {message_id}"
    with interpose(api.parts.database.engine, "message", sent) as done:
        answer = await api.client.post(f"/api/v1/message/{message_id}/send")
    assert done
    assert (answer.status_code, "is 'sent'" in answer.text) == (409, True)


def add_failed_delivery(database: Database, subscription_id: int) -> int:
    with database.writing() as session:
        made = OutboxEvent(
            workspace_id=1, event="report.updated", body='{"event": "report.updated"}', created_on=get_now()
        )
        session.add(made)
        session.flush()
        delivery = Delivery(
            workspace_id=1,
            event_id=made.id,
            event=made.event,
            subscription_id=subscription_id,
            status="failed",
            created_on=get_now(),
            next_attempt_on=get_now(),
            finished_on=get_now(),
        )
        session.add(delivery)
        session.flush()
        return delivery.id


async def test_delivery_that_was_claimed_meanwhile_is_not_resent(api: Api) -> None:
    subscription = await api.subscribe("https://example.com/hook", "report.run")
    delivery_id = add_failed_delivery(api.parts.database, subscription["id"])
    claimed = f"UPDATE delivery SET status = 'pending', worker_id = 'other' WHERE id = {delivery_id}"
    with interpose(api.parts.database.engine, "delivery", claimed) as done:
        answer = await api.client.post(f"/api/v1/webhook_delivery/{delivery_id}/resend")
    assert done
    assert (answer.status_code, "is being sent just now" in answer.text) == (409, True)
    with api.parts.database.reading() as session:
        assert session.get_one(Delivery, delivery_id).worker_id == "other"


async def test_delivery_that_was_resent_meanwhile_is_not_resent_with_the_failed_ones(api: Api) -> None:
    subscription = await api.subscribe("https://example.com/hook", "report.run")
    delivery_id = add_failed_delivery(api.parts.database, subscription["id"])
    with api.parts.database.engine.begin() as other:
        other.execute(text(f"UPDATE delivery SET status = 'delivered' WHERE id = {delivery_id}"))
        path = f"/api/v1/webhook_subscription/{subscription['id']}/resend"
        resending = asyncio.create_task(api.client.post(path))
        await asyncio.wait([resending], timeout=1)
        assert not resending.done(), "it waits for the row"
    assert (await resending).json() == {"count": 0}
    with api.parts.database.reading() as session:
        assert session.scalar(select(Delivery.status).where(Delivery.id == delivery_id)) == "delivered"
