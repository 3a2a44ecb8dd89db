"""The clock's work: what goes wrong with one thing keeps no other waiting."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from airflow_provider_pushmetrics.service.bootstrap import bootstrap
from airflow_provider_pushmetrics.service.database import Database
from airflow_provider_pushmetrics.service.models import OutgoingMail, SlackMessage
from airflow_provider_pushmetrics.service.notifications.outgoing import Postman, put_mail
from airflow_provider_pushmetrics.service.notifications.texts import NoticeText
from airflow_provider_pushmetrics.service.results import ResultStore
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
