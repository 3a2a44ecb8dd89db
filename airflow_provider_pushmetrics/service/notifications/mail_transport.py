"""Sends the mails of the outbox, with their attachments and pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import select

from airflow_provider_pushmetrics.exceptions import (
    NotificationDelayedError,
    NotificationRefusedError,
    PushMetricsUnavailableError,
)
from airflow_provider_pushmetrics.service.charts.kept_pictures import read_pictures
from airflow_provider_pushmetrics.service.models import BlockResult, OutgoingMessage
from airflow_provider_pushmetrics.service.notifications.mail import Mail, Mailer, MailFile
from airflow_provider_pushmetrics.service.notifications.recipients import Recipient
from airflow_provider_pushmetrics.service.notifications.texts import NoticeText
from airflow_provider_pushmetrics.service.results.attachments import MEDIA_TYPES, Attachment, write_attachment
from airflow_provider_pushmetrics.service.results.store import ResultStore
from airflow_provider_pushmetrics.service.results.stored_result import ResultError
from airflow_provider_pushmetrics.service.storage.database import Database

PNG = "image/png"


class MailTransport:
    """
    Sends mails of the outbox. Their files are created when they are sent, of the results that are kept.

    :param results: The results that are attached, and the pictures of charts.
    :param database: The database, which knows the files of charts.
    """

    def __init__(self, mailer: Mailer, results: ResultStore, database: Database) -> None:
        self._mailer = mailer
        self._results = results
        self._database = database

    def send(self, message: OutgoingMessage) -> None:
        """
        Make one attempt.

        :raises NotificationDelayedError: if a later attempt may succeed.
        :raises NotificationRefusedError: if the server rejects it, or a file was deleted.
        """
        words = NoticeText(message.subject, message.text, message.formatted)
        recipient = Recipient(message.recipient, message.recipient_name or "")
        try:
            files = tuple(self._make_files(message.files))
        except PushMetricsUnavailableError as error:
            raise NotificationDelayedError(
                f"the mail to {message.recipient!r} was not sent: {error}",
                retry_after_seconds=error.retry_after_seconds,
            ) from error
        except ResultError as error:
            raise NotificationRefusedError(
                f"the mail to {message.recipient!r} was not sent: {error}"
            ) from error
        self._mailer.send(Mail(message.uid, recipient, words, message.created_on, files))

    def _make_files(self, stored: Iterable[Mapping[str, Any]]) -> Iterable[MailFile]:
        for one in stored:
            if "content_id" in one:
                yield MailFile(one["name"], PNG, self._read_picture(one), one["content_id"])
            else:
                attachment = Attachment.from_dict(one)
                content = b"".join(write_attachment(self._results, attachment))
                yield MailFile(attachment.name, MEDIA_TYPES[attachment.format], content)

    def _read_picture(self, picture: Mapping[str, Any]) -> bytes:
        chart = select(BlockResult.result_file).where(
            BlockResult.block_uid == picture["block_uid"],
            BlockResult.run_id == picture["run_id"],
            BlockResult.query_run_id == picture["query_run_id"],
        )
        with self._database.reading() as session:
            file = session.scalar(chart)
        if file is None:
            raise ResultError(f"the chart of the picture {picture['name']!r} is no longer kept.")
        return read_pictures(self._results, file).picture
