"""The outbox of messages by mail and Slack."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from airflow_provider_pushmetrics.service.models.base import (
    Base,
    Claimable,
    Identified,
    index_age,
    index_list,
    index_work,
)


class OutgoingMessage(Claimable, Identified, Base):
    """
    A message to one mail address or one Slack channel, also if it was never sent.

    Its uid is used as the mail's Message-ID. ``formatted`` is the text in the markup of its kind: HTML for
    mail, Markdown for Slack.
    """

    __tablename__ = "message"
    __table_args__ = (
        index_age("message"),
        index_list("message"),
        *index_work("message", "kind", "next_attempt_on", unfinished="status = 'pending'"),
        {"sqlite_autoincrement": True},
    )

    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspace.id"))
    block_result_id: Mapped[int | None] = mapped_column(
        ForeignKey("block_result.id", ondelete="SET NULL"), index=True
    )
    kind: Mapped[str] = mapped_column(String(16))
    recipient: Mapped[str] = mapped_column(String(255))
    recipient_name: Mapped[str | None] = mapped_column(String(255))
    subject: Mapped[str] = mapped_column(String(255), default="")
    text: Mapped[str] = mapped_column(Text)
    formatted: Mapped[str | None] = mapped_column(Text)
    files: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list)
    status: Mapped[str] = mapped_column(String(16), default="pending")
    attempt_count: Mapped[int] = mapped_column(default=0)
    next_attempt_on: Mapped[datetime]
    finished_on: Mapped[datetime | None]
    error: Mapped[str | None] = mapped_column(Text)
