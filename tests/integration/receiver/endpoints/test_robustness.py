"""What must not harm the receiver: slow and endless senders, a database that is gone, a full disk."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import sqlite3
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest
from sqlalchemy.engine import make_url
from starlette.applications import Starlette

from airflow_provider_pushmetrics.receiver.app import create_app
from airflow_provider_pushmetrics.receiver.settings import ReceiverSettings, SourceSettings
from airflow_provider_pushmetrics.testing.servers import run_receiver
from tests.fakes.receiver_requests import DELIVERY_URL, REPORT_RUN, SIGNING_SECRET, build_signed_headers
from tests.fakes.receiver_server import READER_TOKEN, SENDER_TOKEN, start_receiver
from tests.fakes.waiting import LIMIT_SECONDS

DEMO = SourceSettings("demo", token=SENDER_TOKEN)
Limit = Callable[[int, Path], AbstractContextManager[None]]
HEAD = f"POST {DELIVERY_URL} HTTP/1.1\r\nHost: x\r\n".encode()


@pytest.fixture
def port(sqlite_url: str) -> Iterator[int]:
    """Give the port of a receiver with deadlines that a test can wait for."""
    settings = ReceiverSettings(sqlite_url, (DEMO,), READER_TOKEN, body_timeout_seconds=1.0)
    with run_receiver(settings, request_deadline_seconds=3) as url:
        yield int(url.rpartition(":")[2])


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=LIMIT_SECONDS)


def read_all(connection: socket.socket) -> bytes:
    received = b""
    try:
        while chunk := connection.recv(65536):
            received += chunk
    except ConnectionError:
        pass
    return received


@pytest.mark.parametrize(
    "body", [b'Content-Length: 10\r\n\r\n{"event"', b"Transfer-Encoding: chunked\r\n\r\n"]
)
def test_body_that_does_not_arrive_is_hung_up_on(port: int, body: bytes) -> None:
    with connect(port) as connection:
        connection.sendall(HEAD + body)
        assert read_all(connection).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("count", [100, pytest.param(500, marks=pytest.mark.soak)])
def test_slow_senders_do_not_slow_honest_ones(port: int, count: int) -> None:
    with ExitStack() as stack:
        slow = [stack.enter_context(connect(port)) for _ in range(count)]
        took = []
        with httpx.Client(timeout=LIMIT_SECONDS) as client:
            for number in range(40):
                for connection in slow:
                    try:
                        connection.sendall(HEAD[number % len(HEAD) :][:1])
                    except ConnectionError:
                        continue
                sent = time.monotonic()
                url = f"http://127.0.0.1:{port}{DELIVERY_URL}"
                assert client.post(url, json={**REPORT_RUN, "n": number}).status_code == 202
                took.append(time.monotonic() - sent)
        assert statistics.median(took) < 1
        for connection in slow:
            read_all(connection)


def test_connection_that_asks_again_and_waits_in_between_is_kept(port: int) -> None:
    with connect(port) as connection:
        for _ in range(5):
            connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(4096).startswith(b"HTTP/1.1 200")
            time.sleep(0.8)


def test_waiting_reader_is_not_late(port: int) -> None:
    headers = {"authorization": f"Bearer {READER_TOKEN}"}
    answer = httpx.get(f"http://127.0.0.1:{port}/events?wait=4", headers=headers, timeout=LIMIT_SECONDS)
    assert (answer.status_code, answer.json()["events"]) == (200, [])


@contextmanager
def stop_database(url: str) -> Iterator[None]:
    """Shut a database as if its server had stopped: no connection lives, and none can be made."""
    named = make_url(url)
    admin = named.set(drivername="postgresql", database="postgres").render_as_string(hide_password=False)
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f'ALTER DATABASE "{named.database}" WITH ALLOW_CONNECTIONS false'.encode())
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [named.database]
        )
        try:
            yield
        finally:
            connection.execute(f'ALTER DATABASE "{named.database}" WITH ALLOW_CONNECTIONS true'.encode())


def deliver(client: httpx.Client, url: str, number: int) -> httpx.Response:
    return client.post(url, json={"event": "x", "number": number})


@pytest.mark.postgres
def test_database_that_stops_costs_nothing_that_was_acknowledged(postgres_url: str) -> None:
    with (
        start_receiver(postgres_url, "--no-access-log") as server,
        httpx.Client(timeout=LIMIT_SECONDS) as client,
    ):
        before = [deliver(client, server.delivery_url, number) for number in range(20)]
        lines_before = len(server.lines)
        with stop_database(postgres_url):
            refused = [deliver(client, server.delivery_url, number) for number in range(20, 60)]
            assert {answer.status_code for answer in refused} == {503}
            assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)
            with server.open_reader() as reader:
                assert reader.get("/events").status_code == reader.get("/health/ready").status_code == 503
            said = server.lines[lines_before:]
        again = [deliver(client, server.delivery_url, number) for number in range(60)]
        with server.open_reader() as reader:
            rows = reader.get("/events?limit=1000").json()["events"]
    assert {answer.status_code for answer in before} == {202}
    assert [answer.status_code for answer in again] == [200] * 20 + [202] * 40
    assert [row["body"]["number"] for row in rows] == list(range(60))
    assert 1 <= len(said) <= 3


@contextmanager
def limit_files(process_id: int, _folder: Path) -> Iterator[None]:
    """Limit the size of files, which stands for a full disk: a test cannot always make a file system."""
    before = resource.prlimit(process_id, resource.RLIMIT_FSIZE)
    resource.prlimit(process_id, resource.RLIMIT_FSIZE, (1_000_000, before[1]))
    yield
    resource.prlimit(process_id, resource.RLIMIT_FSIZE, before)


@contextmanager
def limit_disk(_process_id: int, folder: Path) -> Iterator[None]:
    yield
    subprocess.run(["mount", "-o", "remount,size=8m", folder], check=True)


@pytest.fixture(params=[limit_files, pytest.param(limit_disk, marks=pytest.mark.soak)])
def limit(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Limit]:
    """Give what fills the disk of a folder while a block lasts; a small disk, where one can be mounted."""
    if request.param is limit_files:
        yield limit_files
        return
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", tmp_path], capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted: {mounted.stderr!r}")
    yield limit_disk
    subprocess.run(["umount", tmp_path], check=True)


def test_full_disk_is_503_and_harms_nothing(tmp_path: Path, limit: Limit) -> None:
    inbox = tmp_path / "inbox.db"
    with (
        start_receiver(f"sqlite:///{inbox}", "--no-access-log") as server,
        httpx.Client(timeout=LIMIT_SECONDS) as client,
    ):
        with limit(server.process.pid, tmp_path):
            acknowledged, refused = [], 0
            for number in range(400):
                body = {"event": "x", "number": number, "padding": "x" * 10_000}
                status = client.post(server.delivery_url, json=body).status_code
                assert status in (202, 503)
                acknowledged += [number] if status == 202 else []
                refused += status == 503
                if refused > 20:
                    break
            assert refused
        assert client.post(server.delivery_url, json={"event": "x", "number": -1}).status_code == 202
        with server.open_reader() as reader:
            rows, after = [], 0
            while page := reader.get("/events", params={"after": after, "limit": 1000}).json()["events"]:
                rows += page
                after = page[-1]["id"]
    assert [row["body"]["number"] for row in rows] == [*acknowledged, -1]
    with contextlib.closing(sqlite3.connect(inbox)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.fixture
def limited_app(sqlite_url: str) -> Iterator[Starlette]:
    sources = (
        SourceSettings("near", token="t", networks=("10.0.0.0/8",)),
        SourceSettings("slow", token="t", rate_per_minute=2),
        SourceSettings("signed", signing_secrets=(SIGNING_SECRET,)),
    )
    app = create_app(ReceiverSettings(sqlite_url, sources, READER_TOKEN))
    yield app
    app.state.runtime.close()


def open_client(app: Starlette, address: str = "203.0.113.9") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, client=(address, 1))
    return httpx.AsyncClient(transport=transport, base_url="http://receiver")


async def test_source_from_elsewhere_is_a_stranger(limited_app: Starlette) -> None:
    for address, status in (("10.1.2.3", 202), ("203.0.113.9", 401)):
        async with open_client(limited_app, address) as client:
            answer = await client.post("/webhooks/near?token=t", json={"event": "x"})
            assert answer.status_code == status
    assert answer.json()["message"] == "The source is unknown, or its credential was refused."


async def test_rate_is_counted_for_proved_deliveries_alone(limited_app: Starlette) -> None:
    async with open_client(limited_app) as client:
        wrong = [await client.post("/webhooks/slow?token=x", json={"event": "x"}) for _ in range(5)]
        right = [await client.post("/webhooks/slow?token=t", json={"event": "x", "n": n}) for n in range(3)]
    assert {answer.status_code for answer in wrong} == {401}
    assert [answer.status_code for answer in right] == [202, 202, 429]
    assert 0 < int(right[-1].headers["retry-after"]) <= 30


@pytest.mark.parametrize("minutes", [-6, 6])
async def test_clock_that_is_off_is_refused_with_a_metric_and_a_reason(
    limited_app: Starlette, minutes: int
) -> None:
    body = b'{"event": "x"}'
    headers = build_signed_headers("msg_1", body, int(time.time()) + minutes * 60)
    async with open_client(limited_app) as client:
        answer = await client.post("/webhooks/signed", content=body, headers=headers)
        assert answer.status_code == 401
        reading = {"authorization": f"Bearer {READER_TOKEN}"}
        metrics = (await client.get("/metrics", headers=reading)).text
        assert 'refused_credentials_total{reason="clock"} 1' in metrics
        await asyncio.to_thread(limited_app.state.runtime.close)  # what was refused is kept at the end
        (row,) = (await client.get("/rejections", headers=reading)).json()["rejections"]
    assert (row["source"], row["status"], row["reason"], row["client"]) == (
        "signed",
        401,
        "clock",
        "203.0.113.9",
    )


async def test_event_and_range_are_read_and_replayed_over_http(limited_app: Starlette) -> None:
    reading = {"authorization": f"Bearer {READER_TOKEN}"}
    async with open_client(limited_app, "10.1.2.3") as client:
        for number in range(4):
            await client.post("/webhooks/near?token=t", json={"event": "x", "report_id": number % 2})
            await client.post("/webhooks/near?token=t", json={"event": "y", "n": number})
        one = await client.get("/events/1", headers=reading)
        assert (one.json()["id"], one.json()["body"]) == (1, {"event": "x", "report_id": 0})
        assert (await client.get("/events/99", headers=reading)).status_code == 404
        again = await client.post("/events/replay?after=1&through=4&event=y", headers=reading)
        assert (again.status_code, again.json()) == (201, {"ids": [7, 8], "cursor": 4})
        rows = (await client.get("/events?after=6", headers=reading)).json()["events"]
        assert [(row["replay_of"], row["body"]["n"]) for row in rows] == [(2, 0), (4, 1)]
        assert (await client.post("/events/replay?after=1", headers=reading)).status_code == 400
