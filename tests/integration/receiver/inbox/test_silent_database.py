"""PostgreSQL that neither answers nor hangs up, and peers that stopped with a lock in their hands."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError

from airflow_provider_pushmetrics.receiver.errors import Unavailable
from airflow_provider_pushmetrics.receiver.inbox.connection_timeouts import PostgresqlTimeouts
from airflow_provider_pushmetrics.receiver.inbox.database import (
    INBOX_MIGRATION_LOCK,
    create_inbox_engine,
    open_engine,
)
from airflow_provider_pushmetrics.receiver.inbox.records import IncomingWebhook, Recorded
from airflow_provider_pushmetrics.receiver.inbox.store import Inbox
from airflow_provider_pushmetrics.receiver.inbox.tables import state
from airflow_provider_pushmetrics.receiver.inbox.writer import InboxWriter
from airflow_provider_pushmetrics.receiver.runtime import READER_THREADS, ReceiverRuntime
from airflow_provider_pushmetrics.serving.process_start import lock_migration
from tests.fakes.relay import Relay
from tests.fakes.waiting import LIMIT_SECONDS

pytestmark = pytest.mark.postgres

SOON_STUCK = PostgresqlTimeouts(stuck_seconds=0.5)
IMPATIENT = PostgresqlTimeouts(lock_seconds=0.3, idle_in_transaction_seconds=4)


def build(key: str) -> IncomingWebhook:
    return IncomingWebhook("demo", key, b'{"event": "x"}', "x")


@pytest.fixture
def relay(postgres_url: str) -> Iterator[Relay]:
    with Relay.open(postgres_url) as relay:
        yield relay


async def record_in_the_end(
    writer: InboxWriter, key: str, timeout_seconds: float | None = None
) -> tuple[Recorded, int]:
    """Deliver as a sender does who tries again; give what became of it, and how often it was refused."""
    for refusals in range(2000):
        try:
            return await asyncio.wait_for(writer.record(build(key)), timeout_seconds), refusals
        except (Unavailable, TimeoutError):
            await asyncio.sleep(0.05)
    raise TimeoutError("the inbox does not come back")


async def test_lock_of_a_peer_that_stopped_is_given_up_and_taken_from_it(postgres_url: str) -> None:
    inbox, stopped = Inbox(postgres_url, timeouts=IMPATIENT), open_engine(postgres_url, IMPATIENT)
    writer = InboxWriter(inbox, lambda new: None)
    with stopped.connect() as peer:
        peer.execute(select(state).with_for_update())
        with pytest.raises(Unavailable):  # it gives up before the peer loses its lock, else it would wait
            await writer.record(build("a"))
        recorded, _ = await record_in_the_end(writer, "a")
        assert recorded.is_new
        peer.invalidate()
    await asyncio.to_thread(writer.close)
    inbox.close()
    stopped.dispose()


async def test_server_that_falls_silent_is_left_for_the_one_in_its_place(relay: Relay) -> None:
    runtime = ReceiverRuntime(relay.url, timeouts=SOON_STUCK)
    await runtime.writer.record(build("a"))
    await asyncio.to_thread(relay.silence)
    recorded, _ = await asyncio.wait_for(record_in_the_end(runtime.writer, "b"), LIMIT_SECONDS)
    assert recorded.id == 2
    await asyncio.to_thread(runtime.close)


async def test_readers_of_a_server_that_falls_silent_are_answered_by_the_one_in_its_place(
    relay: Relay,
) -> None:
    runtime = ReceiverRuntime(relay.url, timeouts=SOON_STUCK)
    await runtime.run_blocking(runtime.check)
    await asyncio.to_thread(relay.silence)
    asked = [runtime.run_blocking(runtime.inbox.fetch_last_id) for _ in range(2 * READER_THREADS)]
    answers = await asyncio.wait_for(asyncio.gather(*asked), LIMIT_SECONDS)
    assert answers == [0] * len(asked)
    await asyncio.to_thread(runtime.close)


def test_a_use_that_ended_in_time_closes_no_connection(postgres_url: str) -> None:
    inbox = Inbox(postgres_url, timeouts=PostgresqlTimeouts(stuck_seconds=0))
    inbox.hang_up_if_stuck()
    with inbox._begin_read() as connection:
        connection.execute(text("SELECT 1"))
        inbox.hang_up_if_stuck()
        with pytest.raises(OperationalError):
            connection.execute(text("SELECT 1"))
    inbox.check()
    inbox.close()


@pytest.mark.parametrize("hang", ["writer", "reader"])
async def test_silent_server_does_not_hold_up_the_end(relay: Relay, hang: str) -> None:
    runtime = ReceiverRuntime(relay.url)
    await runtime.writer.record(build("a"))
    relay.silence()
    use: dict[str, Callable[[], Awaitable[object]]] = {
        "writer": lambda: runtime.writer.record(build("b")),
        "reader": lambda: runtime.run_blocking(runtime.inbox.fetch_last_id),
    }
    asked = asyncio.ensure_future(use[hang]())
    await asyncio.sleep(0.1)
    closing = threading.Thread(target=runtime.close, kwargs={"patience_seconds": 0.2})
    closing.start()
    done, _ = await asyncio.wait({asked}, timeout=LIMIT_SECONDS)  # with an error, or over a new connection
    await asyncio.to_thread(closing.join, LIMIT_SECONDS)
    assert (done, closing.is_alive()) == ({asked}, False)
    asked.exception()


def test_hanging_up_leaves_closed_connections_alone_and_new_ones_can_be_made(inbox: Inbox) -> None:
    inbox.check()
    with inbox._engine.connect() as connection:
        connection.connection.driver_connection.close()  # type: ignore[union-attr]
        inbox.hang_up()
        connection.invalidate()
    inbox.hang_up()
    inbox.check()


def test_migration_that_waits_for_another_may_take_longer_than_other_statements(postgres_url: str) -> None:
    impatient = PostgresqlTimeouts(lock_seconds=0.1, statement_seconds=0.1)
    other = create_inbox_engine(postgres_url)
    opened = []
    with other.connect() as connection, connection.begin():
        lock_migration(connection, INBOX_MIGRATION_LOCK)
        opening = threading.Thread(target=lambda: opened.append(open_engine(postgres_url, impatient)))
        opening.start()
        opening.join(0.5)
        assert opening.is_alive()
    opening.join(LIMIT_SECONDS)
    opened[0].dispose()
    other.dispose()


def test_process_that_stops_while_it_migrates_loses_its_lock(postgres_url: str) -> None:
    engine = create_inbox_engine(postgres_url)
    with engine.connect() as connection:
        lock_migration(connection, INBOX_MIGRATION_LOCK)
        limit = connection.execute(text("SHOW idle_in_transaction_session_timeout")).scalar_one()
    assert limit == "10min"
    engine.dispose()
