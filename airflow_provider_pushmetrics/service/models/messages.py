"""Messages to people: mail and Slack."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from airflow_provider_pushmetrics.service.clock import get_now
from airflow_provider_pushmetrics.service.models.base import Base, Identified


class OutgoingMail(Identified, Base):
    """A mail to one person; its uid is its name among mail servers. What is not sent is kept here."""

    __tablename__ = "outgoing_mail"
    __table_args__ = (Index(None, "status"), {"sqlite_autoincrement": True})

    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspace.id"), index=True)
    recipient: Mapped[str] = mapped_column(String(254))
    subject: Mapped[str] = mapped_column(String(255))
    text: Mapped[str] = mapped_column(Text)
    html: Mapped[str] = mapped_column(Text)
    attachments: Mapped[list[dict[str, Any]] | None] = mapped_column(JSON)
    status: Mapped[str] = mapped_column(String(16), default="pending")
    attempt_count: Mapped[int] = mapped_column(default=0)
    next_attempt_on: Mapped[datetime] = mapped_column(default=get_now)
    finished_on: Mapped[datetime | None]
    error: Mapped[str | None] = mapped_column(Text)


class SlackMessage(Identified, Base):
    """A message to a channel of Slack, kept until it is posted."""

    __tablename__ = "slack_message"
    __table_args__ = (Index(None, "status"), {"sqlite_autoincrement": True})

    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspace.id"), index=True)
    channel: Mapped[str] = mapped_column(String(255))
    text: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(16), default="pending")
    attempt_count: Mapped[int] = mapped_column(default=0)
    next_attempt_on: Mapped[datetime] = mapped_column(default=get_now)
    finished_on: Mapped[datetime | None]
    error: Mapped[str | None] = mapped_column(Text)
