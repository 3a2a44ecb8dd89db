"""Deliver events: one signed request for each attempt, and a table that says when the next one is."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import httpx

from airflow_provider_pushmetrics.exceptions import PushMetricsEndpointError
from airflow_provider_pushmetrics.redaction import redact
from airflow_provider_pushmetrics.service.clock import Clock, get_now
from airflow_provider_pushmetrics.service.database import Database
from airflow_provider_pushmetrics.service.encryption import Vault
from airflow_provider_pushmetrics.service.models import Delivery, DeliveryAttempt
from airflow_provider_pushmetrics.service.statuses import DELIVERED, FAILED, PENDING
from airflow_provider_pushmetrics.signatures import (
    ID_HEADER,
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    decode_secret,
    sign,
)

ATTEMPT_DELAYS_SECONDS = (0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
"""
The wait before each attempt, counted from the one before: the ten of the Standard Webhooks specification.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

MAX_ANSWER_BYTES = 16 * 1024
USER_AGENT = "PushMetrics-Webhooks/1"


@dataclass(frozen=True)
class Message:
    """A delivery as the network needs it."""

    url: str
    message_id: str
    body: bytes
    key: bytes
    attempt: int


@dataclass(frozen=True)
class Answer:
    """What came back of one attempt; no status code means that nothing did."""

    status_code: int | None = None
    text: str | None = None
    error: str | None = None
    duration_seconds: float = 0.0

    @property
    def is_delivered(self) -> bool:
        """Whether the subscriber took it: 2xx, and nothing else."""
        return self.status_code is not None and 200 <= self.status_code < 300


class Courier:
    """
    Makes attempts to deliver.

    :param database: Where deliveries are kept.
    :param vault: Decrypts the signing secrets.
    :param timeout_seconds: How long a subscriber may take, from the first byte to the last.
    :param transport: Carries the requests, and refuses those that must not be sent.
    """

    def __init__(
        self,
        database: Database,
        vault: Vault,
        timeout_seconds: float,
        *,
        transport: httpx.BaseTransport,
        clock: Clock = get_now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._vault = vault
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        self._monotonic = monotonic
        # No environment: a proxy or a .netrc of the machine is not the subscriber's business.
        self._client = httpx.Client(
            transport=transport, timeout=timeout_seconds, follow_redirects=False, trust_env=False
        )

    def attempt(self, delivery_id: int) -> float | None:
        """
        Make one attempt and record it.

        :return: The seconds until the next one; None if there is none.
        """
        message = self._load(delivery_id)
        if message is None:
            return None
        started_on = self._clock()
        headers = self._sign(message, int(started_on.timestamp()))
        answer = self._post(message, headers)
        with self._database.writing() as session:
            delivery = session.get(Delivery, delivery_id)
            if delivery is None:
                return None  # its subscription was deleted meanwhile
            delivery.attempts.append(
                DeliveryAttempt(
                    number=message.attempt,
                    started_on=started_on,
                    duration_ms=round(answer.duration_seconds * 1000),
                    status_code=answer.status_code,
                    error=answer.error,
                    answer=answer.text,
                )
            )
            delivery.attempt_count = message.attempt
            return self._decide_next(delivery, answer)

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def _load(self, delivery_id: int) -> Message | None:
        with self._database.reading() as session:
            delivery = session.get(Delivery, delivery_id)
            if delivery is None or delivery.status != PENDING:
                return None
            return Message(
                url=delivery.subscription.url,
                message_id=delivery.event.uid,
                body=delivery.event.body.encode(),
                key=decode_secret(self._vault.decrypt(delivery.subscription.secret_encrypted)),
                attempt=delivery.attempt_count + 1,
            )

    def _sign(self, message: Message, timestamp: int) -> dict[str, str]:
        return {
            "Content-Type": "application/json",
            "Accept-Encoding": "identity",  # a small compressed answer could be a large one
            "User-Agent": USER_AGENT,
            ID_HEADER: message.message_id,
            TIMESTAMP_HEADER: str(timestamp),
            SIGNATURE_HEADER: sign(message.key, message.message_id, timestamp, message.body),
        }

    def _post(self, message: Message, headers: dict[str, str]) -> Answer:
        began = self._monotonic()
        try:
            with self._client.stream("POST", message.url, content=message.body, headers=headers) as response:
                text = self._read_answer(response, began)
                return Answer(response.status_code, text, duration_seconds=self._monotonic() - began)
        except (httpx.HTTPError, httpx.InvalidURL, PushMetricsEndpointError) as error:
            # The message of an error may hold the URL, and the URL a token.
            return Answer(
                error=redact(f"{type(error).__name__}: {error}"), duration_seconds=self._monotonic() - began
            )

    def _read_answer(self, response: httpx.Response, began: float) -> str:
        """Read the beginning of the answer. A subscriber that sends it drop by drop is not waited for."""
        body = b""
        for chunk in response.iter_raw():
            body += chunk
            if len(body) >= MAX_ANSWER_BYTES or self._monotonic() - began > self._timeout_seconds:
                break
        return body[:MAX_ANSWER_BYTES].decode("utf-8", "replace").replace("\x00", "")

    def _decide_next(self, delivery: Delivery, answer: Answer) -> float | None:
        if answer.is_delivered:
            delivery.status, delivery.finished_on = DELIVERED, self._clock()
            return None
        if delivery.attempt_count >= len(ATTEMPT_DELAYS_SECONDS):
            delivery.status, delivery.finished_on = FAILED, self._clock()
            return None
        delay = ATTEMPT_DELAYS_SECONDS[delivery.attempt_count]
        delivery.next_attempt_on = self._clock() + timedelta(seconds=delay)
        return float(delay)
