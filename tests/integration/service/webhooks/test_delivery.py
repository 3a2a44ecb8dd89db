"""One attempt after the other, on a clock of its own: the schedule, its end, and how to begin anew."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import httpx
import pytest
from sqlalchemy import bindparam, event, func, select
from sqlalchemy.exc import OperationalError

from airflow_provider_pushmetrics.service.models import Delivery, OutgoingMessage, Subscription
from airflow_provider_pushmetrics.service.models.statuses import PENDING
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.service.storage.encryption import Cipher
from airflow_provider_pushmetrics.service.webhooks.custom_headers import move_endpoint
from airflow_provider_pushmetrics.service.webhooks.delivery import WebhookSender
from airflow_provider_pushmetrics.service.webhooks.event_outbox import put_in_outbox
from airflow_provider_pushmetrics.service.webhooks.retry_schedule import DELIVERY_DELAYS_SECONDS
from airflow_provider_pushmetrics.service.webhooks.subscriptions import (
    ResendRange,
    count_in_range,
    disable,
    enable,
    list_keys,
    resend_range,
    rotate_secret,
)
from airflow_provider_pushmetrics.serving.columns import UtcDateTime
from airflow_provider_pushmetrics.signatures import decode_secret
from tests.fakes.service_subscriber import add_subscription

URL = "http://subscriber.test/hook?token=s3cret"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
CIPHER = Cipher("k" * 32)


def respond(status: int, body: bytes = b"", **headers: str) -> httpx.Response:
    """Answer as a network does: the body is not read yet."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, stream=httpx.ByteStream(body), headers=named)


@dataclass
class Post:
    """
    A sender with a clock of its own and an endpoint that answers as it is told.

    :param answer: What the endpoint answers.
    :param requests: What it was sent, and when.
    """

    database: Database
    now: datetime = NOW
    answer: Callable[[], httpx.Response] = field(default=lambda: respond(500))
    requests: list[tuple[datetime, httpx.Request]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sender = WebhookSender(
            self.database,
            CIPHER,
            15,
            transport=httpx.MockTransport(self._handle),
            clock=bindparam("clock", callable_=lambda: self.now, type_=UtcDateTime),
            spread=random.Random(11).uniform,
        )

    def _handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append((self.now, request))
        return self.answer()

    def subscribe(self) -> int:
        return add_subscription(self.database, CIPHER, URL, "report.run")

    def emit(self) -> int:
        """Put an event in the outbox, and give its one delivery."""
        with self.database.writing() as session:
            put_in_outbox(session, 1, {"event": "report.run", "report_id": 1})
            delivery_id = session.scalars(select(func.max(Delivery.id))).one()
            delivery = session.get_one(Delivery, delivery_id)
            delivery.next_attempt_on = delivery.created_on = self.now
            return delivery.id

    def read(self, delivery_id: int) -> Delivery:
        with self.database.reading() as session:
            delivery = session.get_one(Delivery, delivery_id)
            assert delivery.attempts is not None
            assert delivery.outbox_event is not None
            return delivery

    def read_subscription(self) -> Subscription:
        with self.database.reading() as session:
            return session.scalars(select(Subscription)).one()

    def attempt(self, delivery_id: int) -> Delivery:
        """Make the next attempt."""
        self.sender.attempt(delivery_id)
        return self.read(delivery_id)

    def work_until(self, end: datetime) -> None:
        """Make all attempts when they are due, as a worker does."""
        while (due := self._find_next(end)) is not None:
            delivery_id, self.now = due
            self.attempt(delivery_id)
        self.now = end

    def _find_next(self, end: datetime) -> tuple[int, datetime] | None:
        with self.database.reading() as session:
            pending = select(Delivery.id, Delivery.next_attempt_on).where(Delivery.status == PENDING)
            rows = session.execute(pending.order_by(Delivery.next_attempt_on)).all()
        return (rows[0][0], max(rows[0][1], self.now)) if rows and rows[0][1] <= end else None


@pytest.fixture
def post(database: Database) -> Post:
    post = Post(database)
    post.subscribe()
    return post


def test_endpoint_that_is_down_gets_ten_attempts_then_is_disabled_and_recovers_whole(post: Post) -> None:
    """Proof 11."""
    first = post.emit()
    post.work_until(NOW + timedelta(hours=92))
    times = [moment for moment, _ in post.requests]
    waits = [(later - sooner).total_seconds() for sooner, later in pairwise(times)]
    assert len(times) == 10
    for wait, planned in zip(waits, DELIVERY_DELAYS_SECONDS[1:], strict=True):
        assert 0.8 * planned <= wait <= 1.2 * planned
    assert len(set(waits) - set(DELIVERY_DELAYS_SECONDS)) == 9, "every wait is off the table by a little"
    assert len({request.headers["webhook-id"] for _, request in post.requests}) == 1
    assert post.read(first).status == "failed"
    assert post.read_subscription().active

    others = [post.emit() for _ in range(5)]
    post.work_until(NOW + timedelta(days=6))
    subscription = post.read_subscription()
    assert not subscription.active
    assert "has accepted nothing for 5 days" in str(subscription.disabled_reason)
    assert {post.read(one).status for one in (first, *others)} == {"failed"}
    with post.database.reading() as session:
        mail = session.scalars(select(OutgoingMessage)).one()
    assert mail.recipient == "admin@localhost"
    assert "accepted nothing for 5 days" in mail.text

    post.answer = lambda: respond(204)
    post.requests.clear()
    with post.database.writing() as session:
        subscription = session.scalars(select(Subscription)).one()
        enable(subscription, post.now)
        assert count_in_range(session, subscription, ResendRange()) == 6
        assert count_in_range(session, subscription, ResendRange(since=NOW + timedelta(hours=1))) == 6
        assert count_in_range(session, subscription, ResendRange(since=post.now)) == 0
        assert count_in_range(session, subscription, ResendRange(until=NOW + timedelta(hours=1))) == 1
        assert resend_range(session, subscription, ResendRange(), post.now) == 6
    post.work_until(post.now + timedelta(days=5))
    sent = [request.headers["webhook-id"] for _, request in post.requests]
    assert sorted(sent) == sorted(post.read(one).outbox_event.uid for one in (first, *others))
    assert {post.read(one).status for one in (first, *others)} == {"delivered"}
    assert post.read_subscription().failing_since is None


def test_resent_delivery_has_all_ten_attempts_before_it_again(post: Post) -> None:
    delivery_id = post.emit()
    post.work_until(NOW + timedelta(hours=92))
    with post.database.writing() as session:
        resend_range(session, session.scalars(select(Subscription)).one(), ResendRange(), post.now)
    post.work_until(NOW + timedelta(hours=93))
    delivery = post.read(delivery_id)
    assert delivery.status == "pending"
    assert [attempt.number for attempt in delivery.attempts] == list(range(1, 15))


def test_cookie_that_an_endpoint_sets_is_not_sent(post: Post) -> None:
    post.answer = lambda: respond(200, Set_Cookie="of=another subscription")
    for _ in range(2):
        post.attempt(post.emit())
    assert [dict(request.headers).get("cookie") for _, request in post.requests] == [None, None]


def test_success_forgets_the_failures_before_it(post: Post) -> None:
    delivery_id = post.emit()
    post.attempt(delivery_id)
    assert post.read_subscription().failing_since == NOW
    post.answer = lambda: respond(200)
    post.attempt(delivery_id)
    assert post.read_subscription().failing_since is None


def test_moment_s_trouble_long_after_an_outage_disables_nothing(post: Post) -> None:
    post.emit()
    post.work_until(NOW + timedelta(days=8))  # its attempts are used up, and nothing was sent since
    delivery_id = post.emit()
    post.attempt(delivery_id)
    assert post.read_subscription().active
    post.answer = lambda: respond(204)
    assert post.attempt(delivery_id).status == "delivered"
    assert post.read_subscription().failing_since is None


def test_gone_disables_the_endpoint_at_once(post: Post) -> None:
    waiting, last = post.emit(), post.emit()
    post.answer = lambda: respond(410)
    assert post.attempt(last).status == "failed"
    assert post.read(waiting).status == "failed"
    assert "410 Gone" in str(post.read_subscription().disabled_reason)
    post.attempt(waiting)
    assert len(post.requests) == 1


NEW_URL = "http://new.subscriber.test/hook"


def move(post: Post) -> None:
    with post.database.writing() as session:
        move_endpoint(session.scalars(select(Subscription)).one(), NEW_URL, None)


def test_answer_of_an_endpoint_that_was_just_left_ends_nothing(post: Post) -> None:
    """Nor does what it asks for, such as to wait for a day, delay what goes to the new one."""
    other, last = post.emit(), post.emit()

    def leave() -> httpx.Response:
        move(post)
        return respond(410, Retry_After="86400")

    post.answer = leave
    assert post.attempt(last).status == "pending"
    subscription = post.read_subscription()
    assert (subscription.active, subscription.failing_since) == (True, None)
    post.answer = lambda: respond(204)
    post.work_until(post.now + timedelta(minutes=1))
    assert {post.read(one).status for one in (other, last)} == {"delivered"}
    assert [str(request.url) for _, request in post.requests] == [URL, NEW_URL, NEW_URL]


def test_failures_of_an_endpoint_that_was_left_do_not_count_against_the_new_one(post: Post) -> None:
    post.emit()
    post.work_until(NOW + timedelta(hours=71))  # it has failed nine times
    last = post.emit()
    post.work_until(NOW + timedelta(hours=119))
    move(post)
    post.now = NOW + timedelta(days=6)
    post.attempt(last)
    assert post.read_subscription().active
    assert post.read_subscription().failing_since == post.now


def test_attempt_that_another_worker_made_meanwhile_is_recorded_once(post: Post) -> None:
    delivery_id = post.emit()

    def overtake() -> httpx.Response:
        post.answer = lambda: respond(204)
        assert post.sender.attempt(delivery_id)
        return respond(500)

    post.answer = overtake
    assert not post.sender.attempt(delivery_id)
    delivery = post.read(delivery_id)
    assert (delivery.status, delivery.attempt_count) == ("delivered", 1)
    assert len({request.headers["webhook-id"] for _, request in post.requests}) == 1


def test_record_that_the_database_refuses_is_made_again_without_another_request(post: Post) -> None:
    delivery_id = post.emit()
    post.answer = lambda: respond(204)
    tries = []

    def refuse(connection: object) -> None:
        tries.append(1)
        raise OperationalError("COMMIT", None, Exception("away"))

    def persist(record: Callable[[], bool]) -> bool:
        event.listen(post.database.engine, "commit", refuse)
        with pytest.raises(OperationalError):
            record()
        event.remove(post.database.engine, "commit", refuse)
        return record()

    assert post.sender.attempt(delivery_id, persist=persist)
    assert (len(tries), len(post.requests), post.read(delivery_id).status) == (1, 1, "delivered")


@pytest.mark.parametrize("status", [100, 199, 300, 301, 307, 304, 400, 404, 500])
def test_only_2xx_is_delivered(post: Post, status: int) -> None:
    post.answer = lambda: respond(status, location="http://subscriber.test/elsewhere")
    assert post.attempt(post.emit()).status == "pending"
    assert len(post.requests) == 1, "a redirect is not followed"


def test_delivered_event_is_not_sent_again(post: Post) -> None:
    post.answer = lambda: respond(204)
    delivery_id = post.emit()
    assert post.attempt(delivery_id).status == "delivered"
    post.attempt(delivery_id)
    assert len(post.requests) == 1


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_retry_after_is_honored(post: Post, status: int) -> None:
    post.answer = lambda: respond(status, retry_after="1234")
    assert post.attempt(post.emit()).next_attempt_on == NOW + timedelta(seconds=1234)


def test_disabled_subscription_waits_until_it_is_enabled(post: Post) -> None:
    delivery_id = post.emit()
    with post.database.writing() as session:
        disable(session.scalars(select(Subscription)).one(), NOW, "by a user")
    assert post.attempt(delivery_id).status == "pending"
    assert post.requests == []
    post.answer = lambda: respond(200)
    with post.database.writing() as session:
        enable(session.scalars(select(Subscription)).one(), NOW)
    assert post.attempt(delivery_id).status == "delivered"


def test_every_secret_of_the_last_day_signs(post: Post) -> None:
    with post.database.writing() as session:
        subscription = session.scalars(select(Subscription)).one()
        original = CIPHER.decrypt(subscription.secret_encrypted)
        second, expires_on = rotate_secret(subscription, CIPHER, NOW)
        assert expires_on == NOW + timedelta(hours=24)
        session.flush()
        third, _ = rotate_secret(subscription, CIPHER, NOW + timedelta(hours=20))
    subscription = _load_with_secrets(post)
    for hours, valid in ((21, [third, second, original]), (25, [third, second]), (45, [third])):
        retired = [(one.secret_encrypted, one.expires_on) for one in subscription.retired_secrets]
        keys = list_keys(subscription.secret_encrypted, retired, CIPHER, NOW + timedelta(hours=hours))
        assert keys == tuple(decode_secret(secret) for secret in valid)
    post.answer = lambda: respond(200)
    post.attempt(post.emit())
    assert len(post.requests[0][1].headers["webhook-signature"].split(" ")) == 3


def _load_with_secrets(post: Post) -> Subscription:
    with post.database.reading() as session:
        subscription = session.scalars(select(Subscription)).one()
        assert subscription.retired_secrets is not None
        return subscription


def test_no_connection_is_recorded_without_the_url_s_token(post: Post) -> None:
    def refuse() -> httpx.Response:
        raise httpx.ConnectError(f"cannot connect to {URL}")

    post.answer = refuse
    attempt = post.attempt(post.emit()).attempts[0]
    assert attempt.status_code is None
    assert str(attempt.error).startswith("ConnectError: cannot connect to http://subscriber.test")
    assert "s3cret" not in str(attempt.error)


def test_only_the_beginning_of_a_long_answer_is_kept(post: Post) -> None:
    post.answer = lambda: respond(500, b"x" * 100_000)
    assert post.attempt(post.emit()).attempts[0].answer == "x" * 16 * 1024


def test_delivery_of_a_deleted_subscription_is_dropped(post: Post) -> None:
    delivery_id = post.emit()

    def delete_it() -> httpx.Response:
        with post.database.writing() as session:
            session.delete(session.get_one(Subscription, 1))
        return respond(500)

    post.answer = delete_it
    assert not post.sender.attempt(delivery_id)
    assert not post.sender.attempt(delivery_id)
    assert len(post.requests) == 1


def test_failed_attempt_leaves_a_line_in_the_log_without_the_url(
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    delivery_id = post.emit()
    post.answer = lambda: respond(503)
    post.work_until(NOW)
    assert f"delivery {delivery_id}, attempt 1: it answered 503" in caplog.messages
    assert URL not in caplog.text
    caplog.clear()
    post.answer = lambda: respond(204)
    post.work_until(NOW + timedelta(minutes=1))
    assert caplog.messages == []
