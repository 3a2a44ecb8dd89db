"""One suite for the inbox, run on SQLite and on PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.engine import make_url

from airflow_provider_pushmetrics.event_matching import EventFilter, Subject
from airflow_provider_pushmetrics.receiver.inbox.cleanup import clean
from airflow_provider_pushmetrics.receiver.inbox.consumer_gaps import IN_USE, Gap
from airflow_provider_pushmetrics.receiver.inbox.database import open_engine
from airflow_provider_pushmetrics.receiver.inbox.records import IncomingWebhook
from airflow_provider_pushmetrics.receiver.inbox.store import MAX_PAGE_BYTES, Inbox
from airflow_provider_pushmetrics.receiver.inbox.tables import VERSION_TABLE, metadata
from tests.fakes.postgres import write_url

EVERYTHING = EventFilter()


def build(
    key: str, *, source: str = "demo", event: str = "report.run", report_id: int = 1
) -> IncomingWebhook:
    body = f'{{"event": "{event}", "key": "{key}"}}'.encode()
    return IncomingWebhook(source, key, body, event, report_id=report_id)


def fetch_ids(inbox: Inbox, wanted: EventFilter = EVERYTHING, after: int = 0, limit: int = 100) -> list[int]:
    return [event.id for event in inbox.fetch_page(wanted, after=after, limit=limit).events]


def test_duplicate_gets_the_first_ones_id_in_one_transaction_and_in_another(inbox: Inbox) -> None:
    recorded = inbox.record([build("a"), build("b"), build("a")]) + inbox.record([build("b")])
    assert [(item.id, item.is_new) for item in recorded] == [(1, True), (2, True), (1, False), (2, False)]
    assert inbox.count_events() == inbox.fetch_last_id() == 2


def test_events_are_counted_exactly_although_clocks_of_receivers_differ(inbox_url: str) -> None:
    """The oldest are deleted by their time, which need not follow their ids."""
    old, new = datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 6, 1, tzinfo=UTC)
    now = old
    inbox = Inbox(inbox_url, clock=lambda: now)
    for number, now in enumerate((old, new, old, new, new)):  # noqa: B007
        inbox.record([build(f"k{number}")])
    counts = [inbox.count_events()]
    for now in (new, new, new + timedelta(days=1), new + timedelta(days=1)):  # noqa: B007
        inbox.delete_oldest(keep=timedelta(0), limit=2)
        counts.append(inbox.count_events())
    assert counts == [5, 3, 3, 1, 0]
    inbox.close()


def set_database_clock(url: str, days: int) -> None:
    """Let the clock of PostgreSQL differ from that of this machine, in sessions that begin from now on."""
    statements = (
        "CREATE SCHEMA fake",
        "CREATE FUNCTION fake.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS"
        f" $$ SELECT pg_catalog.clock_timestamp() + interval '{days} days' $$",
        f'ALTER DATABASE "{make_url(url).database}" SET search_path = public, fake, pg_catalog',
    )
    with psycopg.connect(write_url(url, "postgresql"), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


@pytest.mark.postgres
def test_receiver_with_a_wrong_clock_uses_that_of_the_database(postgres_url: str) -> None:
    """Its clock is 10 days ahead: it would delete what the others have just stored."""
    right = datetime.now(UTC) - timedelta(days=10)
    set_database_clock(postgres_url, -10)
    other = Inbox(postgres_url, clock=lambda: right)
    other.record([build("of another receiver")])
    other.close()
    inbox = Inbox(postgres_url)
    assert clean(inbox, 5, should_stop=lambda: False) == 0
    inbox.record([build("of this one")])
    consumer = inbox.store_consumer("airflow", 1)
    assert consumer is not None
    assert consumer.updated_at is not None
    _, event = inbox.fetch_page(EVERYTHING, after=0, limit=10).events
    for moment in (event.received_at, consumer.updated_at):
        assert right <= moment < right + timedelta(hours=1)
    assert inbox.delete_oldest(keep=timedelta(days=-1), limit=10).events == 2
    inbox.close()


def test_same_key_of_another_source_is_another_event(inbox: Inbox) -> None:
    recorded = inbox.record([build("a"), build("a", source="other")])
    assert [item.is_new for item in recorded] == [True, True]


def test_body_and_time_are_kept_exactly(inbox_url: str) -> None:
    moment = datetime(2025, 6, 9, 17, 11, 23, 456789, tzinfo=UTC)
    inbox = Inbox(inbox_url, clock=lambda: moment)
    body = b'{"event": "x", "t": "\\u0000"}\n '
    inbox.record([IncomingWebhook("demo", "k", body, "x")])
    (event,) = inbox.fetch_page(EVERYTHING, after=0, limit=1).events
    assert (event.body, event.received_at, event.replay_of) == (body, moment, None)
    inbox.close()


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (EventFilter(), [1, 2, 3, 4]),
        (EventFilter(event="report.run"), [1, 3, 4]),
        (EventFilter(report_id=2), [3]),
        (EventFilter(run_id=9), [4]),
        (EventFilter(query_id=5), [4]),
        (EventFilter(source="other"), [4]),
        (EventFilter(event="report.run", report_id=1), [1, 4]),
        (EventFilter(event="never"), []),
    ],
)
def test_filters_choose_the_same_events_in_the_database_and_in_memory(
    inbox: Inbox, wanted: EventFilter, expected: list[int]
) -> None:
    deliveries = [
        build("a"),
        build("b", event="query.run"),
        build("c", report_id=2),
        IncomingWebhook("other", "d", b"{}", "report.run", report_id=1, query_id=5, run_id=9),
    ]
    recorded = inbox.record(deliveries)
    assert fetch_ids(inbox, wanted) == expected
    assert [item.id for item in recorded if wanted.matches(item.delivery)] == expected
    subjects = inbox.fetch_subjects(after=0, limit=10)
    assert [number for number, subject in enumerate(subjects, 1) if wanted.matches(subject)] == expected


def test_page_that_is_cut_ends_at_its_last_event(inbox: Inbox) -> None:
    inbox.record([build("a"), build("b", report_id=2), build("c"), build("d")])
    page = inbox.fetch_page(EventFilter(report_id=1), after=0, limit=2)
    assert ([event.id for event in page.events], page.cursor) == ([1, 3], 3)


def test_cursor_passes_events_that_do_not_match(inbox: Inbox) -> None:
    inbox.record([build("a"), build("b", report_id=2), build("c", report_id=2)])
    page = inbox.fetch_page(EventFilter(report_id=1), after=0, limit=10)
    assert ([event.id for event in page.events], page.cursor) == ([1], 3)


def test_page_ends_before_it_is_too_large_for_memory(inbox: Inbox) -> None:
    body = b"x" * (MAX_PAGE_BYTES // 2)
    inbox.record([IncomingWebhook("demo", str(n), body, "x") for n in range(3)])
    inbox.record([IncomingWebhook("demo", "large", body * 2 + b"x", "x")])
    pages: list[list[int]] = []
    after = 0
    while len(pages) < 5 and (page := inbox.fetch_page(EVERYTHING, after=after, limit=10)).events:
        pages.append([event.id for event in page.events])
        after = page.cursor
    assert pages == [[1, 2], [3], [4]]


def test_cursor_of_another_inbox_is_led_back(inbox: Inbox) -> None:
    inbox.record([build("a")])
    page = inbox.fetch_page(EVERYTHING, after=900, limit=10)
    assert (page.events, page.cursor) == ((), 1)


def test_delivery_is_found_again(inbox: Inbox) -> None:
    delivery = IncomingWebhook("demo", "k", b"{}", "query.run", 1, 2, 3, None)
    inbox.record([delivery])
    assert inbox.find_delivery(1) == delivery
    assert inbox.find_delivery(2) is None


def test_subjects_say_what_events_are_about(inbox: Inbox) -> None:
    inbox.record([build("a"), build("b", report_id=2)])
    assert inbox.fetch_subjects(after=1, limit=10) == [Subject("demo", "report.run", 2, None, None)]


def test_consumer_keeps_its_position_forwards_and_backwards(inbox: Inbox) -> None:
    inbox.record([build("a"), build("b")])
    assert inbox.fetch_consumer("airflow").position == 0
    assert inbox.fetch_consumer("airflow").updated_at is None
    for position in (2, 1):
        stored = inbox.store_consumer("airflow", position)
        assert stored == inbox.fetch_consumer("airflow")
        assert stored is not None
        assert (stored.position, stored.updated_at is not None) == (position, True)


def test_consumer_goes_only_forwards_for_one_who_may_not_know_its_position(inbox: Inbox) -> None:
    inbox.record([build(str(number)) for number in range(3)])
    for position, expected in ((2, 2), (1, 2), (3, 3)):
        stored = inbox.store_consumer("airflow", position, only_forwards=True)
        assert stored is not None
        assert stored.position == inbox.fetch_consumer("airflow").position == expected


def test_consumer_knows_who_took_the_event_at_its_position(inbox: Inbox) -> None:
    inbox.record([build("a"), build("b")])
    stored = inbox.store_consumer("airflow", 1, "a_dag/a_run")
    assert stored == inbox.fetch_consumer("airflow") == inbox.fetch_consumers()[0]
    assert stored is not None
    assert stored.taken_by == "a_dag/a_run"
    inbox.store_consumer("airflow", 2)
    assert inbox.fetch_consumer("airflow").taken_by is None


def test_consumer_cannot_be_ahead_of_the_inbox(inbox: Inbox) -> None:
    assert inbox.store_consumer("airflow", 1) is None
    assert inbox.fetch_consumer("airflow").position == 0


def test_what_is_deleted_before_a_consumer_has_read_it_is_counted(inbox_url: str) -> None:
    now = datetime(2025, 6, 9, tzinfo=UTC)
    inbox = Inbox(inbox_url, clock=lambda: now)
    inbox.record([build(str(number)) for number in range(9)])
    now += timedelta(days=1)
    inbox.record([build("9")])
    for name, position in (("behind", 2), ("through", 7), ("ahead", 10)):
        inbox.store_consumer(name, position)
    first = inbox.delete_oldest(keep=timedelta(0), limit=4)
    assert (first.events, first.gaps) == (4, (Gap("behind", 2, 2),))
    second = inbox.delete_oldest(keep=timedelta(0), limit=100)
    assert (second.events, second.gaps) == (5, (Gap("behind", 2, 5), Gap("through", 7, 2)))
    assert {each.name: each.missed for each in inbox.fetch_consumers()} == {
        "ahead": 0,
        "behind": 7,
        "through": 2,
    }
    stored = inbox.store_consumer("behind", 10)
    assert stored == inbox.fetch_consumer("behind")
    assert stored is not None
    assert stored.missed == 7
    assert inbox.delete_oldest(keep=timedelta(0), limit=100).gaps == ()
    inbox.close()


def test_consumer_that_nobody_uses_any_longer_misses_nothing(inbox_url: str) -> None:
    now = datetime(2025, 6, 9, tzinfo=UTC)
    inbox = Inbox(inbox_url, clock=lambda: now)
    inbox.record([build("a"), build("b")])
    inbox.store_consumer("airflow", 1)
    now += IN_USE + timedelta(days=7)
    inbox.record([build("c"), build("d")])
    inbox.store_consumer("busy", 1)
    # What is old enough to go is measured from when it came: the consumer was in use then.
    assert inbox.delete_oldest(keep=timedelta(days=7), limit=100).gaps == (
        Gap("airflow", 1, 1),
        Gap("busy", 1, 1),
    )
    now += timedelta(seconds=1)
    assert inbox.delete_oldest(keep=timedelta(0), limit=100).gaps == (Gap("busy", 1, 2),)
    inbox.close()


def test_everything_is_there_after_reopening(inbox_url: str) -> None:
    first = Inbox(inbox_url)
    first.record([build("a")])
    first.close()
    second = Inbox(inbox_url)
    assert second.record([build("a"), build("b")])[0].is_new is False
    assert fetch_ids(second) == [1, 2]
    second.close()


def test_migrations_make_the_tables_that_the_code_uses(inbox_url: str) -> None:
    engine = open_engine(inbox_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_sqlite_commits_are_on_the_disk_when_they_return(sqlite_url: str) -> None:
    engine = open_engine(sqlite_url)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2  # FULL
    engine.dispose()


def test_duplicates_are_looked_up_in_the_index(sqlite_url: str) -> None:
    engine = open_engine(sqlite_url)
    query = "SELECT id FROM pushmetrics_inbox_events WHERE source = 'a' AND delivery_key IN ('b', 'c')"
    with engine.connect() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}").all()
    assert "USING COVERING INDEX" in plan[0][-1]
    engine.dispose()
