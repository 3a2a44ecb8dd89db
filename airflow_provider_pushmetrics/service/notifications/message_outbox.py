"""
The outbox: messages are added in the transaction of what they report, then sent, and always kept.

A message whose server is not configured is kept and not sent. It can be read, and sent on request. It is not
sent automatically when a server is configured later, since it may be outdated.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.exceptions import PushMetricsConflictError
from airflow_provider_pushmetrics.service.models import OutgoingMessage
from airflow_provider_pushmetrics.service.models.statuses import FAILED, PENDING
from airflow_provider_pushmetrics.service.notifications.recipients import (
    Recipient,
    parse_recipient,
    unique_channels,
    unique_recipients,
)
from airflow_provider_pushmetrics.service.notifications.texts import NoticeText
from airflow_provider_pushmetrics.service.storage.clock import DatabaseClock, read_database_clock

MAIL = "mail"
SLACK = "slack"
KINDS = (MAIL, SLACK)

KEPT = "kept"
"""Status of a message for which no server is configured."""

SENT = "sent"
"""Status of a message that its server accepted."""


@dataclass(frozen=True)
class MailDraft:
    """
    The mail of a block.

    :param files: The attached results and pictures, as references.
    """

    recipients: tuple[Recipient, ...]
    words: NoticeText
    files: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class SlackDraft:
    """
    The Slack message of a block.

    :param text: The fallback where Slack cannot show Markdown, in Slack's own markup.
    :param markdown: The message.
    """

    channels: tuple[str, ...]
    text: str
    markdown: str | None = None


def add_mail(
    session: Session,
    workspace_id: int,
    recipients: Iterable[str | Recipient],
    words: NoticeText,
    files: Sequence[dict[str, Any]] = (),
    *,
    block_result_id: int | None = None,
    clock: DatabaseClock = read_database_clock,
) -> list[OutgoingMessage]:
    """
    Add a mail for each recipient, in the caller's transaction. Duplicate addresses get one.

    :raises PushMetricsParameterError: if a recipient is not a mail address.
    """
    now = clock(session)
    parsed = [parse_recipient(one) if isinstance(one, str) else one for one in recipients]
    messages = [
        OutgoingMessage(
            workspace_id=workspace_id,
            block_result_id=block_result_id,
            kind=MAIL,
            recipient=recipient.address,
            recipient_name=recipient.name or None,
            subject=words.subject,
            text=words.text,
            formatted=words.html,
            files=list(files),
            created_on=now,
            next_attempt_on=now,
        )
        for recipient in unique_recipients(parsed)
    ]
    session.add_all(messages)
    return messages


def add_slack(
    session: Session,
    workspace_id: int,
    draft: SlackDraft,
    *,
    block_result_id: int | None = None,
    clock: DatabaseClock = read_database_clock,
) -> list[OutgoingMessage]:
    """Add a message for each channel, in the caller's transaction. Duplicate channels get one."""
    now = clock(session)
    messages = [
        OutgoingMessage(
            workspace_id=workspace_id,
            block_result_id=block_result_id,
            kind=SLACK,
            recipient=channel,
            text=draft.text,
            formatted=draft.markdown,
            created_on=now,
            next_attempt_on=now,
        )
        for channel in unique_channels(draft.channels)
    ]
    session.add_all(messages)
    return messages


def send_again(message: OutgoingMessage, now: datetime) -> None:
    """
    Schedule a message that was kept or that failed.

    It keeps its uid, so that a mail server can detect a duplicate.

    :raises PushMetricsConflictError: if it was sent, or is pending.
    """
    if message.status not in (KEPT, FAILED):
        raise PushMetricsConflictError(
            f"message {message.id} is {message.status!r}: only one that was kept or that failed can be sent"
            " again."
        )
    message.status, message.attempt_count, message.finished_on, message.error = PENDING, 0, None, None
    message.next_attempt_on = now
