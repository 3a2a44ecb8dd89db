"""A service that is not the demo: who may not be sent events, from the subscription to the delivery."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from sqlalchemy import select

from airflow_provider_pushmetrics.service.app import build_app
from airflow_provider_pushmetrics.service.models import Delivery, DeliveryAttempt, Subscription
from airflow_provider_pushmetrics.service.runtime import ServiceParts, assemble
from airflow_provider_pushmetrics.service.settings import ServiceSettings
from airflow_provider_pushmetrics.service.webhooks.event_outbox import put_in_outbox
from airflow_provider_pushmetrics.signatures import generate_secret
from tests.fakes.service_process import API_TOKEN
from tests.fakes.service_subscriber import Subscriber
from tests.fakes.waiting import wait_until

SUBSCRIPTIONS = "/api/v1/webhook_subscription/"


@pytest.fixture(scope="module")
def strict(
    tmp_path_factory: pytest.TempPathFactory, shared_database_url: str | None
) -> Iterator[ServiceParts]:
    data_dir = tmp_path_factory.mktemp("strict")
    parts = assemble(
        ServiceSettings(
            data_dir, database_url=shared_database_url, bootstrap_token=API_TOKEN, shutdown_seconds=120
        )
    )
    parts.start()
    yield parts
    assert parts.stop()


@pytest.fixture
async def client(strict: ServiceParts) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(build_app(strict)),
        base_url="http://service.test",
        headers={"Authorization": f"Bearer {API_TOKEN}"},
    ) as client:
        yield client


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1:8080/hook?token=s3cret", "a loopback address"),
        ("http://localhost/", "a loopback address"),
        ("http://10.1.2.3/", "a private address"),
        ("http://169.254.169.254/latest/meta-data/", "a link-local address"),
        ("http://2130706433/", "an unusual spelling"),
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
    strict: ServiceParts, subscriber: Subscriber
) -> None:
    with strict.database.writing() as session:
        subscription = Subscription(
            workspace_id=1,
            name="s",
            url=f"{subscriber.url}?token=s3cret",
            events=["report.run"],
            secret_encrypted=strict.cipher.encrypt(generate_secret()),
        )
        session.add(subscription)
        session.flush()
        put_in_outbox(session, 1, {"event": "report.run", "report_id": 1})
        delivery_id = session.scalars(
            select(Delivery.id).where(Delivery.subscription_id == subscription.id)
        ).one()
    attempt = wait_until(lambda: find_attempt(strict, delivery_id))
    assert attempt.status_code is None
    assert str(attempt.error).startswith("PushMetricsEndpointError: nothing can be sent to the endpoint")
    assert "s3cret" not in str(attempt.error)
    assert subscriber.received == []
