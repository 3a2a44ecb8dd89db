"""From a mail of the outbox to one that travels, with the files that it refers to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from airflow_provider_pushmetrics.exceptions import NotificationRefusedError
from airflow_provider_pushmetrics.service.models import OutgoingMessage
from airflow_provider_pushmetrics.service.notifications.mail import Mail, Mailer, MailFile
from airflow_provider_pushmetrics.service.notifications.recipients import Recipient
from airflow_provider_pushmetrics.service.notifications.texts import NoticeText
from airflow_provider_pushmetrics.service.results.attachments import MEDIA_TYPES, Attachment, write_attachment
from airflow_provider_pushmetrics.service.results.store import ResultError, ResultStore


class MailCarrier:
    """
    Sends mails of the outbox.

    :param results: Where the results are that go with mail; their files are written when it is sent.
    """

    def __init__(self, mailer: Mailer, results: ResultStore) -> None:
        self._mailer = mailer
        self._results = results

    def send(self, message: OutgoingMessage) -> None:
        """
        Make one attempt.

        :raises NotificationDelayedError: if it may work later.
        :raises NotificationRefusedError: if the server does not take it, or a file is no longer kept.
        """
        words = NoticeText(message.subject, message.text, message.formatted)
        recipient = Recipient(message.recipient, message.recipient_name or "")
        try:
            files = tuple(self._write_files(message.files))
        except ResultError as error:
            raise NotificationRefusedError(
                f"the mail to {message.recipient!r} was not sent: {error}"
            ) from error
        self._mailer.send(Mail(message.uid, recipient, words, message.created_on, files))

    def _write_files(self, stored: Iterable[dict[str, Any]]) -> Iterable[MailFile]:
        for one in stored:
            attachment = Attachment.from_dict(one)
            content = b"".join(write_attachment(self._results, attachment))
            yield MailFile(attachment.name, MEDIA_TYPES[attachment.format], content)
