"""Subscriptions and the delivery log, from the API to real endpoints on loopback."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_pushmetrics.service.models import Subscription
from airflow_provider_pushmetrics.service.storage.clock import get_now
from airflow_provider_pushmetrics.service.webhooks.event_outbox import put_in_outbox
from airflow_provider_pushmetrics.service.webhooks.subscriptions import disable
from tests.fakes.service_subscriber import Received, Subscriber, listen
from tests.fakes.waiting import LIMIT_SECONDS, until, until_async
from tests.integration.service.conftest import Api, read_accepted, read_result

SUBSCRIPTIONS = "/api/v1/webhook_subscription"
DELIVERIES = "/api/v1/webhook_delivery"


async def read_delivery(api: Api, delivery_id: int) -> dict[str, Any]:
    return read_result(await api.client.get(f"{DELIVERIES}/{delivery_id}"))


async def wait_for_status(api: Api, delivery_id: int, status: str) -> dict[str, Any]:
    async def find() -> dict[str, Any] | None:
        row = await read_delivery(api, delivery_id)
        return row if row["status"] == status else None

    return await until_async(find, status)


async def send_test(api: Api, subscription: dict[str, Any]) -> int:
    return int(read_accepted(await api.client.post(f"{SUBSCRIPTIONS}/{subscription['id']}/test"))["id"])


def is_test(received: Received) -> bool:
    return bool(received.event["event"] == "webhook.test")


@pytest.fixture
def dead_subscriber() -> Iterator[Subscriber]:
    """Give an endpoint that takes requests and answers none before the test ends."""
    released = threading.Event()
    with listen() as subscriber:
        subscriber.before_answer = lambda: released.wait(LIMIT_SECONDS)
        try:
            yield subscriber
        finally:
            released.set()


async def test_test_event_arrives_and_is_in_the_log(api: Api, subscriber: Subscriber) -> None:
    subscription = await api.subscribe(subscriber.url, "report.run")
    delivery_id = await send_test(api, subscription)
    received = subscriber.wait_for(is_test)
    assert received.event["webhook_subscription_id"] == subscription["id"]
    received.verify(subscription["signing_secret"])
    row = await wait_for_status(api, delivery_id, "delivered")
    assert row["webhook_id"] == received.headers["webhook-id"]
    assert row["body"] == received.event
    attempt = row["attempts"][0]
    assert (attempt["number"], attempt["status_code"], attempt["answer"]) == (1, 202, "ok")
    listed = await api.client.get(
        f"{DELIVERIES}/",
        params={"q": f"(filters:!((col:webhook_subscription,opr:eq,value:{subscription['id']})))"},
    )
    assert listed.json()["ids"] == [delivery_id]


async def test_rotated_secrets_both_sign(api: Api, subscriber: Subscriber) -> None:
    subscription = await api.subscribe(subscriber.url, "report.run")
    rotated = (await api.client.post(f"{SUBSCRIPTIONS}/{subscription['id']}/rotate_secret")).json()
    assert rotated["signing_secret"] != subscription["signing_secret"]
    assert rotated["previous_valid_until"]
    await send_test(api, subscription)
    received = subscriber.wait_for(is_test)
    received.verify(subscription["signing_secret"])
    received.verify(rotated["signing_secret"])


async def test_disabled_subscription_gets_nothing_until_it_is_enabled(
    api: Api, subscriber: Subscriber
) -> None:
    subscription = await api.subscribe(subscriber.url, "report.run")
    path = f"{SUBSCRIPTIONS}/{subscription['id']}"
    disabled = await api.client.post(f"{path}/disable")
    assert disabled.json()["result"]["active"] is False
    assert disabled.json()["result"]["disabled_reason"] == "by a user"
    assert (await api.client.post(f"{path}/test")).status_code == 409
    assert (await api.client.post(f"{path}/resend")).status_code == 409
    enabled = await api.client.post(f"{path}/enable")
    assert enabled.json()["result"]["active"] is True
    assert enabled.json()["result"]["disabled_on"] is None
    await send_test(api, subscription)
    subscriber.wait_for(is_test)


async def test_what_was_pending_when_disabled_is_sent_when_enabled(api: Api, subscriber: Subscriber) -> None:
    subscription = await api.subscribe(subscriber.url, "report.updated")
    path = f"{SUBSCRIPTIONS}/{subscription['id']}"
    with api.parts.database.writing() as session:
        put_in_outbox(session, 1, {"event": "report.updated", "report_id": 1})
        disable(session.get_one(Subscription, subscription["id"]), get_now(), "by a user")
    await asyncio.sleep(0.3)
    assert subscriber.received == []
    await api.client.post(f"{path}/enable")
    subscriber.wait_for(lambda one: one.event["event"] == "report.updated")
    assert len(subscriber.received) == 1


async def test_delivered_event_can_be_sent_again_under_its_id(api: Api, subscriber: Subscriber) -> None:
    subscription = await api.subscribe(subscriber.url, "report.run")
    delivery_id = await send_test(api, subscription)
    await wait_for_status(api, delivery_id, "delivered")
    again = await api.client.post(f"{DELIVERIES}/{delivery_id}/resend")
    assert again.json()["result"]["status"] == "pending"
    row = await wait_for_status(api, delivery_id, "delivered")
    assert [attempt["number"] for attempt in row["attempts"]] == [1, 2]
    assert len({one.headers["webhook-id"] for one in subscriber.received}) == 1


async def test_gone_endpoint_is_disabled_its_owner_told_and_its_events_recovered(
    api: Api, subscriber: Subscriber
) -> None:
    subscriber.statuses = [410]
    subscription = await api.subscribe(subscriber.url, "report.run")
    path = f"{SUBSCRIPTIONS}/{subscription['id']}"
    delivery_id = await send_test(api, subscription)
    await wait_for_status(api, delivery_id, "failed")
    assert (await api.client.get(path)).json()["result"]["active"] is False
    mails = (await api.client.get("/api/v1/message/")).json()
    assert mails["count"] == 1
    assert "410 Gone" in mails["result"][0]["text"]
    shown = await api.client.get(f"/api/v1/message/{mails['ids'][0]}")
    assert shown.json()["result"]["recipient"] == "admin@localhost"
    await api.client.post(f"{path}/enable")
    subscriber.statuses = [200]
    assert (await api.client.get(f"{path}/resend")).json() == {"count": 1}
    assert (await api.client.get(f"{path}/resend?since=2999-01-01")).json() == {"count": 0}
    assert (await api.client.get(f"{path}/resend?since=yesterday")).status_code == 400
    assert (await api.client.post(f"{path}/resend")).json() == {"count": 1}
    await wait_for_status(api, delivery_id, "delivered")
    assert (await api.client.get(f"{path}/resend")).json() == {"count": 0}
    assert len({one.headers["webhook-id"] for one in subscriber.received}) == 1


async def test_endpoints_that_do_not_answer_delay_no_other(
    api: Api, subscriber: Subscriber, dead_subscriber: Subscriber
) -> None:
    for number in range(3):
        await api.subscribe(f"{dead_subscriber.url}?{number}", "query.deleted")
    await api.subscribe(subscriber.url, "query.deleted")
    for number in range(20):
        with api.parts.database.writing() as session:
            put_in_outbox(session, 1, {"event": "query.deleted", "query_id": number})
    subscriber.wait_for(lambda one: one.event["query_id"] == 19)
    await until(lambda: len(subscriber.received) == 20, "all of them", limit_seconds=60)
    assert len(dead_subscriber.received) <= 3 * api.parts.settings.endpoint_concurrency


async def test_deliveries_of_others_are_not_found(api: Api) -> None:
    assert (await api.client.get(f"{DELIVERIES}/999999")).status_code == 404
    assert (await api.client.post(f"{DELIVERIES}/999999/resend")).status_code == 404
