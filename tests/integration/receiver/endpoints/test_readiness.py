"""``GET /health/ready`` tells whether webhooks can be stored, and not only whether the database answers."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path

import httpx
import psycopg
import pytest
from starlette.applications import Starlette

from tests.fakes.full_disk import fill_disk
from tests.fakes.postgres import make_read_only, write_url
from tests.fakes.receiver_requests import DELIVERY_URL, REPORT_RUN
from tests.fakes.receiver_server import ReceiverServer, start_receiver
from tests.fakes.relay import Relay
from tests.fakes.waiting import until_async, wait_until

TOO_LONG_ON_POSTGRES = pytest.param("postgres", marks=[pytest.mark.postgres, pytest.mark.slow])


def is_ready(server: ReceiverServer) -> bool:
    with server.open_reader() as client:
        return client.get("/health/ready").status_code == 200


def store(server: ReceiverServer, number: int) -> int:
    with server.open_reader() as client:
        body = {"event": "x", "number": number}
        return client.post(server.delivery_url, json=body).status_code


def read_newest(server: ReceiverServer) -> int:
    with server.open_reader() as client:
        return client.get("/events").status_code


def test_full_disk_is_not_ready_before_a_webhook_is_lost_and_ready_again_after_it(sqlite_url: str) -> None:
    with start_receiver(sqlite_url, "--no-access-log") as server:
        assert is_ready(server)
        with fill_disk(server.process.pid):
            wait_until(lambda: not is_ready(server))
        wait_until(lambda: is_ready(server))
        assert store(server, 1) == 202


@pytest.mark.slow  # it counts as failing for 10 s
def test_receiver_that_failed_is_ready_again_without_another_webhook(sqlite_url: str) -> None:
    with start_receiver(sqlite_url, "--no-access-log") as server:
        with fill_disk(server.process.pid):
            wait_until(lambda: not is_ready(server))
            assert store(server, 1) == 503
            assert not is_ready(server)
        wait_until(lambda: is_ready(server))
        assert store(server, 1) == 202


def test_webhook_that_failed_is_not_ready_at_once(sqlite_url: str) -> None:
    with start_receiver(sqlite_url, "--no-access-log") as server:
        assert store(server, 1) == 202
        assert is_ready(server)
        with fill_disk(server.process.pid):
            assert store(server, 2) == 503
            wait_until(lambda: not is_ready(server), limit_seconds=10)
        assert store(server, 2) == 202
        wait_until(lambda: is_ready(server))


@pytest.mark.parametrize("replaced", [False, True])
def test_nothing_is_acknowledged_into_a_file_that_was_taken_away(
    tmp_path: Path, sqlite_url: str, replaced: bool
) -> None:
    """A webhook would be lost with the file, and a reader would wait for events that others receive."""
    with start_receiver(sqlite_url, "--no-access-log") as server, server.open_reader() as client:
        assert store(server, 1) == 202
        (tmp_path / "inbox.db").unlink()
        if replaced:
            (tmp_path / "inbox.db").touch()
        assert store(server, 2) == 503
        assert client.put("/consumers/c", json={"position": 1}).status_code == 503
        assert client.get("/events").status_code == 503
        assert "was removed or replaced while it was open: restart this process" in server.read_all_lines()


@pytest.mark.parametrize("replaced", [False, True])
def test_file_that_was_taken_away_is_not_ready(tmp_path: Path, sqlite_url: str, replaced: bool) -> None:
    """What is stored in it is lost when the process ends, although SQLite reports no error."""
    with start_receiver(sqlite_url, "--no-access-log") as server:
        assert is_ready(server)
        (tmp_path / "inbox.db").unlink()
        if replaced:
            (tmp_path / "inbox.db").touch()
        wait_until(lambda: not is_ready(server))
        wait_until(lambda: "inbox.db" in server.read_all_lines())


@pytest.mark.slow
@pytest.mark.postgres
def test_database_that_accepts_no_writes_is_not_ready(postgres_url: str) -> None:
    with start_receiver(postgres_url, "--no-access-log") as server:
        assert is_ready(server)
        with make_read_only(postgres_url):
            wait_until(lambda: not is_ready(server))
            assert store(server, 1) == 503
        wait_until(lambda: is_ready(server))  # without a restart
        assert store(server, 2) == 202


@pytest.mark.slow  # it is late after 5 s
@pytest.mark.postgres
def test_writer_that_waits_for_a_lock_is_not_ready(postgres_url: str) -> None:
    with start_receiver(postgres_url, "--no-access-log") as server:
        assert store(server, 1) == 202
        with psycopg.connect(write_url(postgres_url, "postgresql")) as peer:
            peer.execute("SELECT * FROM pushmetrics_inbox_state FOR UPDATE")
            waiting = threading.Thread(target=store, args=(server, 2))
            waiting.start()
            wait_until(lambda: not is_ready(server))
            peer.rollback()
            waiting.join()
        wait_until(lambda: is_ready(server))


@pytest.mark.slow  # a call that gets no answer is given up after 45 s
@pytest.mark.postgres
@pytest.mark.parametrize("is_storing", [False, True])
def test_receiver_whose_database_was_replaced_is_ready_again_without_a_webhook(
    postgres_url: str, is_storing: bool
) -> None:
    """A pod that is not ready gets none: what waits for the old database must end by itself."""
    with Relay.open(postgres_url) as relay, start_receiver(relay.url, "--no-access-log") as server:
        assert store(server, 1) == 202
        assert is_ready(server)
        relay.silence()  # new connections work
        storing = threading.Thread(target=store, args=(server, 2))
        if is_storing:
            storing.start()
        wait_until(lambda: not is_ready(server))
        wait_until(lambda: is_ready(server))
        assert read_newest(server) == 200
        assert "PostgreSQL has not answered for 45 s" in server.read_all_lines()
        if is_storing:
            storing.join()


async def test_check_leaves_nothing_in_the_inbox(sender: httpx.AsyncClient, app: Starlette) -> None:
    assert (await sender.get("/health/ready")).status_code == 200
    inbox = (await app.state.runtime.get()).inbox
    assert (inbox.fetch_last_id(), inbox.fetch_rejections(limit=10)) == (0, [])


async def test_stream_of_webhooks_needs_no_write_of_the_check(
    sender: httpx.AsyncClient, app: Starlette
) -> None:
    """On SQLite, a second writer would wait for the open one for as long as the check may take."""

    numbers = itertools.count()

    async def is_ready_beside_a_writer() -> bool:
        # Again, when this process stood for longer than a new webhook proves that others can be stored.
        await sender.post(DELIVERY_URL, json={**REPORT_RUN, "number": next(numbers)})
        inbox = (await app.state.runtime.get()).inbox
        with inbox._begin_write():
            return (await sender.get("/health/ready")).status_code == 200

    await until_async(is_ready_beside_a_writer)


@pytest.mark.parametrize("inbox_url", ["sqlite", TOO_LONG_ON_POSTGRES], indirect=True)
async def test_check_that_takes_too_long_is_answered(inbox_url: str, app: Starlette) -> None:
    """A balancer waits for 5 seconds; then it has to know."""
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://receiver") as client:
        assert (await client.get("/health/ready")).status_code == 200
        inbox = (await app.state.runtime.get()).inbox
        with inbox._begin_write() as connection:
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql("LOCK TABLE pushmetrics_inbox_rejections")

            async def is_answered_503() -> bool:
                return (await client.get("/health/ready")).status_code == 503

            await until_async(is_answered_503)
