"""The clock's work: what goes wrong with one thing keeps no other waiting."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.service.bootstrap import bootstrap
from airflow_provider_pushmetrics.service.clock import get_now
from airflow_provider_pushmetrics.service.database import Database
from airflow_provider_pushmetrics.service.models import OutgoingMail, SlackMessage
from airflow_provider_pushmetrics.service.notifications.mail import Mail, Mailer
from airflow_provider_pushmetrics.service.notifications.outgoing import Postman, put_mail
from airflow_provider_pushmetrics.service.notifications.texts import NoticeText
from airflow_provider_pushmetrics.service.results.store import ResultStore
from airflow_provider_pushmetrics.service.timekeeper import Timekeeper
from tests.fakes.service_process import API_TOKEN

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def database(url: str, tmp_path: Path) -> Iterator[Database]:
    database = Database(url)
    database.migrate()
    bootstrap(database, tmp_path, API_TOKEN)
    yield database
    database.close()


class TornPostman(Postman):
    """Meets a fault of ours with one mail, and sends the others."""

    torn: int = 0

    def attempt(self, mail_id: int) -> float | None:
        if mail_id == self.torn:
            raise ValueError("a fault of ours")
        return super().attempt(mail_id)


class SilentPostman(Postman):
    """Meets a server that takes its time."""

    def attempt(self, mail_id: int) -> float | None:
        self.has_begun.set()
        assert self.is_let_go.wait(30)
        return super().attempt(mail_id)

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.has_begun, self.is_let_go = threading.Event(), threading.Event()


def test_silent_mail_server_stops_neither_what_is_due_nor_the_end(database: Database, tmp_path: Path) -> None:
    postman = SilentPostman(database, None, ResultStore(tmp_path))
    with database.writing() as session:
        put_mail(session, 1, ["a@example.com"], NoticeText("s", "t", "h"))
    looks: list[float] = []

    def fire(*_: object) -> int:
        looks.append(time.monotonic())
        return 0

    timekeeper = Timekeeper(database, lambda: None, postman, None, fire=fire)
    timekeeper.start()
    assert postman.has_begun.wait(10)
    before = len(looks)
    with database.writing() as session:
        session.add(SlackMessage(id=1, workspace_id=1, channel="#c", text="t", next_attempt_on=get_now()))
    time.sleep(2.5)
    assert len(looks) >= before + 2
    with database.reading() as session:
        assert session.get_one(SlackMessage, 1).status == "kept"
    began = time.monotonic()
    assert not timekeeper.stop(0.2)
    assert time.monotonic() - began < 5
    postman.is_let_go.set()
    assert timekeeper.stop()


class BrokenMailer(Mailer):
    """Fails by what nobody foresaw."""

    def __init__(self) -> None:
        pass

    async def send(self, mail: Mail) -> None:
        raise UnicodeError("label empty or too long")


def test_mail_that_fails_by_anything_unforeseen_is_refused_once(database: Database, tmp_path: Path) -> None:
    with database.writing() as session:
        mail_id = put_mail_id(session)
    assert Postman(database, BrokenMailer(), ResultStore(tmp_path)).attempt(mail_id) is None
    with database.reading() as session:
        mail = session.get_one(OutgoingMail, mail_id)
    assert (mail.status, mail.attempt_count) == ("failed", 1)
    assert "UnicodeError" in str(mail.error)


def put_mail_id(session: Session) -> int:
    (mail,) = put_mail(session, 1, ["a@example.com"], NoticeText("s", "t", "h"))
    session.flush()
    return mail.id


def test_mail_that_cannot_be_tried_keeps_no_other_waiting(database: Database, tmp_path: Path) -> None:
    postman = TornPostman(database, None, ResultStore(tmp_path), clock=lambda: NOW)
    with database.writing() as session:
        words = NoticeText("s", "t", "h")
        mails = put_mail(session, 1, ["a@example.com", "b@example.com"], words, clock=lambda: NOW)
        message = SlackMessage(workspace_id=1, channel="#c", text="t", next_attempt_on=NOW)
        session.add(message)
        session.flush()
        postman.torn, well, message_id = mails[0].id, mails[1].id, message.id
    timekeeper = Timekeeper(database, lambda: None, postman, None, clock=lambda: NOW)
    timekeeper.look()
    with database.reading() as session:
        assert session.get_one(OutgoingMail, well).status == "kept"
        assert session.get_one(SlackMessage, message_id).status == "kept"
        torn = session.get_one(OutgoingMail, postman.torn)
    assert (torn.status, torn.next_attempt_on) == ("pending", NOW + timedelta(minutes=5))
