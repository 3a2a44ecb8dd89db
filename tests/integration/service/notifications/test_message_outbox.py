"""Messages from the transaction that they tell of to their server, on both databases."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from airflow_provider_pushmetrics.exceptions import (
    NotificationDelayedError,
    NotificationError,
    PushMetricsConflictError,
    PushMetricsParameterError,
)
from airflow_provider_pushmetrics.service.models import OutgoingMessage
from airflow_provider_pushmetrics.service.notifications.mail import Mailer
from airflow_provider_pushmetrics.service.notifications.mail_transport import MailTransport
from airflow_provider_pushmetrics.service.notifications.message_outbox import (
    MAIL,
    SLACK,
    SlackDraft,
    add_mail,
    add_slack,
    send_again,
)
from airflow_provider_pushmetrics.service.notifications.outbox_sender import (
    MESSAGE_DELAYS_SECONDS,
    MessageTransport,
    OutboxSender,
)
from airflow_provider_pushmetrics.service.notifications.settings import Security, SmtpSettings
from airflow_provider_pushmetrics.service.notifications.texts import NoticeText, build_text
from airflow_provider_pushmetrics.service.results.attachments import Attachment
from airflow_provider_pushmetrics.service.results.encoders.formats import ResultHeader
from airflow_provider_pushmetrics.service.results.store import ResultStore
from airflow_provider_pushmetrics.service.storage.database import Database
from tests.fakes.claims import do_all, open_outbox, release_all, send_due
from tests.fakes.mail_server import serve_mail
from tests.fakes.notices import BROKEN, SUCCEEDED
from tests.fakes.service_process import find_free_port
from tests.fakes.waiting import LIMIT_SECONDS, wait_until

BEGAN = datetime(2026, 3, 1, 12, tzinfo=UTC)
WORDS = NoticeText("s", "t", "h")


@dataclass
class Clock:
    now: datetime = BEGAN

    def __call__(self, _: object = None) -> datetime:
        return self.now


class FakeTransport(MessageTransport):
    """Remembers what it sent, and fails as it is told."""

    def __init__(self, error: Exception | None = None, *, fails_for: str = "") -> None:
        self.error, self.fails_for = error, fails_for
        self.sent: list[str] = []

    def send(self, message: OutgoingMessage) -> None:
        if self.error is not None and self.fails_for in message.recipient:
            raise self.error
        self.sent.append(message.recipient)


class SlowTransport(FakeTransport):
    """Waits until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.has_begun, self.is_released = threading.Event(), threading.Event()

    def send(self, message: OutgoingMessage) -> None:
        self.has_begun.set()
        assert self.is_released.wait(LIMIT_SECONDS)
        super().send(message)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def open_mail(database: Database, port: int, folder: Path) -> MailTransport:
    settings = SmtpSettings(
        "127.0.0.1", "reports@example.com", port, security=Security.NONE, timeout_seconds=60
    )
    return MailTransport(Mailer(settings), ResultStore(folder), database)


def add(database: Database, *recipients: str) -> list[int]:
    with database.writing() as session:
        messages = add_mail(session, 1, recipients, build_text(SUCCEEDED), clock=lambda _: BEGAN)
        session.flush()
        return [message.id for message in messages]


def read(database: Database, message_id: int) -> OutgoingMessage:
    with database.reading() as session:
        return session.get_one(OutgoingMessage, message_id)


def count_attempts(sender: OutboxSender) -> dict[tuple[str, ...], float]:
    samples = [sample for family in sender.attempt_seconds.collect() for sample in family.samples]
    counts = [sample for sample in samples if sample.name.endswith("_count") and sample.value]
    return {(sample.labels["kind"], sample.labels["outcome"]): sample.value for sample in counts}


async def test_mail_is_sent_once_to_each_address_whatever_its_case(
    database: Database, clock: Clock, tmp_path: Path
) -> None:
    ids = add(database, "Ann <ann@example.com>", "bob@example.com", "ANN@example.com")
    async with serve_mail() as server:
        sender = OutboxSender(database, {MAIL: open_mail(database, server.port, tmp_path)}, clock=clock)
        for _ in range(2):
            await asyncio.to_thread(send_due, database, sender, clock)
    assert [recipients for _, recipients in server.envelopes] == [["ann@example.com"], ["bob@example.com"]]
    assert str(server.taken[0]["To"]) == "Ann <ann@example.com>"
    first = read(database, ids[0])
    assert server.taken[0]["Message-ID"] == f"<{first.uid}@example.com>"
    assert (first.status, first.finished_on, first.attempt_count) == ("sent", BEGAN, 1)
    assert count_attempts(sender) == {("mail", "sent"): 2}


def add_and_fail(database: Database) -> None:
    with database.writing() as session:
        add_mail(session, 1, ["ann@example.com"], build_text(BROKEN))
        session.flush()
        raise RuntimeError


def test_message_of_a_transaction_that_fails_is_never_sent(database: Database) -> None:
    with pytest.raises(RuntimeError):
        add_and_fail(database)
    with database.reading() as session:
        assert session.scalars(select(OutgoingMessage)).all() == []


def test_mail_to_nobody_is_refused(database: Database) -> None:
    with pytest.raises(PushMetricsParameterError, match="'ann' is not a mail address"):
        add(database, "ann")


def test_message_without_a_server_is_kept_and_can_be_sent_later(database: Database, clock: Clock) -> None:
    with database.writing() as session:
        add_slack(session, 1, SlackDraft(("#a", "#a", "a"), "t"), clock=clock)
    (mail_id,) = add(database, "ann@example.com")
    send_due(database, OutboxSender(database, {}, clock=clock), clock)
    with database.reading() as session:
        kept = session.scalars(select(OutgoingMessage)).all()
    assert {(one.kind, one.recipient, one.status, one.attempt_count) for one in kept} == {
        ("mail", "ann@example.com", "kept", 0),
        ("slack", "#a", "kept", 0),
    }
    transport = FakeTransport()
    sender = OutboxSender(database, {MAIL: transport, SLACK: transport}, clock=clock)
    send_due(database, sender, clock)
    assert transport.sent == [], "what is outdated is not sent by itself"
    with database.writing() as session:
        for one in session.scalars(select(OutgoingMessage)):
            send_again(one, clock.now)
    send_due(database, sender, clock)
    assert transport.sent == ["ann@example.com", "#a"]
    with pytest.raises(PushMetricsConflictError, match="is 'sent': only one that was kept"):
        send_again(read(database, mail_id), BEGAN)


def test_server_that_is_down_is_tried_by_the_table(database: Database, clock: Clock, tmp_path: Path) -> None:
    (mail_id,) = add(database, "ann@example.com")
    sender = OutboxSender(database, {MAIL: open_mail(database, find_free_port(), tmp_path)}, clock=clock)
    delays: list[float] = []
    while True:
        send_due(database, sender, clock)
        message = read(database, mail_id)
        if message.status != "pending":
            break
        assert message.attempt_count == len(delays) + 1
        delays.append((message.next_attempt_on - clock.now).total_seconds())
        clock.now = message.next_attempt_on - timedelta(seconds=1)
        send_due(database, sender, clock)
        assert read(database, mail_id).attempt_count == len(delays), "not before its time"
        clock.now = message.next_attempt_on
    assert delays == list(MESSAGE_DELAYS_SECONDS[1:])
    assert (message.status, message.attempt_count) == ("failed", 8)
    assert "was not taken by '127.0.0.1'" in str(message.error)


async def test_mails_of_an_outage_are_sent_once_each_when_the_server_is_back(
    database: Database, clock: Clock, tmp_path: Path
) -> None:
    ids = add(database, "ann@example.com", "bob@example.com")
    away = OutboxSender(database, {MAIL: open_mail(database, find_free_port(), tmp_path)}, clock=clock)
    await asyncio.to_thread(send_due, database, away, clock)
    assert [(read(database, one).status, read(database, one).attempt_count) for one in ids] == [
        ("pending", 1),
        ("pending", 1),
    ]
    async with serve_mail() as server:
        back = OutboxSender(database, {MAIL: open_mail(database, server.port, tmp_path)}, clock=clock)
        await asyncio.to_thread(send_due, database, back, clock)
        assert server.taken == [], "not before the next attempt is due"
        clock.now += timedelta(seconds=MESSAGE_DELAYS_SECONDS[1])
        for _ in range(2):
            await asyncio.to_thread(send_due, database, back, clock)
    assert sorted(recipients for _, recipients in server.envelopes) == [
        ["ann@example.com"],
        ["bob@example.com"],
    ]
    for one in ids:
        sent = read(database, one)
        assert (sent.status, sent.attempt_count, sent.error) == ("sent", 2, None)


def test_server_that_asks_for_more_time_gets_it(database: Database, clock: Clock) -> None:
    (mail_id,) = add(database, "ann@example.com")
    error = NotificationDelayedError("slow down", retry_after_seconds=900)
    send_due(database, OutboxSender(database, {MAIL: FakeTransport(error)}, clock=clock), clock)
    assert read(database, mail_id).next_attempt_on == BEGAN + timedelta(seconds=900)


async def test_address_that_does_not_exist_is_tried_once(
    database: Database, clock: Clock, tmp_path: Path
) -> None:
    (mail_id,) = add(database, "ann@example.com")
    async with serve_mail() as server:
        server.recipient_answer = "550 no such user"
        sender = OutboxSender(database, {MAIL: open_mail(database, server.port, tmp_path)}, clock=clock)
        await asyncio.to_thread(send_due, database, sender, clock)
    failed = read(database, mail_id)
    assert (failed.status, failed.attempt_count) == ("failed", 1)
    assert "550 no such user" in str(failed.error)


@pytest.mark.parametrize("error", [UnicodeError("label too long"), NotificationError("?")])
def test_message_that_fails_by_anything_unforeseen_is_refused_once_and_delays_no_other(
    database: Database, clock: Clock, error: Exception
) -> None:
    ids = add(database, "a@example.com", "b@example.com")
    transport = FakeTransport(error, fails_for="a@")
    send_due(database, OutboxSender(database, {MAIL: transport}, clock=clock), clock)
    torn = read(database, ids[0])
    assert (torn.status, torn.attempt_count) == ("failed", 1)
    assert type(error).__name__ in str(torn.error) or str(torn.error) == "?"
    assert transport.sent == ["b@example.com"]


@pytest.mark.parametrize(
    "error", [RuntimeError("can't start new thread"), OSError(24, "files"), MemoryError()]
)
def test_message_is_sent_later_if_this_process_has_nothing_left_to_send_it_with(
    database: Database, clock: Clock, error: Exception
) -> None:
    (mail_id,) = add(database, "ann@example.com")
    transport = FakeTransport(error)
    sender = OutboxSender(database, {MAIL: transport}, clock=clock)
    send_due(database, sender, clock)
    delayed = read(database, mail_id)
    assert (delayed.status, delayed.attempt_count) == ("pending", 1)
    assert type(error).__name__ in str(delayed.error)
    transport.error, clock.now = None, delayed.next_attempt_on
    send_due(database, sender, clock)
    assert (read(database, mail_id).status, transport.sent) == ("sent", ["ann@example.com"])


async def test_mail_with_a_file_waits_for_the_folder_of_results(
    database: Database, clock: Clock, tmp_path: Path
) -> None:
    """It is not mounted, or its server is away. What is missing afterwards was deleted."""
    folder = tmp_path / "results"
    results = ResultStore(folder)
    results.write_bytes("run-1/q.parquet", b"rows")
    ids = []
    for name in ("run-1/q.parquet", "run-1/gone.parquet"):
        file = Attachment("q.parquet", "parquet", name, ResultHeader(1, "q", 1, "success")).to_dict()
        with database.writing() as session:
            (message,) = add_mail(
                session, 1, ["ann@example.com"], build_text(SUCCEEDED), [file], clock=lambda _: BEGAN
            )
            session.flush()
            ids.append(message.id)
    async with serve_mail() as server:
        settings = SmtpSettings("127.0.0.1", "r@example.com", server.port, security=Security.NONE)
        mails = MailTransport(Mailer(settings), results, database)
        sender = OutboxSender(database, {MAIL: mails}, clock=clock)
        for away in ("gone", "empty", "unreadable"):
            folder.rename(tmp_path / "elsewhere")
            if away == "empty":
                folder.mkdir()
            elif away == "unreadable":
                folder.symlink_to(folder)  # as a stale mount: each look fails
            await asyncio.to_thread(send_due, database, sender, clock)
            assert [read(database, one).status for one in ids] == ["pending", "pending"], away
            assert "folder of results" in str(read(database, ids[0]).error), away
            clock.now = read(database, ids[0]).next_attempt_on
            if away != "gone":
                folder.unlink() if away == "unreadable" else folder.rmdir()
            (tmp_path / "elsewhere").rename(folder)
        await asyncio.to_thread(send_due, database, sender, clock)
    assert [read(database, one).status for one in ids] == ["sent", "failed"]
    assert "no longer kept" in str(read(database, ids[1]).error)


def test_message_of_a_worker_that_died_is_sent_by_another(database: Database, clock: Clock) -> None:
    (mail_id,) = add(database, "ann@example.com")
    dying, living = FakeTransport(KeyboardInterrupt()), FakeTransport()  # type: ignore[arg-type]
    queue = open_outbox(
        database, OutboxSender(database, {MAIL: dying}, clock=clock), name="dead", clock=clock
    )
    with pytest.raises(KeyboardInterrupt):
        do_all(queue)
    sender = OutboxSender(database, {MAIL: living}, clock=clock)
    send_due(database, sender, clock)
    assert living.sent == []
    assert len(release_all(database, "dead", counts_loss=True)) == 1
    send_due(database, sender, clock)
    assert (living.sent, read(database, mail_id).status) == (["ann@example.com"], "sent")


def test_two_workers_send_a_message_once(database: Database, clock: Clock) -> None:
    add(database, *(f"user{number}@example.com" for number in range(20)))
    transport = FakeTransport()
    sender = OutboxSender(database, {MAIL: transport}, clock=clock)
    queues = [open_outbox(database, sender, name=f"worker-{number}", clock=clock) for number in range(2)]
    threads = [threading.Thread(target=do_all, args=(queue,)) for queue in queues]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    send_due(database, sender, clock)  # both may have ended on a row that the other was claiming
    assert len(transport.sent) == len(set(transport.sent)) == 20


def test_slow_mail_server_delays_neither_slack_nor_the_end(database: Database) -> None:
    slow, quick = SlowTransport(), FakeTransport()
    queue = open_outbox(database, OutboxSender(database, {MAIL: slow, SLACK: quick}))
    with database.writing() as session:
        add_mail(session, 1, ["a@example.com"], WORDS)
    queue.start()
    assert slow.has_begun.wait(LIMIT_SECONDS)
    with database.writing() as session:
        add_slack(session, 1, SlackDraft(("#c",), "t"))
    queue.wake()
    wait_until(lambda: quick.sent == ["#c"])
    assert queue.stop_claiming()
    assert not queue.wait_until_idle(0.2)
    slow.is_released.set()
    assert queue.wait_until_idle(120)
    assert slow.sent == ["a@example.com"]


def test_text_that_no_database_holds_is_replaced_on_its_way_in(database: Database) -> None:
    with database.writing() as session:
        (mail,) = add_mail(session, 1, ["a@example.com"], NoticeText("s", "a\x00b\ud800c"))
        session.flush()
        mail_id = mail.id
    assert read(database, mail_id).text == "a\ufffdb\ufffdc"
