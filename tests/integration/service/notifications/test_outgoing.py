"""Mail from the transaction that it tells of to the server, on both databases."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from airflow_provider_pushmetrics.exceptions import PushMetricsConflictError, PushMetricsParameterError
from airflow_provider_pushmetrics.service.bootstrap import bootstrap
from airflow_provider_pushmetrics.service.database import Database
from airflow_provider_pushmetrics.service.models import OutgoingMail
from airflow_provider_pushmetrics.service.notifications.mail import Mailer
from airflow_provider_pushmetrics.service.notifications.outgoing import (
    ATTEMPT_DELAYS_SECONDS,
    Postman,
    ask_again,
    put_mail,
)
from airflow_provider_pushmetrics.service.notifications.settings import Security, SmtpSettings
from airflow_provider_pushmetrics.service.notifications.texts import build_text
from airflow_provider_pushmetrics.service.results.store import ResultStore
from tests.fakes.loopback import find_closed_port
from tests.fakes.mail_server import serve_mail
from tests.fakes.notices import BROKEN, SUCCEEDED
from tests.fakes.service_process import API_TOKEN

FOLDER = Path(tempfile.gettempdir())
"""There are no results in it; mails of these tests have no files."""

BEGAN = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def database(url: str, tmp_path: Path) -> Iterator[Database]:
    database = Database(url)
    database.migrate()
    bootstrap(database, tmp_path, API_TOKEN)
    yield database
    database.close()


@dataclass
class Clock:
    now: datetime = BEGAN

    def __call__(self) -> datetime:
        return self.now


def build_postman(database: Database, port: int | None, clock: Callable[[], datetime] = Clock()) -> Postman:  # noqa: B008
    if port is None:
        return Postman(database, None, ResultStore(FOLDER), clock=clock)
    sender = "reports@example.com"
    settings = SmtpSettings("127.0.0.1", sender, port, security=Security.NONE, timeout_seconds=5)
    return Postman(database, Mailer(settings), ResultStore(FOLDER), clock=clock)


def put(database: Database, *recipients: str) -> list[int]:
    with database.writing() as session:
        mails = put_mail(session, 1, recipients, build_text(SUCCEEDED), clock=lambda: BEGAN)
        session.flush()
        return [mail.id for mail in mails]


def read(database: Database, mail_id: int) -> OutgoingMail:
    with database.reading() as session:
        return session.get_one(OutgoingMail, mail_id)


async def test_mail_is_sent_once_to_each_recipient(database: Database) -> None:
    ids = put(database, "ann@example.com", "bob@example.com", "ann@example.com")
    async with serve_mail() as server:
        postman = build_postman(database, server.port)
        assert postman.list_due() == ids
        for mail_id in [*ids, *ids]:
            assert await asyncio.to_thread(postman.attempt, mail_id) is None
    assert [recipients for _, recipients in server.envelopes] == [["ann@example.com"], ["bob@example.com"]]
    assert server.taken[0]["Message-ID"] == f"<{read(database, ids[0]).uid}@example.com>"
    assert read(database, ids[0]).status == "sent"
    assert read(database, ids[0]).finished_on == BEGAN
    assert postman.list_due() == []


def put_and_fail(database: Database) -> None:
    with database.writing() as session:
        put_mail(session, 1, ["ann@example.com"], build_text(BROKEN))
        session.flush()
        raise RuntimeError


def test_mail_of_a_transaction_that_fails_is_never_sent(database: Database) -> None:
    with pytest.raises(RuntimeError):
        put_and_fail(database)
    with database.reading() as session:
        assert session.scalars(select(OutgoingMail)).all() == []


def test_mail_to_nobody_is_refused(database: Database) -> None:
    with pytest.raises(PushMetricsParameterError, match="'ann' is no mail address"):
        put(database, "ann")


async def test_mail_without_a_server_is_kept_and_can_be_sent_later(database: Database) -> None:
    (mail_id,) = put(database, "ann@example.com")
    assert build_postman(database, None).attempt(mail_id) is None
    kept = read(database, mail_id)
    assert (kept.status, kept.attempt_count, kept.text) == ("kept", 0, build_text(SUCCEEDED).text)
    async with serve_mail() as server:
        postman = build_postman(database, server.port)
        assert postman.list_due() == [], "old news does not go out by itself"
        with database.writing() as session:
            assert ask_again(session, mail_id, clock=lambda: BEGAN) is not None
        assert postman.list_due() == [mail_id]
        await asyncio.to_thread(postman.attempt, mail_id)
    assert len(server.taken) == 1
    assert read(database, mail_id).status == "sent"
    sending_again = pytest.raises(PushMetricsConflictError, match="is 'sent': only one that was kept")
    with sending_again, database.writing() as session:
        ask_again(session, mail_id)


def test_mail_that_is_not_there_is_not_sent(database: Database) -> None:
    assert build_postman(database, None).attempt(17) is None
    with database.writing() as session:
        assert ask_again(session, 17) is None


def test_server_that_is_down_is_tried_by_the_table(database: Database) -> None:
    (mail_id,) = put(database, "ann@example.com")
    clock, port, delays = Clock(), find_closed_port(), []
    postman = build_postman(database, port, clock)
    while (delay := postman.attempt(mail_id)) is not None:
        delays.append(delay)
        assert read(database, mail_id).next_attempt_on == clock.now + timedelta(seconds=delay)
        assert postman.list_due() == []
        clock.now += timedelta(seconds=delay)
        assert postman.list_due() == [mail_id]
    assert delays == list(ATTEMPT_DELAYS_SECONDS[1:])
    failed = read(database, mail_id)
    assert (failed.status, failed.attempt_count) == ("failed", 8)
    assert "was not taken by '127.0.0.1'" in str(failed.error)


async def test_address_that_does_not_exist_is_tried_once(database: Database) -> None:
    (mail_id,) = put(database, "ann@example.com")
    async with serve_mail() as server:
        server.recipient_answer = "550 no such user"
        assert await asyncio.to_thread(build_postman(database, server.port).attempt, mail_id) is None
    failed = read(database, mail_id)
    assert (failed.status, failed.attempt_count) == ("failed", 1)
    assert "550 no such user" in str(failed.error)
