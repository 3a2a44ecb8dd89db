"""A receiver that starts while its database is away: by itself, and in another server."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest
from sqlalchemy import text
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.receiver.app import create_app
from airflow_provider_pushmetrics.receiver.errors import Unavailable
from airflow_provider_pushmetrics.receiver.inbox.database import INBOX_MIGRATION_LOCK
from airflow_provider_pushmetrics.receiver.inbox.store import Inbox
from airflow_provider_pushmetrics.receiver.inbox.tables import VERSION_TABLE
from airflow_provider_pushmetrics.receiver.runtime import RuntimeOpener
from airflow_provider_pushmetrics.receiver.settings import ReceiverSettings
from tests.fakes.postgres import write_url
from tests.fakes.receiver_requests import DELIVERY_URL, REPORT_RUN
from tests.fakes.receiver_server import READER_TOKEN, launch_receiver, start_receiver
from tests.fakes.relay import Relay
from tests.fakes.service_process import find_free_port
from tests.fakes.waiting import LIMIT_SECONDS, until_async, wait_until
from tests.integration.receiver.conftest import SETTINGS_SOURCES

AWAY = "the database is away; waiting for it for up to"
LOCKED = "the database is migrated or locked by another process; waiting for it for up to 60 s"
MANY = 100
"""More requests than a server has threads."""


@pytest.fixture
def closed_url() -> str:
    return f"postgresql+psycopg://u:pw-secret@127.0.0.1:{find_free_port()}/d"


@pytest.fixture
def silent_url() -> Iterator[str]:
    """Give the URL of a server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"postgresql+psycopg://u:pw-secret@127.0.0.1:{listener.getsockname()[1]}/d"


@asynccontextmanager
async def mount_receiver(inbox_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """Mount a receiver in a server that has a page of its own, as Airflow's API server."""

    async def answer(_request: Request) -> PlainTextResponse:
        return PlainTextResponse("page")

    app = create_app(ReceiverSettings(inbox_url, SETTINGS_SOURCES, READER_TOKEN))
    server = Starlette(routes=[Route("/page", answer), Mount("/pushmetrics", app)])
    transport = httpx.ASGITransport(server)
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        yield client
    await asyncio.to_thread(app.state.runtime.close)


@pytest.mark.postgres
def test_receiver_waits_for_a_database_that_is_away_and_says_so_once(postgres_url: str) -> None:
    with Relay.open(postgres_url) as relay, relay.be_down(), launch_receiver(relay.url) as server:
        wait_until(lambda: AWAY in server.read_all_lines())
        assert server.process.poll() is None
        relay.be_up()
        server.wait_until_ready()
        answer = httpx.post(server.delivery_url, json={"event": "x"}, timeout=LIMIT_SECONDS)
        assert (answer.status_code, server.read_all_lines().count(AWAY)) == (202, 1)


def test_receiver_ends_with_a_sentence_if_the_database_stays_away(closed_url: str) -> None:
    with launch_receiver(closed_url, "--wait-for-database", "0.5") as server:
        assert server.process.wait(LIMIT_SECONDS) == 1
    said = server.read_all_lines()
    assert "Error: the database did not answer within 0.5 s" in said
    assert "Traceback" not in said
    assert "pw-secret" not in said


def test_termination_ends_the_wait_for_the_database(closed_url: str) -> None:
    with launch_receiver(closed_url) as server:
        wait_until(lambda: AWAY in server.read_all_lines())
        server.process.terminate()
        assert server.process.wait(LIMIT_SECONDS) == 0


@contextmanager
def lock_migrations(url: str) -> Iterator[None]:
    """Hold the lock of migrations, as a process does that is frozen in one."""
    with psycopg.connect(write_url(url, "postgresql")) as peer:
        peer.execute("SELECT pg_advisory_xact_lock(%s)", [INBOX_MIGRATION_LOCK])
        yield


@pytest.mark.slow
@pytest.mark.postgres
def test_receiver_waits_for_another_that_migrates_and_says_so_once(postgres_url: str) -> None:
    with ExitStack() as stack:
        with lock_migrations(postgres_url):
            server = stack.enter_context(launch_receiver(postgres_url))
            wait_until(lambda: LOCKED in server.read_all_lines())
            assert server.process.poll() is None
        server.wait_until_ready()
        assert server.read_all_lines().count(LOCKED) == 1


@pytest.mark.slow
@pytest.mark.postgres
def test_receiver_ends_with_a_sentence_if_another_does_not_end_its_migration(postgres_url: str) -> None:
    with (
        lock_migrations(postgres_url),
        launch_receiver(postgres_url, "--wait-for-database", "0.5") as server,
    ):
        assert server.process.wait(LIMIT_SECONDS) == 1
    said = server.read_all_lines()
    assert (
        "Error: another process has migrated the database, or locked its tables, for 0.5 s: end its session"
        in said
    )
    assert "Traceback" not in said


@pytest.mark.postgres
def test_receiver_of_the_newest_schema_needs_no_lock(postgres_url: str) -> None:
    Inbox(postgres_url).close()
    with lock_migrations(postgres_url), start_receiver(postgres_url):
        pass


def test_broken_file_of_sqlite_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "inbox.db").mkdir()
    with launch_receiver(f"sqlite:///{tmp_path}/inbox.db") as server:
        assert server.process.wait(LIMIT_SECONDS) == 1
    assert "Error: the inbox cannot be opened: unable to open database file." in server.read_all_lines()


async def test_silent_database_takes_no_thread_of_the_server_in_which_it_is_mounted(silent_url: str) -> None:
    async with mount_receiver(silent_url) as client:
        sent = [
            asyncio.create_task(client.post(f"/pushmetrics{DELIVERY_URL}", json=REPORT_RUN))
            for _ in range(MANY)
        ]
        await asyncio.sleep(0)
        assert await asyncio.wait_for(asyncio.to_thread(lambda: "free"), LIMIT_SECONDS) == "free"
        assert (await client.get("/page")).text == "page"
        assert not any(task.done() for task in sent)  # they still wait for the database
        answers = await asyncio.wait_for(asyncio.gather(*sent), LIMIT_SECONDS)
        assert {answer.status_code for answer in answers} == {503}


@pytest.mark.postgres
async def test_mounted_receiver_works_as_soon_as_its_database_does(postgres_url: str) -> None:
    with Relay.open(postgres_url) as relay, relay.be_down():
        async with mount_receiver(relay.url) as client:
            assert (await client.post(f"/pushmetrics{DELIVERY_URL}", json=REPORT_RUN)).status_code == 503
            relay.be_up()

            async def is_accepted() -> bool:
                answer = await client.post(f"/pushmetrics{DELIVERY_URL}", json=REPORT_RUN)
                return answer.status_code == 202

            await until_async(is_accepted)


async def test_inbox_of_a_newer_version_is_named_as_such(inbox_url: str) -> None:
    inbox = Inbox(inbox_url)
    with inbox._engine.begin() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    inbox.close()
    opener = RuntimeOpener(inbox_url)
    with pytest.raises(Unavailable):  # mounted: each request, until another version is installed
        await opener.get()
    with pytest.raises(PushMetricsConfigurationError, match=r"'9999'.*newer version"):
        opener.open()
