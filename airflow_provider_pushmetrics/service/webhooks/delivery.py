"""Delivery of events: one signed request for each attempt, and a record of its result."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import httpx
from sqlalchemy import ColumnElement, bindparam, insert, select, update
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.exceptions import PushMetricsEndpointError
from airflow_provider_pushmetrics.redaction import redact
from airflow_provider_pushmetrics.retry_after import parse_retry_after
from airflow_provider_pushmetrics.service.egress.deadline import limit_time
from airflow_provider_pushmetrics.service.models import (
    Delivery,
    DeliveryAttempt,
    OutboxEvent,
    RetiredSecret,
    Subscription,
)
from airflow_provider_pushmetrics.service.models.base import get_table
from airflow_provider_pushmetrics.service.models.statuses import DELIVERED, FAILED, PENDING, RETRIED
from airflow_provider_pushmetrics.service.storage.clock import CLOCK
from airflow_provider_pushmetrics.service.storage.database import (
    Database,
    Persist,
    execute_core,
    persist_once,
)
from airflow_provider_pushmetrics.service.storage.encryption import Cipher
from airflow_provider_pushmetrics.service.webhooks.custom_headers import list_secrets, read_headers
from airflow_provider_pushmetrics.service.webhooks.retry_schedule import (
    CERTAIN_ATTEMPTS,
    DISABLE_AFTER,
    SPREAD,
    Spread,
    compute_delay,
    is_given_up,
)
from airflow_provider_pushmetrics.service.webhooks.subscriptions import give_up, list_keys
from airflow_provider_pushmetrics.serving.metrics import LONG_SECONDS, Histogram
from airflow_provider_pushmetrics.serving.traces import span
from airflow_provider_pushmetrics.signatures import ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, sign
from airflow_provider_pushmetrics.tracing import TRACEPARENT

log = logging.getLogger(__name__)

MAX_ENDPOINT_ANSWER_BYTES = 16 * 1024
MAX_READ_BYTES = MAX_ENDPOINT_ANSWER_BYTES + 8 * 1024
"""A secret that crosses the limit is read whole, and hidden."""

USER_AGENT = "PushMetrics-Webhooks/1"
GONE = 410
"""The status by which an endpoint ends a subscription: https://www.rfc-editor.org/rfc/rfc9110#section-15.5.11."""

# Built once: building them takes as long as executing them.
SELECT_EVENT = (
    select(
        *(
            Delivery.status,
            Delivery.attempt_count,
            OutboxEvent.uid,
            OutboxEvent.body,
            OutboxEvent.traceparent,
        ),
        *(Subscription.url, Subscription.active),
        *(Subscription.secret_encrypted, Subscription.headers_encrypted),
        *(RetiredSecret.secret_encrypted.label("retired_secret"), RetiredSecret.expires_on),
    )
    .join(OutboxEvent, OutboxEvent.id == Delivery.event_id)
    .join(Subscription, Subscription.id == Delivery.subscription_id)
    .outerjoin(RetiredSecret, RetiredSecret.subscription_id == Subscription.id)
    .where(Delivery.id == bindparam("delivery"))
    .order_by(RetiredSecret.id.desc())
)

INSERT_ATTEMPT = insert(get_table(DeliveryAttempt))

_DELIVERY, _SUBSCRIPTION = get_table(Delivery), get_table(Subscription)

UPDATE_DELIVERED = (
    update(_DELIVERY)
    .where(_DELIVERY.c.id == bindparam("delivery"), _DELIVERY.c.attempt_count == bindparam("before"))
    .values(status=DELIVERED, attempt_count=bindparam("number"), worker_id=None)
)

FORGET_FAILURES = (
    update(_SUBSCRIPTION)
    .where(
        _SUBSCRIPTION.c.id
        == select(_DELIVERY.c.subscription_id)
        .where(_DELIVERY.c.id == bindparam("delivery"))
        .scalar_subquery(),
        _SUBSCRIPTION.c.failing_since.is_not(None),
    )
    .values(failing_since=None)
)


@dataclass(frozen=True)
class SignedEvent:
    """
    The data of an attempt.

    :param keys: All valid signing keys; each makes a signature.
    :param started_on: When the attempt begins.
    :param traceparent: The trace of what the event tells of.
    :param headers: The subscription's own headers.
    """

    url: str = field(repr=False)
    message_id: str
    body: bytes
    keys: tuple[bytes, ...] = field(repr=False)
    attempt: int
    started_on: datetime
    traceparent: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def build_headers(self, traceparent: str | None) -> dict[str, str]:
        timestamp = int(self.started_on.timestamp())
        signatures = [sign(key, self.message_id, timestamp, self.body) for key in self.keys]
        trace = {} if traceparent is None else {TRACEPARENT: traceparent}
        accept = {} if "accept" in {name.lower() for name in self.headers} else {"Accept": "*/*"}
        return {
            **accept,
            **self.headers,
            "Content-Type": "application/json",
            "Accept-Encoding": "identity",  # a small compressed answer could be a large one
            "User-Agent": USER_AGENT,
            ID_HEADER: self.message_id,
            TIMESTAMP_HEADER: str(timestamp),
            SIGNATURE_HEADER: " ".join(signatures),
            **trace,
        }


@dataclass(frozen=True)
class Answer:
    """The result of one attempt; without a status code there was no response."""

    status_code: int | None = None
    text: str | None = None
    error: str | None = None
    duration_seconds: float = 0.0
    retry_after: str | None = None

    @property
    def is_delivered(self) -> bool:
        """Whether the endpoint accepted the event: only with a status 2xx."""
        return self.status_code is not None and 200 <= self.status_code < 300


class WebhookSender:
    """
    Makes attempts of deliveries.

    :param database: The database of the deliveries.
    :param cipher: Decrypts the signing secrets.
    :param timeout_seconds: The total time limit of an attempt.
    :param transport: Sends the requests; it allows only some addresses.
    :param spread: Chooses the jitter.
    """

    def __init__(
        self,
        database: Database,
        cipher: Cipher,
        timeout_seconds: float,
        *,
        transport: httpx.BaseTransport,
        clock: ColumnElement[datetime] = CLOCK,
        monotonic: Callable[[], float] = time.monotonic,
        spread: Spread = SPREAD,
    ) -> None:
        self._database = database
        self._cipher = cipher
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        self._select_event = SELECT_EVENT.add_columns(clock.label("now"))
        self._update_delivered = UPDATE_DELIVERED.values(finished_on=clock)
        self._monotonic = monotonic
        self._spread = spread
        self.attempt_seconds = Histogram(
            "pushmetrics_service_delivery_attempt_seconds",
            "Duration of an attempt of a delivery.",
            LONG_SECONDS,
            {"outcome": (DELIVERED, RETRIED, FAILED)},
        )
        # Without a client, which would use a proxy or a .netrc file of the machine, and send an endpoint the
        # cookies of earlier answers.
        self._transport = transport

    def attempt(self, delivery_id: int, *, persist: Persist = persist_once) -> bool:
        """
        Make the next attempt and record it, with the end of the claim.

        :param persist: Commits the record, with retries, so that a database error does not send the event
        again.
        :return: Whether it was recorded; False if the delivery is no longer pending.
        """
        message = self._load(delivery_id)
        if message is None:
            return False
        answer = self._post(message)
        is_recorded = persist(lambda: self._record(delivery_id, message, answer))
        if not answer.is_delivered:
            # Without the URL, which may contain a token. The page of the delivery shows the rest.
            said = answer.error or f"it answered {answer.status_code}"
            log.warning("delivery %s, attempt %s: %s", delivery_id, message.attempt, said)
        return is_recorded

    def close(self) -> None:
        self._transport.close()

    def _load(self, delivery_id: int) -> SignedEvent | None:
        with self._database.reading() as session:
            # One row for each replaced secret.
            rows = execute_core(session, self._select_event, {"delivery": delivery_id}).all()
        if not rows or rows[0].status != PENDING or not rows[0].active:
            return None
        found = rows[0]
        retired = [(row.retired_secret, row.expires_on) for row in rows if row.retired_secret is not None]
        return SignedEvent(
            url=found.url,
            message_id=found.uid,
            body=found.body.encode(),
            keys=list_keys(found.secret_encrypted, retired, self._cipher, found.now),
            attempt=found.attempt_count + 1,
            started_on=found.now,
            traceparent=found.traceparent,
            headers=read_headers(found.headers_encrypted, self._cipher),
        )

    def _record(self, delivery_id: int, message: SignedEvent, answer: Answer) -> bool:
        """Record an attempt, unless another worker has recorded it, or its subscription was deleted."""
        with self._database.writing() as session:
            if answer.is_delivered:
                outcome = self._record_success(session, delivery_id, message.attempt)
            else:
                outcome = self._record_failure(session, delivery_id, message, answer)
            if outcome is None:
                return False
            attempt = {
                "delivery_id": delivery_id,
                "number": message.attempt,
                "started_on": message.started_on,
                "duration_ms": round(answer.duration_seconds * 1000),
                "status_code": answer.status_code,
                "error": answer.error,
                "answer": answer.text,
            }
            execute_core(session, INSERT_ATTEMPT, attempt)
        self.attempt_seconds.observe(answer.duration_seconds, outcome)
        return True

    def _record_success(self, session: Session, delivery_id: int, attempt: int) -> str | None:
        # The subscription before the delivery, as a statement that deletes both locks them. Most do not fail,
        # and are not changed: concurrent deliveries to an endpoint would wait for its row.
        execute_core(session, FORGET_FAILURES, {"delivery": delivery_id})
        values = {"delivery": delivery_id, "number": attempt, "before": attempt - 1}
        found = execute_core(session, self._update_delivered, values)
        return DELIVERED if found.rowcount else None

    def _record_failure(
        self, session: Session, delivery_id: int, message: SignedEvent, answer: Answer
    ) -> str | None:
        found, attempt = self._lock(session, delivery_id), message.attempt
        if found is None or found[1].attempt_count != attempt - 1:
            return None
        subscription, delivery, now = found
        delivery.attempt_count, delivery.worker_id = attempt, None
        if subscription.url == message.url:
            self._conclude(session, subscription, delivery, answer, now)
        else:  # it was moved meanwhile: what its old endpoint answers says nothing about the new one
            delivery.schedule_start, delivery.next_attempt_on = attempt, now
        session.flush()
        return RETRIED if delivery.status == PENDING else delivery.status

    def _lock(self, session: Session, delivery_id: int) -> tuple[Subscription, Delivery, datetime] | None:
        """
        Lock the subscription of a delivery, then the delivery, as a statement that deletes both does.

        :return: Both, and the time; None if they were deleted.
        """
        chosen = select(Subscription).join(Delivery).where(Delivery.id == delivery_id)
        locked = chosen.with_for_update(of=Subscription, key_share=True)
        subscription = session.scalar(locked)
        if subscription is None:
            return None
        mine = select(Delivery, self._clock).where(Delivery.id == delivery_id)
        row = session.execute(mine.with_for_update(of=Delivery)).one_or_none()
        return None if row is None else (subscription, *row)

    def _post(self, message: SignedEvent) -> Answer:
        """Send an event. The span has no URL, which may contain a token."""
        parts = urlsplit(message.url)
        facts: dict[str, str | int] = {
            "http.request.method": "POST",
            "http.request.resend_count": message.attempt - 1,
            "server.address": parts.hostname or "",
            "messaging.system": "pushmetrics",
            "messaging.operation.type": "send",
            "messaging.operation.name": "send",
            "messaging.message.id": message.message_id,
        }
        with span("POST", parent=message.traceparent, kind="client", facts=facts) as attempt:
            headers = httpx.Headers(message.build_headers(attempt.traceparent), encoding="latin-1")
            answer = self._request(message, headers)
            if answer.status_code is not None:
                attempt.add({"http.response.status_code": answer.status_code})
            if not answer.is_delivered:
                attempt.fail(str(answer.status_code or (answer.error or "").partition(":")[0]))
        return answer

    def _request(self, message: SignedEvent, headers: httpx.Headers) -> Answer:
        secrets = list_secrets(message.url, message.headers)
        timeouts = {"timeout": httpx.Timeout(self._timeout_seconds).as_dict()}
        began = self._monotonic()
        try:
            request = httpx.Request(
                "POST", message.url, content=message.body, headers=headers, extensions=timeouts
            )
            with (
                limit_time(self._timeout_seconds),
                closing(self._transport.handle_request(request)) as response,
            ):
                text = _read_answer(response)
                return Answer(
                    response.status_code,
                    # It may show what was sent to it, also where it is cut.
                    redact(text, *secrets)[:MAX_ENDPOINT_ANSWER_BYTES],
                    duration_seconds=self._monotonic() - began,
                    retry_after=response.headers.get("retry-after"),
                )
        except (httpx.HTTPError, httpx.InvalidURL, PushMetricsEndpointError) as error:
            # The message of an error may hold the URL, and the URL a token.
            said = redact(f"{type(error).__name__}: {error}", *secrets)
            return Answer(error=said, duration_seconds=self._monotonic() - began)

    def _conclude(
        self, session: Session, subscription: Subscription, delivery: Delivery, answer: Answer, now: datetime
    ) -> None:
        """Update the delivery and its subscription after an attempt that failed."""
        self._schedule(delivery, answer, now)
        reason = _find_reason_to_give_up(delivery, answer, now)
        if subscription.failing_since is None:
            subscription.failing_since = now
        if reason is not None:
            give_up(session, subscription, now, reason)

    def _schedule(self, delivery: Delivery, answer: Answer, now: datetime) -> None:
        delay = compute_delay(
            delivery.attempt_count - delivery.schedule_start,
            parse_retry_after(answer.retry_after, now),
            spread=self._spread,
        )
        if delay is None:
            delivery.status, delivery.finished_on = FAILED, now
        else:
            delivery.next_attempt_on = now + timedelta(seconds=delay)


def _read_answer(response: httpx.Response) -> str:
    """Read the beginning of the response. Its status counts even if the body is incomplete."""
    body = b""
    try:
        for chunk in response.iter_raw():
            body += chunk
            if len(body) >= MAX_READ_BYTES:
                break
    except httpx.HTTPError:
        pass
    return body[:MAX_READ_BYTES].decode("utf-8", "replace")


def _find_reason_to_give_up(delivery: Delivery, answer: Answer, now: datetime) -> str | None:
    if answer.status_code == GONE:
        return "its endpoint answered 410 Gone, which means that it accepts no more events."
    attempts = delivery.attempt_count - delivery.schedule_start
    # The first failure may be days ago, if nothing was sent since an event ran out of attempts.
    if attempts >= CERTAIN_ATTEMPTS and is_given_up(delivery.subscription.failing_since, now):
        return f"its endpoint has accepted nothing for {DISABLE_AFTER.days} days."
    return None
