"""Both servers: what a client without a credential cannot make them keep, or wait for."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from airflow_provider_pushmetrics.receiver.settings import ReceiverSettings, SourceSettings
from airflow_provider_pushmetrics.serving.http.connections import MAX_HEAD_BYTES
from airflow_provider_pushmetrics.testing.servers import run_receiver, run_service
from tests.fakes.waiting import LIMIT_SECONDS, wait_until

CONNECTIONS = 6
DEADLINE_SECONDS = 2.0
STALL_LIMIT_SECONDS = 3.0
MANY_RESPONSES = 40
"""More than a system keeps for a connection: some megabytes."""
LIVE = b"GET /health/live HTTP/1.1\r\nHost: x\r\n"
INCOMPLETE = (
    b"",
    b"PO",
    b"POST PATH HTTP/1.1\r\nHost: x\r\n",
    b'POST PATH HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{"event"',
    b"POST PATH HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
)
"""Requests that do not arrive: nothing, a part of the method, of the head, of the body, and no chunk."""


@contextmanager
def run_server(kind: str, folder: Path) -> Iterator[str]:
    limits = {
        "request_deadline_seconds": DEADLINE_SECONDS,
        "stall_seconds": STALL_LIMIT_SECONDS,
        "connections_per_address": CONNECTIONS,
    }
    if kind == "service":
        with run_service(folder, **limits) as service:
            yield service.url
        return
    source = SourceSettings("demo", token="t" * 43)
    with run_receiver(ReceiverSettings(f"sqlite:///{folder}/inbox.db", (source,), "r" * 43), **limits) as url:
        yield url


@pytest.fixture(scope="module", params=["service", "receiver"])
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def url(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with run_server(kind, tmp_path_factory.mktemp(kind)) as url:
        yield url


@pytest.fixture
def path(kind: str) -> bytes:
    """Give the path that takes a body from anybody, as far as its limits."""
    return b"/api/v1/report/1/webhook?token=x" if kind == "service" else b"/webhooks/demo"


def is_live(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/live", timeout=LIMIT_SECONDS).status_code == 200
    except httpx.TransportError:
        return False


def connect(url: str) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname, parts.port), timeout=LIMIT_SECONDS)


def send_in_full(connection: socket.socket, part: bytes, times: int) -> int:
    """Send parts until the server hangs up, and give the number of bytes."""
    sent = 0
    for _ in range(times):
        try:
            connection.sendall(part)
        except ConnectionError:
            break
        sent += len(part)
        time.sleep(0.0005)  # so that the server has its turn
    return sent


def read_answer(connection: socket.socket) -> bytes:
    received = b""
    try:
        while chunk := connection.recv(65536):
            received += chunk
    except ConnectionError:  # the server did not read all that was sent
        pass
    return received


def read_message(answer: bytes) -> str:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/json" in head
    message: str = json.loads(body)["message"]
    return message


@pytest.mark.parametrize("part", [b"x-%d: y\r\n", b"x" * 1024], ids=["many headers", "one header"])
def test_head_without_an_end_is_refused_at_64_kib(url: str, part: bytes) -> None:
    with connect(url) as connection:
        connection.sendall(LIVE + (b"x: " if b"%d" not in part else b""))
        text = b"".join(part % number if b"%d" in part else part for number in range(64))
        sent = send_in_full(connection, text, 60_000_000 // len(text))
        assert sent < 8 * 1024 * 1024, "what fits into the buffers of the sockets"


@pytest.mark.parametrize("size", [MAX_HEAD_BYTES + 100, 3 * MAX_HEAD_BYTES])
def test_complete_head_that_is_too_large_is_refused(url: str, size: int) -> None:
    with connect(url) as connection:
        connection.sendall(LIVE + b"x: " + b"y" * size + b"\r\n\r\n")
        answer = read_answer(connection)
    assert not answer or answer.startswith(b"HTTP/1.1 431 "), answer[:50]
    if answer:
        assert "65536 bytes" in read_message(answer)


def test_head_of_nearly_64_kib_is_taken(url: str) -> None:
    with connect(url) as connection:
        connection.sendall(LIVE + b"connection: close\r\nx: " + b"y" * (MAX_HEAD_BYTES - 200) + b"\r\n\r\n")
        assert read_answer(connection).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("part", [b"x: y\r\n" * 200, b"x" * 1024], ids=["many trailers", "one trailer"])
def test_trailers_without_an_end_are_refused(url: str, path: bytes, part: bytes) -> None:
    with connect(url) as connection:
        connection.sendall(
            b"POST " + path + b" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n"
        )
        sent = send_in_full(connection, part if b"\n" in part else b"x: " + part, 60_000)
        assert sent < 8 * 1024 * 1024


def test_large_body_in_one_piece_is_no_head(url: str, path: bytes) -> None:
    body = b'{"a": "' + b"x" * 900_000 + b'"}'
    answer = httpx.post(url + path.decode(), content=body, timeout=LIMIT_SECONDS)
    assert answer.status_code == 401
    answer = httpx.post(url + path.decode(), content=iter([body[:10], body[10:]]), timeout=LIMIT_SECONDS)
    assert answer.status_code == 401


def test_request_that_does_not_arrive_is_answered_by_408(url: str, path: bytes) -> None:
    wait_until(lambda: is_live(url))  # the connections of other tests have ended
    with ExitStack() as stack:
        connections = [stack.enter_context(connect(url)) for _ in INCOMPLETE]
        for connection, sent in zip(connections, INCOMPLETE, strict=True):
            connection.sendall(sent.replace(b"PATH", path))
        answers = [read_answer(connection) for connection in connections]
    for answer, sent in zip(answers, INCOMPLETE, strict=True):
        assert answer.startswith(b"HTTP/1.1 408 "), sent
        assert answer.count(b"HTTP/1.1") == 1, sent
        assert "not arrive" in read_message(answer), sent


def test_one_address_has_so_many_connections_and_then_a_clear_refusal(url: str) -> None:
    wait_until(lambda: is_live(url))  # the connections of other tests have ended
    with ExitStack() as stack:
        for _ in range(CONNECTIONS):
            connection = stack.enter_context(connect(url))
            connection.sendall(LIVE + b"\r\n")
            assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
        with connect(url) as connection:
            answer = read_answer(connection)
        assert answer.startswith(b"HTTP/1.1 429 ")
        assert b"\r\nretry-after: 1\r\n" in answer
        assert read_message(answer) == "Too many connections from this address: try again later"
    wait_until(lambda: is_live(url))


@pytest.mark.parametrize("kind", ["service"], indirect=True)
def test_client_that_does_not_read_its_responses_is_disconnected_and_a_slow_one_is_not(
    url: str, kind: str
) -> None:
    wait_until(lambda: is_live(url))
    many = MANY_RESPONSES * b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
    with ExitStack() as stack:
        slow, *stalled = (stack.enter_context(connect(url)) for _ in range(CONNECTIONS))
        for connection in (slow, *stalled):
            connection.sendall(many)

        def is_live_while_one_reads() -> bool:
            assert slow.recv(65536), "the server ended the connection of a client that reads"
            return is_live(url)

        assert not is_live(url)
        wait_until(is_live_while_one_reads)
    wait_until(lambda: is_live(url))


def test_service_goes_on_after_a_sender_that_leaves_in_its_body(
    url: str, path: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with connect(url) as connection:
        connection.sendall(b"POST " + path + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
    for _ in range(20):
        assert httpx.get(f"{url}/health/live", timeout=LIMIT_SECONDS).status_code == 200
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []
