"""What only real processes show: crashes, signals, forks, several writers, and what is logged."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from airflow_provider_pushmetrics.event_matching import EventFilter
from airflow_provider_pushmetrics.receiver.inbox.store import Inbox
from tests.fakes.receiver_server import (
    READER_TOKEN,
    SENDER_TOKEN,
    START,
    ReceiverServer,
    start_receiver,
)
from tests.fakes.receiver_writer import end_writers, start_writers
from tests.fakes.waiting import LIMIT_SECONDS

SEED = 20250609


@dataclass(frozen=True)
class Running:
    server: ReceiverServer
    inbox_url: str


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Give a receiver that the tests which only ask it share."""
    inbox_url = f"sqlite:///{tmp_path_factory.mktemp('shared')}/inbox.db"
    with start_receiver(inbox_url) as server:
        yield Running(server, inbox_url)


def read_numbers(inbox_url: str) -> list[int]:
    inbox = Inbox(inbox_url)
    bodies, after = list[bytes](), 0
    while (page := inbox.fetch_page(EventFilter(), after=after, limit=1000)).events:
        bodies += [event.body for event in page.events]
        after = page.cursor
    inbox.close()
    return [int(body.split(b":")[-1].strip(b" }")) for body in bodies]


def deliver_until_dead(server: ReceiverServer, numbers: list[int], acknowledged: set[int]) -> None:
    with httpx.Client(timeout=LIMIT_SECONDS) as client:
        for number in numbers:
            try:
                answer = client.post(server.delivery_url, json={"event": "x", "number": number})
            except httpx.TransportError:
                return
            if answer.status_code in (200, 202):
                acknowledged.add(number)


@pytest.mark.parametrize("lives", [2, pytest.param(200, marks=pytest.mark.soak)])
def test_kill_loses_nothing_that_was_acknowledged(inbox_url: str, lives: int) -> None:
    """Half of what is sent in a life was sent in the one before, too."""
    chance = random.Random(SEED)
    acknowledged: set[int] = set()
    for life in range(lives):
        with start_receiver(inbox_url, "--no-access-log") as server:
            lanes = [list(range(2000 * life + lane, 2000 * life + 4000, 4)) for lane in range(4)]
            for lane in lanes:
                chance.shuffle(lane)
            with ThreadPoolExecutor(4) as pool:
                for lane in lanes:
                    pool.submit(deliver_until_dead, server, lane, acknowledged)
                at_least = len(acknowledged) + (1 if life < 1 else 30)
                while len(acknowledged) < at_least:
                    time.sleep(0.01)
                time.sleep(chance.uniform(0.05, 0.4))
                server.process.send_signal(signal.SIGKILL)
    kept = read_numbers(inbox_url)
    assert len(kept) == len(set(kept))
    assert acknowledged <= set(kept)
    assert len(acknowledged) >= 30


def test_term_finishes_what_was_accepted_answers_who_waits_and_ends_well(sqlite_url: str) -> None:
    with start_receiver(sqlite_url) as server:
        acknowledged: set[int] = set()
        sending = threading.Thread(target=deliver_until_dead, args=(server, list(range(5000)), acknowledged))
        with server.open_reader() as reader, ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(reader.get, "/events", params={"wait": 60, "event": "never"})
            sending.start()
            while len(acknowledged) < 20:
                time.sleep(0.01)
            server.process.terminate()
            assert server.process.wait(LIMIT_SECONDS) == 0
            assert waiting.result(LIMIT_SECONDS).status_code == 200
        sending.join()
    assert acknowledged <= set(read_numbers(sqlite_url))


def wait_for_waiters(server: ReceiverServer, count: int) -> None:
    deadline = time.monotonic() + 120
    with server.open_reader() as reader:
        while f"waiting_readers {count}.0\n" not in reader.get("/metrics").text:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_reader_that_hangs_up_is_not_waited_for(running: Running) -> None:
    with running.server.open_reader() as reader, pytest.raises(httpx.ReadTimeout):
        reader.get("/events", params={"wait": 60, "event": "never"}, timeout=0.3)
    wait_for_waiters(running.server, 0)


def test_second_receiver_on_the_inbox_knows_its_events_and_is_woken_by_them(running: Running) -> None:
    with start_receiver(running.inbox_url) as second, second.open_reader() as reader:
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(reader.get, "/events", params={"wait": 20, "report_id": 2})
            wait_for_waiters(second, 1)
            answer = httpx.post(
                running.server.delivery_url,
                json={"event": "report.run", "report_id": 2},
                timeout=LIMIT_SECONDS,
            )
            assert [event["id"] for event in waiting.result(LIMIT_SECONDS).json()["events"]] == [
                answer.json()["id"]
            ]
        repeat = httpx.post(
            second.delivery_url, json={"event": "report.run", "report_id": 2}, timeout=LIMIT_SECONDS
        )
        assert (repeat.status_code, repeat.json()) == (200, {**answer.json(), "outcome": "duplicate"})


@pytest.mark.parametrize(
    "framing",
    [b"Content-Length: 1048577\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n"],
    ids=["declared", "chunked"],
)
def test_body_over_the_limit_is_refused_while_it_is_sent(running: Running, framing: bytes) -> None:
    address = urlsplit(running.server.url)
    target = urlsplit(running.server.delivery_url)
    head = f"POST {target.path}?{target.query} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    with socket.create_connection((address.hostname, address.port), timeout=LIMIT_SECONDS) as connection:
        connection.sendall(head.encode() + framing)
        if b"chunked" in framing:
            for _ in range(17):  # and never the end
                connection.sendall(chunk)
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


def test_endless_bodies_take_no_memory(running: Running) -> None:
    address, target = urlsplit(running.server.url), urlsplit(running.server.delivery_url)
    head = f"POST {target.path}?{target.query} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    process = psutil.Process(running.server.process.pid)
    before = process.memory_info().rss
    with ExitStack() as stack:
        for _ in range(20):
            where = (address.hostname, address.port)
            connection = stack.enter_context(socket.create_connection(where, timeout=LIMIT_SECONDS))
            connection.sendall(head.encode())
            with contextlib.suppress(ConnectionError):  # it is hung up on before it is through
                for _ in range(40):
                    connection.sendall(chunk)
        assert process.memory_info().rss - before < 20 * 2 * 1024 * 1024


def test_no_token_is_logged_or_shown(sqlite_url: str) -> None:
    with start_receiver(sqlite_url) as server, server.open_reader() as reader:
        httpx.post(server.delivery_url, json={"event": "x"}, timeout=LIMIT_SECONDS)
        httpx.post(
            f"{server.url}/webhooks/pmpat_{'x' * 40}?token=wrong-token-1", json={}, timeout=LIMIT_SECONDS
        )
        httpx.post(
            server.delivery_url,
            content=b"{",
            headers={"content-type": "application/json"},
            timeout=LIMIT_SECONDS,
        )
        httpx.get(f"{server.url}/events?token={READER_TOKEN}", timeout=LIMIT_SECONDS)
        reader.get("/events")
        server.process.terminate()
        assert server.process.wait(LIMIT_SECONDS) == 0
    logged = server.read_all_lines()
    assert "POST /webhooks/demo 202" in logged
    for secret in (SENDER_TOKEN, READER_TOKEN, "wrong-token-1", "x" * 40):
        assert secret not in logged


def test_taken_port_is_said_with_the_way_out(running: Running) -> None:
    port = running.server.url.rpartition(":")[2]
    result = subprocess.run(
        [sys.executable, "-c", START, "--port", port, "--inbox", running.inbox_url, "--token", "t"],
        env={**os.environ, "PUSHMETRICS_RECEIVER_READER_TOKEN": "r"},
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
    )
    assert result.returncode == 1
    assert (
        f"port {port} on '127.0.0.1' is in use: stop what uses it, or choose another with --port"
        in result.stderr
    )
    assert "PUSHMETRICS_RECEIVER_PORT" in result.stderr
    assert "Traceback" not in result.stderr


def test_reader_never_finds_an_id_behind_its_cursor_with_several_writers(inbox_url: str) -> None:
    reader = Inbox(inbox_url)
    writers = start_writers(inbox_url, writers=2, count=150)
    seen: list[int] = []
    cursor = 0
    while cursor < 300:
        page = reader.fetch_page(EventFilter(), after=cursor, limit=7)
        seen += [event.id for event in page.events]
        cursor = page.cursor
        if not page.events:
            assert any(writer.poll() is None for writer in writers) or reader.fetch_last_id() > cursor
    assert end_writers(writers) == [0, 0]
    assert seen == list(range(1, 301))
    assert reader.count_events() == 300
    reader.close()


def test_processes_that_open_a_new_inbox_together_migrate_it_once(inbox_url: str) -> None:
    assert end_writers(start_writers(inbox_url, writers=2, count=1)) == [0, 0]
    inbox = Inbox(inbox_url)
    assert inbox.count_events() == inbox.fetch_last_id() == 2
    inbox.close()


FORK = """
import asyncio, os, sys
from airflow_provider_pushmetrics.receiver.inbox.records import IncomingWebhook
from airflow_provider_pushmetrics.receiver.runtime import RuntimeOpener

opener = RuntimeOpener(sys.argv[1])

async def record(key):
    runtime = await opener.get()
    return (await runtime.writer.record(IncomingWebhook("demo", key, b"{}", "x"))).id

assert asyncio.run(record("before")) == 1
child = os.fork()
if child == 0:
    os._exit(0 if asyncio.run(record("in the child")) == 2 else 1)
assert os.waitpid(child, 0)[1] == 0
assert asyncio.run(record("after")) == 3
opener.close()
print("well")
"""


def test_forked_process_opens_the_inbox_for_itself(sqlite_url: str, tmp_path: Path) -> None:
    script = tmp_path / "fork.py"
    script.write_text(FORK)
    result = subprocess.run(
        [sys.executable, str(script), sqlite_url], capture_output=True, text=True, timeout=LIMIT_SECONDS
    )
    assert (result.stdout, result.returncode) == ("well\n", 0), result.stderr
