"""
Mail on its way: put down in the transaction of what it tells of, then sent, and kept in any case.

Where no SMTP server is set, mail is kept and not sent: it can be read, and sent when somebody asks for it. It
does not go out by itself on the day that a server is set, when most of it would be old news.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.exceptions import (
    NotificationDelayedError,
    NotificationError,
    NotificationRefusedError,
    PushMetricsConflictError,
)
from airflow_provider_pushmetrics.service.clock import Clock, get_now
from airflow_provider_pushmetrics.service.database import Database
from airflow_provider_pushmetrics.service.models import OutgoingMail
from airflow_provider_pushmetrics.service.notifications.mail import Mail, Mailer, MailFile
from airflow_provider_pushmetrics.service.notifications.recipients import check_recipient
from airflow_provider_pushmetrics.service.notifications.texts import NoticeText
from airflow_provider_pushmetrics.service.results.attachments import MEDIA_TYPES, Attachment, write_attachment
from airflow_provider_pushmetrics.service.results.store import ResultError, ResultStore
from airflow_provider_pushmetrics.service.statuses import FAILED, PENDING

KEPT = "kept"
"""Of a mail: there was no server to send it."""

SENT = "sent"
"""Of a mail: the server took it."""

log = logging.getLogger(__name__)

ATTEMPT_DELAYS_SECONDS = (0, 60, 300, 1800, 7200, 21600, 43200, 86400)
"""The wait before each attempt, counted from the one before: 45 hours in all. Later it would be old news."""


def put_mail(
    session: Session,
    workspace_id: int,
    recipients: Iterable[str],
    words: NoticeText,
    attachments: Sequence[Attachment] = (),
    *,
    clock: Clock = get_now,
) -> list[OutgoingMail]:
    """
    Put down a mail for each recipient, once each, in the caller's transaction.

    :param attachments: The results that go with it; their files are written when it is sent.
    :raises PushMetricsParameterError: if a recipient is no mail address.
    """
    mails = [
        OutgoingMail(
            workspace_id=workspace_id,
            recipient=check_recipient(recipient),
            subject=words.subject,
            text=words.text,
            html=words.html,
            attachments=[attachment.to_dict() for attachment in attachments] or None,
            status=PENDING,
            created_on=clock(),
            next_attempt_on=clock(),
        )
        for recipient in dict.fromkeys(recipients)
    ]
    session.add_all(mails)
    return mails


def ask_again(session: Session, mail_id: int, *, clock: Clock = get_now) -> OutgoingMail | None:
    """
    Have a mail sent that was kept, or that failed; it keeps its name, so that a repeat can be known.

    :return: The mail; None if there is none.
    :raises PushMetricsConflictError: if it was sent, or is about to be.
    """
    mail = session.get(OutgoingMail, mail_id)
    if mail is None:
        return None
    if mail.status not in (KEPT, FAILED):
        raise PushMetricsConflictError(
            f"mail {mail_id} is {mail.status!r}: only one that was kept or that failed can be sent again."
        )
    mail.status, mail.attempt_count, mail.finished_on, mail.error = PENDING, 0, None, None
    mail.next_attempt_on = clock()
    return mail


class Postman:
    """
    Makes attempts to send mail. It blocks, so call it where no event loop runs.

    :param database: Where mail is kept.
    :param mailer: Sends it; None where no SMTP server is set.
    :param results: Where the results are that go with mail.
    """

    def __init__(
        self, database: Database, mailer: Mailer | None, results: ResultStore, *, clock: Clock = get_now
    ) -> None:
        self._database = database
        self._mailer = mailer
        self._results = results
        self._clock = clock

    def list_due(self, limit: int = 100) -> list[int]:
        """List the mails whose next attempt is due, the longest waiting first."""
        with self._database.reading() as session:
            due = (
                select(OutgoingMail.id)
                .where(OutgoingMail.status == PENDING, OutgoingMail.next_attempt_on <= self._clock())
                .order_by(OutgoingMail.next_attempt_on, OutgoingMail.id)
                .limit(limit)
            )
            return list(session.scalars(due))

    def attempt(self, mail_id: int) -> float | None:
        """
        Make one attempt and record it.

        :return: The seconds until the next one; None if there is none.
        """
        row = self._find_pending(mail_id)
        if row is None:
            return None
        error = None if self._mailer is None else self._try_to_send(self._mailer, row)
        with self._database.writing() as session:
            row = session.get(OutgoingMail, mail_id)
            return None if row is None else self._record(row, error)

    def _find_pending(self, mail_id: int) -> OutgoingMail | None:
        with self._database.reading() as session:
            row = session.get(OutgoingMail, mail_id)
            return None if row is None or row.status != PENDING else row

    def _try_to_send(self, mailer: Mailer, row: OutgoingMail) -> NotificationError | None:
        words = NoticeText(row.subject, row.text, row.html)
        try:
            mail = Mail(row.uid, row.recipient, words, row.created_on, self._write_files(row))
            asyncio.run(mailer.send(mail))
        except NotificationError as error:
            return error
        except Exception as error:
            # It would be the same the next time, and for ever: nobody knows that it can pass.
            log.exception("mail %s cannot be sent", row.id)
            return NotificationRefusedError(
                f"the mail to {row.recipient!r} was not sent: {type(error).__name__}; the log has more."
            )
        return None

    def _write_files(self, row: OutgoingMail) -> tuple[MailFile, ...]:
        found = [Attachment.from_dict(kept) for kept in row.attachments or ()]
        try:
            return tuple(
                MailFile(one.name, MEDIA_TYPES[one.format], b"".join(write_attachment(self._results, one)))
                for one in found
            )
        except ResultError as error:
            raise NotificationRefusedError(f"the mail to {row.recipient!r} was not sent: {error}") from error

    def _record(self, row: OutgoingMail, error: NotificationError | None) -> float | None:
        if self._mailer is None:
            row.status = KEPT
            return None
        row.attempt_count += 1
        row.error = None if error is None else str(error)
        delay = _find_delay(error, row.attempt_count)
        if delay is None:
            row.status, row.finished_on = (SENT if error is None else FAILED), self._clock()
            return None
        row.next_attempt_on = self._clock() + timedelta(seconds=delay)
        return delay


def _find_delay(error: NotificationError | None, attempts: int) -> float | None:
    if not isinstance(error, NotificationDelayedError) or attempts >= len(ATTEMPT_DELAYS_SECONDS):
        return None
    return max(float(ATTEMPT_DELAYS_SECONDS[attempts]), error.retry_after_seconds or 0.0)
