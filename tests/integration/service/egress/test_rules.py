"""A service that is not the demo: who may not be sent events, from the subscription to the delivery."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from sqlalchemy import select

from airflow_provider_pushmetrics.service.models import Delivery, DeliveryAttempt
from airflow_provider_pushmetrics.service.runtime import ServiceParts
from airflow_provider_pushmetrics.service.webhooks.event_outbox import put_in_outbox
from tests.fakes.service_subscriber import Subscriber, add_subscription
from tests.fakes.waiting import wait_until
from tests.integration.service.conftest import run_parts

SUBSCRIPTIONS = "/api/v1/webhook_subscription/"


@pytest.fixture(scope="module")
def parts(
    tmp_path_factory: pytest.TempPathFactory, shared_database_url: str | None
) -> Iterator[ServiceParts]:
    with run_parts(tmp_path_factory.mktemp("strict"), database_url=shared_database_url) as parts:
        yield parts


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1:8080/hook?token=s3cret", "a loopback address"),
        ("http://user:s3cret@example.com/", "a user name or a password"),
    ],
)
async def test_subscription_to_a_forbidden_endpoint_is_refused(
    client: httpx.AsyncClient, url: str, reason: str
) -> None:
    body = {"name": "n", "url": url, "events": ["report.run"]}
    created = await client.post(SUBSCRIPTIONS, json=body)
    assert created.status_code == 422
    assert created.json()["message"].startswith("url: nothing can be sent to the endpoint ")
    assert reason in created.json()["message"]
    assert "s3cret" not in created.text
    good = await client.post(SUBSCRIPTIONS, json={**body, "url": "https://example.com/hook", "active": False})
    assert good.status_code == 201
    changed = await client.put(f"{SUBSCRIPTIONS}{good.json()['id']}", json={"url": url})
    assert changed.status_code == 422
    shown = await client.get(f"{SUBSCRIPTIONS}{good.json()['id']}")
    assert shown.json()["result"]["url"] == "https://example.com/hook"


def find_attempt(parts: ServiceParts, delivery_id: int) -> DeliveryAttempt | None:
    with parts.database.reading() as session:
        return next(iter(session.get_one(Delivery, delivery_id).attempts), None)


def test_endpoint_that_was_allowed_before_is_refused_at_the_delivery(
    parts: ServiceParts, subscriber: Subscriber
) -> None:
    url = f"{subscriber.url}?token=s3cret"
    subscription_id = add_subscription(parts.database, parts.cipher, url, "report.run")
    with parts.database.writing() as session:
        put_in_outbox(session, 1, {"event": "report.run", "report_id": 1})
        delivery_id = session.scalars(
            select(Delivery.id).where(Delivery.subscription_id == subscription_id)
        ).one()
    attempt = wait_until(lambda: find_attempt(parts, delivery_id))
    assert attempt.status_code is None
    assert str(attempt.error).startswith("PushMetricsEndpointError: nothing can be sent to the endpoint")
    assert "s3cret" not in str(attempt.error)
    assert subscriber.received == []
