"""Events of other processes, which an inbox opened a second time stands for."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import psycopg
import pytest

from airflow_provider_pushmetrics.event_matching import EventFilter, Subject
from airflow_provider_pushmetrics.receiver.feed.long_poll import Feed
from airflow_provider_pushmetrics.receiver.feed.waiters import Notifier
from airflow_provider_pushmetrics.receiver.feed.watcher import InboxWatch
from airflow_provider_pushmetrics.receiver.inbox.records import EventPage, IncomingWebhook
from airflow_provider_pushmetrics.receiver.inbox.store import Inbox
from airflow_provider_pushmetrics.receiver.runtime import ReceiverRuntime
from airflow_provider_pushmetrics.serving.commit_signals import Changes, PollingChanges
from tests.fakes.postgres import write_url
from tests.fakes.waiting import LIMIT_SECONDS, until


def build(key: str, run_id: int | None = None) -> IncomingWebhook:
    return IncomingWebhook("demo", key, b'{"event": "x"}', "x", run_id=run_id)


@pytest.fixture
async def runtime(inbox_url: str) -> AsyncIterator[ReceiverRuntime]:
    runtime = ReceiverRuntime(inbox_url)
    yield runtime
    await asyncio.to_thread(runtime.close)


async def wait_for_waiters(runtime: ReceiverRuntime, count: int) -> None:
    await until(lambda: runtime.notifier.count_waiters() == count, f"{count} waiters")


def start_wait(runtime: ReceiverRuntime, wanted: EventFilter) -> asyncio.Task[EventPage]:
    return asyncio.create_task(runtime.feed.fetch(wanted, after=0, limit=10, wait_seconds=LIMIT_SECONDS))


async def test_commit_of_another_process_wakes_within_a_quarter_of_a_second(
    runtime: ReceiverRuntime, inbox: Inbox
) -> None:
    took = [1.0]
    for number in range(1, 51):
        if min(took) < 0.25:
            break
        waiting = start_wait(runtime, EventFilter(run_id=number))
        await wait_for_waiters(runtime, 1)
        await asyncio.sleep(0.3)  # so that the watch is the one who tells
        inbox.record([build(str(number), number)])
        committed = time.monotonic()
        assert [event.id for event in (await waiting).events] == [number]
        took.append(time.monotonic() - committed)
    assert min(took) < 0.25


class CountedWatch(Inbox):
    """Counts how often somebody began to watch it."""

    begun = 0

    def open_changes(self) -> Changes:
        self.begun += 1
        return super().open_changes()


async def test_reader_that_comes_again_finds_the_database_still_watched(inbox_url: str) -> None:
    inbox, other, notifier = CountedWatch(inbox_url), Inbox(inbox_url), Notifier()
    watch = InboxWatch(inbox, notifier)
    for number in range(1, 4):
        with notifier.wait_for(EventFilter(run_id=number)) as waiter:
            watch.ask()
            if number == 1:
                assert await waiter.wait(LIMIT_SECONDS)  # when the watch begins
                waiter.clear()
            other.record([build(str(number), number)])
            assert await waiter.wait(LIMIT_SECONDS)
        await asyncio.sleep(0.7)  # longer than the watch waits for a signal
    await asyncio.to_thread(watch.close)
    assert inbox.begun == 1
    for each in (inbox, other):
        each.close()


def count_listeners(url: str) -> int:
    """Count the sessions that listen for commits."""
    count = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"
    )
    with psycopg.connect(write_url(url, "postgresql")) as connection:
        (found,) = connection.execute(count).fetchone() or (0,)
        return int(found)


@pytest.mark.postgres
async def test_no_session_listens_when_nobody_waits(postgres_url: str) -> None:
    """One that nobody reads fills up, and then holds a transaction open for ever."""
    inbox, other, notifier = Inbox(postgres_url), Inbox(postgres_url), Notifier()
    watch = InboxWatch(inbox, notifier, unwatched_seconds=0.1)
    for number in range(1, 3):
        with notifier.wait_for(EventFilter(run_id=number)) as waiter:
            watch.ask()
            assert await waiter.wait(LIMIT_SECONDS)  # when the watch begins
            waiter.clear()
            assert count_listeners(postgres_url) == 1
            other.record([build(str(number), number)])
            assert await waiter.wait(LIMIT_SECONDS)
        await until(lambda: count_listeners(postgres_url) == 0, "the end of the session")
    await asyncio.to_thread(watch.close)
    for each in (inbox, other):
        each.close()


async def test_many_events_of_another_process_are_all_looked_at(
    runtime: ReceiverRuntime, inbox: Inbox
) -> None:
    waiting = start_wait(runtime, EventFilter(run_id=2500))
    await wait_for_waiters(runtime, 1)
    for start in range(0, 3000, 500):
        inbox.record([build(str(number), number) for number in range(start, start + 500)])
    assert [event.id for event in (await waiting).events] == [2501]


class CountedPages(Inbox):
    """Counts the queries for pages of events."""

    queries = 0

    def fetch_page(self, *args: Any, **kwargs: Any) -> EventPage:
        self.queries += 1
        return super().fetch_page(*args, **kwargs)


async def test_readers_who_ask_the_same_share_a_query(runtime: ReceiverRuntime, inbox_url: str) -> None:
    inbox = CountedPages(inbox_url)
    feed = Feed(inbox, runtime.notifier, runtime.watch, runtime.run_blocking)
    waits = [
        asyncio.create_task(feed.fetch(EventFilter(run_id=1), after=0, limit=10, wait_seconds=LIMIT_SECONDS))
        for _ in range(200)
    ]
    await wait_for_waiters(runtime, 200)
    await asyncio.sleep(0.5)
    await runtime.writer.record(build("a", 1))
    pages = await asyncio.gather(*waits)
    assert {event.id for page in pages for event in page.events} == {1}
    assert inbox.queries < 20
    inbox.close()


class SlowOnce(Inbox):
    """Answers the first query late, with what it found before."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.has_read, self.may_answer = threading.Event(), threading.Event()

    def fetch_page(self, *args: Any, **kwargs: Any) -> EventPage:
        page = super().fetch_page(*args, **kwargs)
        if not self.has_read.is_set():
            self.has_read.set()
            assert self.may_answer.wait(LIMIT_SECONDS)
        return page


async def test_reader_does_not_share_a_query_that_began_before_a_commit(
    runtime: ReceiverRuntime, inbox_url: str
) -> None:
    inbox = SlowOnce(inbox_url)
    # Its watch looks at nothing: it would wake the reader.
    feed = Feed(inbox, runtime.notifier, InboxWatch(inbox, Notifier()), runtime.run_blocking)
    fetch = partial(feed.fetch, EventFilter(run_id=1), after=0, limit=10, wait_seconds=LIMIT_SECONDS)
    left = asyncio.create_task(fetch())
    await until(inbox.has_read.is_set, "the first query")
    left.cancel()
    await asyncio.wait([left])
    await runtime.writer.record(build("a", 1))
    waiting = asyncio.create_task(fetch())
    # It may have come before the announcement, and then waits for the first query, or after it.
    await until(lambda: waiting.done() or runtime.notifier.count_waiters() == 1, "the second reader")
    inbox.may_answer.set()
    page = await asyncio.wait_for(waiting, LIMIT_SECONDS / 2)
    assert [event.id for event in page.events] == [1]
    await asyncio.to_thread(inbox.close)


class SubjectsOnly(Inbox):
    """Counts how often the watch had to look at events."""

    looks = 0

    def fetch_subjects(self, *, after: int, limit: int) -> list[Subject]:
        self.looks += 1
        return super().fetch_subjects(after=after, limit=limit)


async def test_what_this_process_committed_is_not_looked_at_again(inbox_url: str) -> None:
    inbox, notifier = SubjectsOnly(inbox_url), Notifier()
    watch = InboxWatch(inbox, notifier)
    with notifier.wait_for(EventFilter(event="never")):
        watch.ask()
        await asyncio.sleep(0.5)
        for number in range(5):
            watch.announce_own(await asyncio.to_thread(inbox.record, [build(str(number))]))
        await asyncio.sleep(0.7)
    await asyncio.to_thread(watch.close)
    assert inbox.looks <= 2  # a commit may be seen before its announcement
    inbox.close()


class Gated(Inbox):
    """Lets the watch read the newest id only while the gate is open."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.gate, self.has_read = threading.Event(), threading.Event()
        self.gate.set()

    def fetch_last_id(self) -> int:
        assert self.gate.wait(LIMIT_SECONDS)
        self.has_read.set()
        return super().fetch_last_id()


async def test_events_of_others_between_those_that_this_process_committed_wake_their_readers(
    inbox_url: str,
) -> None:
    """A batch that is written one by one leaves ids to others."""
    inbox, other, notifier = Gated(inbox_url), Inbox(inbox_url), Notifier()
    watch = InboxWatch(inbox, notifier)
    with notifier.wait_for(EventFilter(run_id=2)) as waiter:
        watch.ask()
        assert await waiter.wait(LIMIT_SECONDS)  # when it begins
        inbox.gate.clear()
        await asyncio.sleep(0.2)
        waiter.clear()
        (first,) = inbox.record([build("a", 1)])
        other.record([build("b", 2)])
        (last,) = inbox.record([build("c", 3)])
        watch.announce_own([first, last])
        inbox.gate.set()
        assert await waiter.wait(10)
    await asyncio.to_thread(watch.close)
    for each in (inbox, other):
        each.close()


class LongPolled(PollingChanges):
    """Has been used for so long that it is time to try notifications again."""

    def is_old(self) -> bool:
        return True


class RefusedOnce(Inbox):
    """Hears no notification at first, because a probe took too long."""

    tries = 0

    def open_changes(self) -> Changes:
        self.tries += 1
        return LongPolled() if self.tries == 1 else super().open_changes()


async def test_watch_tries_notifications_again_after_a_while(sqlite_url: str) -> None:
    inbox, notifier = RefusedOnce(sqlite_url), Notifier()
    watch = InboxWatch(inbox, notifier)
    with notifier.wait_for(EventFilter(event="never")):
        watch.ask()
        await until(lambda: inbox.tries == 2, "another try", 10)
    await asyncio.to_thread(watch.close)
    inbox.close()


class FaultyOnce(Inbox):
    """Fails at the first look at its newest id."""

    has_failed = False

    def fetch_last_id(self) -> int:
        if not self.has_failed:
            self.has_failed = True
            raise RuntimeError("nobody thought of it")
        return super().fetch_last_id()


async def test_fault_does_not_end_the_watch(sqlite_url: str, caplog: pytest.LogCaptureFixture) -> None:
    inbox, other, notifier = FaultyOnce(sqlite_url), Inbox(sqlite_url), Notifier()
    watch = InboxWatch(inbox, notifier, retry_seconds=0.01)
    with notifier.wait_for(EventFilter(run_id=1)) as waiter:
        watch.ask()
        assert await waiter.wait(
            LIMIT_SECONDS
        )  # the watch wakes everybody when it begins, which took it two tries
        waiter.clear()
        other.record([build("a", 1)])
        assert await waiter.wait(LIMIT_SECONDS)
    await asyncio.to_thread(watch.close)
    assert "retrying: RuntimeError" in caplog.text
    for each in (inbox, other):
        each.close()
