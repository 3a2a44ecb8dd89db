"""Proof 12: what is meant to make the service call its own network, through the real delivery."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import AbstractContextManager
from urllib.parse import urlsplit

import pytest

from airflow_provider_pushmetrics.service.egress.rules import EgressRules
from airflow_provider_pushmetrics.service.egress.transport import (
    BoundedResolver,
    GuardedNetwork,
    GuardedTransport,
    Resolver,
)
from airflow_provider_pushmetrics.service.models import Delivery, DeliveryAttempt
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.service.storage.encryption import Cipher
from airflow_provider_pushmetrics.service.webhooks.delivery import WebhookSender
from airflow_provider_pushmetrics.service.webhooks.event_outbox import put_in_outbox
from tests.fakes.loopback import serve_connection
from tests.fakes.service_subscriber import Subscriber, add_subscription

CIPHER = Cipher("k" * 32)

CORPUS = (
    "127.0.0.1", "localhost", "LOCALHOST.", "a.localhost", "2130706433", "017700000001", "0x7f000001",
    "0x7f.1", "0177.1", "127.1", "0", "0.0.0.0", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
    "[64:ff9b::7f00:1]", "user:password@127.0.0.1", "example.com@127.0.0.1", "①②⑦.⓪.⓪.①", "ⓛocalhost",
    "10.0.0.1", "192.168.0.1", "172.16.0.1", "169.254.169.254", "[fe80::1]", "[fd00:ec2::254]",
    "100.100.100.200", "rebinding.test", "private.test",
)  # fmt: skip


def resolve(host: str, port: int) -> list[str]:
    """Know two hostile names; whatever else is a name is refused before."""
    if host == "rebinding.test":
        return ["93.184.216.34", "127.0.0.1"]
    if host == "private.test":
        return ["10.0.0.7"]
    return [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def deliver(
    database: Database, url: str, rules: EgressRules, *, resolve: Resolver = resolve, seconds: float = 5
) -> DeliveryAttempt:
    """Make one attempt to deliver an event to a URL."""
    add_subscription(database, CIPHER, url, "report.run")
    with database.writing() as session:
        put_in_outbox(session, 1, {"event": "report.run", "report_id": 1})
    network = GuardedNetwork(rules, resolve=resolve)
    sender = WebhookSender(database, CIPHER, seconds, transport=GuardedTransport(rules, network=network))
    sender.attempt(1)
    sender.close()
    with database.reading() as session:
        return session.get_one(Delivery, 1).attempts[0]


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
@pytest.mark.parametrize("host", CORPUS)
def test_hostile_endpoint_is_sent_nothing(database: Database, subscriber: Subscriber, host: str) -> None:
    port = urlsplit(subscriber.url).port
    attempt = deliver(database, f"http://{host}:{port}/hook?token=s3cret", EgressRules())
    assert attempt.status_code is None
    assert attempt.error
    assert "s3cret" not in attempt.error
    assert subscriber.received == []


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n"]
)
def test_endpoint_that_sends_a_byte_at_a_time_is_cut_off_at_the_time_limit(
    database: Database, answer: bytes
) -> None:
    with drip(answer) as port:
        began = time.monotonic()
        attempt = deliver(database, f"http://127.0.0.1:{port}/", EgressRules(allow_loopback=True), seconds=1)
    assert 1 <= time.monotonic() - began < 30
    # The status counts once it has come, even if the rest does not.
    assert attempt.status_code == (200 if answer.endswith(b"\r\n\r\n") else None)


def test_look_up_that_hangs_is_cut_off_at_the_time_limit(database: Database) -> None:
    release = threading.Event()

    def hang(host: str, port: int) -> list[str]:
        release.wait(60)
        return []

    began = time.monotonic()
    try:
        attempt = deliver(
            database, "http://slow.test/", EgressRules(), resolve=BoundedResolver(hang), seconds=1
        )
    finally:
        release.set()
    assert 1 <= time.monotonic() - began < 30
    assert "cannot be resolved" in (attempt.error or "")


def drip(head: bytes) -> AbstractContextManager[int]:
    """Serve one connection: answer with the head, then with a byte every tenth of a second."""

    def answer(connection: socket.socket, stopping: threading.Event) -> None:
        connection.recv(4096)
        connection.sendall(head)
        while not stopping.wait(0.1):
            connection.sendall(b"x")

    return serve_connection(answer)
