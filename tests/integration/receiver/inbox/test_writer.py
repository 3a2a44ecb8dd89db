from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DataError, OperationalError

from airflow_provider_pushmetrics.event_matching import EventFilter
from airflow_provider_pushmetrics.receiver.errors import Unavailable
from airflow_provider_pushmetrics.receiver.inbox.recording import lock_last_id
from airflow_provider_pushmetrics.receiver.inbox.records import IncomingWebhook, Recorded
from airflow_provider_pushmetrics.receiver.inbox.store import Inbox
from airflow_provider_pushmetrics.receiver.inbox.writer import InboxWriter
from airflow_provider_pushmetrics.receiver.runtime import ReceiverRuntime, RuntimeOpener
from tests.fakes.threads import run_out_of_threads
from tests.fakes.waiting import LIMIT_SECONDS, until


def build(key: str) -> IncomingWebhook:
    return IncomingWebhook("demo", key, b'{"event": "x"}', "x")


async def wait_for_a_waiter(runtime: ReceiverRuntime) -> None:
    await until(runtime.notifier.count_waiters, "a waiter")


class SlowInbox(Inbox):
    """An inbox whose commits can be held up, and which remembers what shared one."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.may_commit = threading.Event()
        self.batches: list[list[str]] = []

    def record(
        self, deliveries: Sequence[IncomingWebhook], *, add_waiting: Callable[[], None] | None = None
    ) -> list[Recorded]:
        self.may_commit.wait(LIMIT_SECONDS)
        self.batches.append([delivery.key for delivery in deliveries])
        if "poison" in self.batches[-1]:
            raise DataError("INSERT", None, ValueError("cannot be kept"))
        if "fault" in self.batches[-1]:
            raise RuntimeError("nobody thought of it")
        if "outage" in self.batches[-1]:
            raise OperationalError("INSERT", None, ValueError("is gone"))
        return super().record(deliveries)


async def test_commit_is_announced_after_it_is_visible(inbox: Inbox) -> None:
    seen: list[tuple[int, int]] = []
    writer = InboxWriter(inbox, lambda new: seen.append((new[0].id, inbox.fetch_last_id())))
    await writer.record(build("a"))
    await writer.record(build("a"))
    writer.close()
    assert seen == [(1, 1)]  # and the duplicate is not announced


async def test_webhooks_that_come_while_another_process_commits_share_the_next_transaction(
    inbox: Inbox,
) -> None:
    """Two receivers alternate: one collects while the other commits."""
    announced: list[list[int]] = []
    writer = InboxWriter(inbox, lambda new: announced.append([item.id for item in new]))
    with inbox._begin_write() as other:
        lock_last_id(other, None)
        tasks = [asyncio.create_task(writer.record(build("a")))]
        await until(lambda: writer._writing_since)  # for the lock
        tasks += [asyncio.create_task(writer.record(build(key))) for key in ("b", "c")]
        await until(lambda: writer._group.count_waiting() == 2)
    assert [recorded.id for recorded in await asyncio.gather(*tasks)] == [1, 2, 3]
    await asyncio.to_thread(writer.close)
    assert announced == [[1, 2, 3]]


async def test_delivery_that_cannot_be_kept_does_not_harm_the_others(sqlite_url: str) -> None:
    inbox = SlowInbox(sqlite_url)
    writer = InboxWriter(inbox, lambda new: None)
    tasks = [asyncio.create_task(writer.record(build(key))) for key in ("a", "poison", "b")]
    await asyncio.sleep(0)
    inbox.may_commit.set()
    first, poison, last = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(poison, Unavailable)
    assert isinstance(first, Recorded)
    assert isinstance(last, Recorded)
    writer.close()
    inbox.close()


async def test_outage_is_not_tried_again_for_every_delivery(sqlite_url: str) -> None:
    inbox = SlowInbox(sqlite_url)
    writer = InboxWriter(inbox, lambda new: None)
    tasks = [asyncio.create_task(writer.record(build(key))) for key in ("outage", "b", "c")]
    await asyncio.sleep(0)
    inbox.may_commit.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(outcomes[0], Unavailable)
    assert len(inbox.batches) <= 2
    writer.close()
    inbox.close()


async def test_fault_of_our_own_is_503_is_logged_and_does_not_end_the_writer(
    sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    inbox = SlowInbox(sqlite_url)
    inbox.may_commit.set()
    writer = InboxWriter(inbox, lambda new: None)
    with pytest.raises(Unavailable, match="cannot be written now"):
        await writer.record(build("fault"))
    assert (await writer.record(build("a"))).id == 1
    said = next(message for message in caplog.messages if "could not be written" in message)
    assert "an error in the receiver: RuntimeError at " in said
    assert "nobody thought of it" not in said  # it may hold what was delivered
    await asyncio.to_thread(writer.close)
    inbox.close()


async def test_delivery_whose_commit_takes_too_long_is_later_a_duplicate(sqlite_url: str) -> None:
    inbox = SlowInbox(sqlite_url)
    writer = InboxWriter(inbox, lambda new: None)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(writer.record(build("a")), 0.05)
    inbox.may_commit.set()
    await asyncio.to_thread(writer.close)
    assert inbox.record([build("a")])[0].is_new is False
    with pytest.raises(Unavailable):
        await writer.record(build("late"))  # it is closed
    inbox.close()


async def test_lost_table_is_unavailable_and_comes_back(inbox: Inbox) -> None:
    writer = InboxWriter(inbox, lambda new: None)
    await writer.record(build("a"))
    rename = "ALTER TABLE pushmetrics_inbox_state RENAME TO {}"
    with inbox._engine.begin() as connection:
        connection.execute(text(rename.format("gone")))
    with pytest.raises(Unavailable):
        await writer.record(build("b"))
    with inbox._engine.begin() as connection:
        connection.execute(text("ALTER TABLE gone RENAME TO pushmetrics_inbox_state"))
    assert (await writer.record(build("b"))).id == 2
    writer.close()


async def test_feed_finds_events_of_another_process(inbox_url: str) -> None:
    runtime, other = ReceiverRuntime(inbox_url), Inbox(inbox_url)
    wanted = EventFilter(event="x")
    waiting = asyncio.create_task(runtime.feed.fetch(wanted, after=0, limit=10, wait_seconds=LIMIT_SECONDS))
    await wait_for_a_waiter(runtime)
    await asyncio.sleep(0.3)  # until the look at the newest id continues by itself
    other.record([build("from elsewhere")])
    async with asyncio.timeout(5):
        page = await waiting
    assert [event.id for event in page.events] == [1]
    await asyncio.to_thread(runtime.close)
    other.close()


async def test_ending_waits_answers_who_waits(sqlite_url: str) -> None:
    opener = RuntimeOpener(sqlite_url)
    runtime = await opener.get()
    waiting = asyncio.create_task(
        runtime.feed.fetch(EventFilter(), after=0, limit=10, wait_seconds=LIMIT_SECONDS)
    )
    await wait_for_a_waiter(runtime)
    opener.end_waits()
    async with asyncio.timeout(5):
        assert (await waiting).events == ()
    await asyncio.to_thread(opener.close)


async def test_receiver_opens_as_soon_as_there_are_threads_again(sqlite_url: str) -> None:
    opener = RuntimeOpener(sqlite_url)
    with run_out_of_threads(), pytest.raises(Unavailable):
        await opener.get()
    assert (await (await opener.get()).writer.record(build("a"))).is_new is True
    await asyncio.to_thread(opener.close)


async def test_closed_runtime_opens_again_when_it_is_used(sqlite_url: str) -> None:
    opener = RuntimeOpener(sqlite_url)
    first = await opener.get()
    await first.writer.record(build("a"))
    await asyncio.to_thread(opener.close)
    second = await opener.get()
    assert second is not first
    assert (await second.writer.record(build("a"))).is_new is False
    await asyncio.to_thread(opener.close)
