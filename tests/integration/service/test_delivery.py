"""One attempt after the other, by the table of the specification."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from airflow_provider_pushmetrics.service.bootstrap import bootstrap
from airflow_provider_pushmetrics.service.database import Database
from airflow_provider_pushmetrics.service.delivery import ATTEMPT_DELAYS_SECONDS, Courier
from airflow_provider_pushmetrics.service.encryption import Vault
from airflow_provider_pushmetrics.service.events import put_in_outbox
from airflow_provider_pushmetrics.service.models import Delivery, Subscription
from airflow_provider_pushmetrics.signatures import generate_secret

URL = "http://subscriber.test/hook?token=s3cret"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path}/service.db")
    database.migrate()
    bootstrap(database, tmp_path, None)
    yield database
    database.close()


def build_courier(
    database: Database, answer: Callable[[httpx.Request], httpx.Response], clock: Callable[[], datetime]
) -> Courier:
    return Courier(database, VAULT, 15, transport=httpx.MockTransport(answer), clock=clock)


VAULT = Vault("k" * 32)


def respond(status: int, body: bytes = b"") -> httpx.Response:
    """Answer as a network does: the body is not read yet."""
    return httpx.Response(status, stream=httpx.ByteStream(body))


def make_delivery(database: Database) -> int:
    with database.writing() as session:
        subscription = Subscription(
            workspace_id=1,
            name="s",
            url=URL,
            events=["report.run"],
            active=True,
            secret_encrypted=VAULT.encrypt(generate_secret()),
        )
        session.add(subscription)
        session.flush()
        put_in_outbox(session, 1, {"event": "report.run", "report_id": 1})
    return 1


def read(database: Database) -> Delivery:
    with database.reading() as session:
        delivery = session.get_one(Delivery, 1)
        assert delivery.attempts is not None
        return delivery


def test_endpoint_that_is_down_gets_the_ten_attempts_of_the_specification(database: Database) -> None:
    made: list[timedelta] = []
    now = NOW
    ids = set()

    def answer(request: httpx.Request) -> httpx.Response:
        made.append(now - NOW)
        ids.add(request.headers["webhook-id"])
        return respond(500)

    courier = build_courier(database, answer, lambda: now)
    delivery_id = make_delivery(database)
    while (delay := courier.attempt(delivery_id)) is not None:
        assert read(database).next_attempt_on == now + timedelta(seconds=delay)
        now += timedelta(seconds=delay)
    assert [round(length.total_seconds()) for length in made] == [
        sum(ATTEMPT_DELAYS_SECONDS[: count + 1]) for count in range(10)
    ]
    assert made[-1] == timedelta(hours=75, minutes=35, seconds=5)
    assert len(ids) == 1
    assert read(database).status == "failed"
    assert courier.attempt(delivery_id) is None
    assert len(made) == 10


def test_delivered_event_is_not_sent_again(database: Database) -> None:
    sent = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return respond(204)

    courier = build_courier(database, answer, lambda: NOW)
    delivery_id = make_delivery(database)
    assert courier.attempt(delivery_id) is None
    assert courier.attempt(delivery_id) is None
    assert len(sent) == 1
    assert read(database).status == "delivered"


def test_no_connection_is_recorded_without_the_url_s_token(database: Database) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError(f"cannot connect to {request.url}")

    assert build_courier(database, answer, lambda: NOW).attempt(make_delivery(database)) == 5
    attempt = read(database).attempts[0]
    assert attempt.status_code is None
    assert str(attempt.error).startswith("ConnectError: cannot connect to http://subscriber.test")
    assert "s3cret" not in str(attempt.error)


def test_only_the_beginning_of_a_long_answer_is_kept(database: Database) -> None:
    courier = build_courier(database, lambda request: respond(500, b"x" * 100_000), lambda: NOW)
    courier.attempt(make_delivery(database))
    assert read(database).attempts[0].answer == "x" * 16 * 1024


def test_delivery_of_a_deleted_subscription_is_dropped(database: Database) -> None:
    delivery_id = make_delivery(database)

    def answer(request: httpx.Request) -> httpx.Response:
        with database.writing() as session:
            session.delete(session.get_one(Subscription, 1))
        return respond(500)

    courier = build_courier(database, answer, lambda: NOW)
    assert courier.attempt(delivery_id) is None
    assert courier.attempt(delivery_id) is None
