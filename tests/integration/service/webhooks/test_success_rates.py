"""The success rates of endpoints, from deliveries of every kind, and the filters of the delivery log."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import delete

from airflow_provider_pushmetrics.service.models import Delivery, OutboxEvent, Subscription
from airflow_provider_pushmetrics.service.storage.clock import get_now
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.service.webhooks.success_rates import read_success_rates
from tests.fakes.service_subscriber import Subscriber, add_subscription
from tests.fakes.waiting import until_async
from tests.integration.service.conftest import Api, open_client, read_accepted, read_result

SUBSCRIPTIONS = "/api/v1/webhook_subscription"
DELIVERIES = "/api/v1/webhook_delivery"
NEVER = timedelta(days=365)


def add_delivery(
    database: Database,
    subscription_id: int,
    status: str,
    *,
    age: timedelta = timedelta(hours=1),
    attempts: int = 1,
    resent_after: int = 0,
) -> None:
    now = get_now()
    with database.writing() as session:
        event = OutboxEvent(workspace_id=1, event="report.run", body="{}")
        session.add(
            Delivery(
                workspace_id=1,
                outbox_event=event,
                event=event.event,
                subscription_id=subscription_id,
                status=status,
                created_on=now - age,
                attempt_count=attempts,
                schedule_start=resent_after,
                next_attempt_on=now + NEVER,
                finished_on=None if status == "pending" else now,
            )
        )


@pytest.fixture
def subscription_id(api: Api) -> int:
    """Give a subscription that nothing is sent to."""
    database = api.parts.database
    made = add_subscription(database, api.parts.cipher, "https://a.example/hook", "none")
    with database.writing() as session:
        session.execute(delete(Delivery))
        session.get_one(Subscription, made).active = False
    return made


async def read_rates(api: Api, subscription_id: int) -> dict[str, Any]:
    return read_result(await api.client.get(f"{SUBSCRIPTIONS}/{subscription_id}/success_rate"))


async def test_endpoint_without_deliveries_has_no_rate(api: Api, subscription_id: int) -> None:
    none = {"delivered": 0, "failed": 0, "retried": 0, "success_rate": None}
    assert await read_rates(api, subscription_id) == {"last_day": none, "last_week": none}


async def test_rate_counts_each_period_by_the_age_of_the_delivery(api: Api, subscription_id: int) -> None:
    add = api.parts.database
    for _ in range(3):
        add_delivery(add, subscription_id, "delivered")
    add_delivery(add, subscription_id, "failed", age=timedelta(hours=25))
    add_delivery(add, subscription_id, "failed", age=timedelta(days=8))
    rates = await read_rates(api, subscription_id)
    assert rates["last_day"] == {"delivered": 3, "failed": 0, "retried": 0, "success_rate": 1.0}
    assert rates["last_week"] == {"delivered": 3, "failed": 1, "retried": 0, "success_rate": 0.75}


async def test_endpoint_that_is_down_has_no_success_while_its_deliveries_are_retried(
    api: Api, subscription_id: int
) -> None:
    for _ in range(2):
        add_delivery(api.parts.database, subscription_id, "pending", attempts=3)
    rates = await read_rates(api, subscription_id)
    assert rates["last_day"] == {"delivered": 0, "failed": 0, "retried": 2, "success_rate": 0.0}


async def test_what_was_not_tried_yet_does_not_count(api: Api, subscription_id: int) -> None:
    add_delivery(api.parts.database, subscription_id, "pending", attempts=0)
    add_delivery(api.parts.database, subscription_id, "pending", attempts=4, resent_after=4)
    rates = await read_rates(api, subscription_id)
    assert rates["last_day"]["success_rate"] is None


async def test_rates_of_a_page_are_those_of_the_wanted_subscriptions(api: Api, subscription_id: int) -> None:
    add_delivery(api.parts.database, subscription_id, "delivered")
    query = f"subscription={subscription_id}&subscription=999999&subscription={subscription_id}"
    rows = read_accepted(await api.client.get(f"/app/activity/subscriptions?{query}"))["result"]
    assert [row["subscription_id"] for row in rows] == [subscription_id]
    assert rows[0]["last_week"]["success_rate"] == 1.0
    many = "&".join(f"subscription={number}" for number in range(1, 27))
    assert (await api.client.get(f"/app/activity/subscriptions?{many}")).status_code == 400


async def test_rates_are_found_by_the_index_of_the_outcomes(api: Api, subscription_id: int) -> None:
    """Without it, the page of an endpoint with 500,000 deliveries reads all of them."""
    if api.parts.settings.database_url:
        pytest.skip("PostgreSQL reads a table of few rows without its indexes")
    plans = []
    with api.parts.database.reading() as session:
        statements: list[str] = []
        connection = session.connection()
        raw = connection.connection.dbapi_connection
        assert raw is not None
        raw.set_trace_callback(statements.append)
        read_success_rates(session, subscription_id, get_now())
        raw.set_trace_callback(None)
        for statement in statements:
            plans += [row[3] for row in raw.execute(f"EXPLAIN QUERY PLAN {statement}")]
    searched = [plan for plan in plans if plan.startswith("SEARCH")]
    assert len(searched) == 6
    assert all("COVERING INDEX ix_delivery_outcomes" in plan for plan in searched)
    assert not [plan for plan in plans if plan.startswith("SCAN delivery")]


async def test_guest_reads_the_rate_and_another_workspace_does_not_find_it(
    api: Api, app: FastAPI, subscription_id: int
) -> None:
    added = {"email": "rate@example.com", "first_name": "", "last_name": "", "roles": [3]}
    query = {"skip_welcome_email": "true"}
    user = read_accepted(await api.client.post("/api/v1/user/", json=added, params=query))
    path = f"/api/v1/user/{user['result']['uid']}/access_token/"
    guest = read_accepted(await api.client.post(path, json={"name": "g"}))["token"]
    other = read_accepted(await api.client.post("/api/v1/workspace/", json={"name": "other"}))["token"]
    rate = f"{SUBSCRIPTIONS}/{subscription_id}/success_rate"
    page = f"/app/activity/subscriptions?subscription={subscription_id}"
    async with open_client(app, guest) as client:
        assert (await client.get(rate)).status_code == 200
        assert (await client.post(f"{SUBSCRIPTIONS}/{subscription_id}/test")).status_code == 403
    async with open_client(app, other) as client:
        assert (await client.get(rate)).status_code == 404
        assert (await client.get(page)).json() == {"result": []}
    async with open_client(app, None) as client:
        assert (await client.get(rate)).status_code == 401


async def test_list_is_narrowed_by_event_and_shows_the_last_answer(api: Api, subscriber: Subscriber) -> None:
    subscriber.statuses = [503]
    subscription = await api.subscribe(subscriber.url, "report.updated", "report.created")
    await api.client.post(f"{SUBSCRIPTIONS}/{subscription['id']}/test")
    report = await api.create_report()

    async def list_rows(event: str) -> list[dict[str, Any]]:
        filters = (
            f"(col:webhook_subscription,opr:eq,value:{subscription['id']}),(col:event,opr:eq,value:{event})"
        )
        answer = await api.client.get(f"{DELIVERIES}/", params={"q": f"(filters:!({filters}))"})
        rows: list[dict[str, Any]] = read_accepted(answer)["result"]
        assert answer.json()["count"] == len(rows)
        return rows

    async def find_answer() -> dict[str, Any] | None:
        (row,) = await list_rows("report.created")
        return row if row["attempt_count"] else None

    row = await until_async(find_answer, "the first attempt")
    assert (row["status"], row["last_status_code"], row["last_error"]) == ("pending", 503, None)
    assert [one["event"] for one in await list_rows("webhook.test")] == ["webhook.test"]
    assert await list_rows("report.updated") == []
    await api.client.delete(f"/api/v1/report/{report['id']}")
