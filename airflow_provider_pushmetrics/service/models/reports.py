"""Reports with their blocks, queries, triggers and schedules, and the data sources."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, Boolean, Date, ForeignKey, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from airflow_provider_pushmetrics.service.models.accounts import User, Workspace
from airflow_provider_pushmetrics.service.models.base import SECRET, Base, Identified
from airflow_provider_pushmetrics.service.storage.clock import get_now


class DataSource(Identified, Base):
    """A database that SQL blocks query. Its URL may contain a password, so it is encrypted."""

    __tablename__ = "data_source"
    __table_args__ = (UniqueConstraint("workspace_id", "name"), {"sqlite_autoincrement": True})

    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspace.id"))
    name: Mapped[str] = mapped_column(String(255))
    kind: Mapped[str] = mapped_column(String(32))
    location_encrypted: Mapped[str] = mapped_column(Text, info={SECRET: "database URLs"})


class Report(Identified, Base):
    """A report or a notebook."""

    __tablename__ = "report"

    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspace.id"), index=True)
    name: Mapped[str] = mapped_column(String(255))
    description: Mapped[str] = mapped_column(Text, default="")
    type: Mapped[str] = mapped_column(String(32), default="report")
    folder: Mapped[str | None] = mapped_column(String(255))
    time_zone: Mapped[str] = mapped_column(String(64), default="UTC")
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("app_user.id"))
    updated_on: Mapped[datetime] = mapped_column(default=get_now)

    workspace: Mapped[Workspace] = relationship()
    owner: Mapped[User | None] = relationship()
    blocks: Mapped[list[Block]] = relationship(
        back_populates="report", order_by="Block.position", cascade="all, delete-orphan"
    )


class Block(Identified, Base):
    """A parameter, a SQL query, a text, a chart or a message of a report."""

    __tablename__ = "block"
    __table_args__ = (UniqueConstraint("report_id", "name"), {"sqlite_autoincrement": True})

    report_id: Mapped[int] = mapped_column(ForeignKey("report.id", ondelete="CASCADE"))
    position: Mapped[int] = mapped_column(Integer)
    type: Mapped[str] = mapped_column(String(32))
    name: Mapped[str] = mapped_column(String(255))
    verbose_name: Mapped[str | None] = mapped_column(String(255))
    content: Mapped[dict[str, Any]] = mapped_column(JSON)

    report: Mapped[Report] = relationship(back_populates="blocks")
    query: Mapped[Query | None] = relationship(back_populates="block", cascade="all, delete-orphan")


class Query(Identified, Base):
    """A SQL block as a separate resource with its own id, runs and events."""

    __tablename__ = "query"

    report_id: Mapped[int] = mapped_column(ForeignKey("report.id", ondelete="CASCADE"), index=True)
    block_id: Mapped[int] = mapped_column(ForeignKey("block.id", ondelete="CASCADE"), unique=True)

    block: Mapped[Block] = relationship(back_populates="query")


class ReportTrigger(Identified, Base):
    """A webhook trigger: a call of its URL, which contains the token, starts a run."""

    __tablename__ = "webhook"

    report_id: Mapped[int] = mapped_column(ForeignKey("report.id", ondelete="CASCADE"), index=True)
    active: Mapped[bool] = mapped_column(Boolean, default=True)
    token_hash: Mapped[str] = mapped_column(String(64))
    token_encrypted: Mapped[str] = mapped_column(Text, info={SECRET: "trigger tokens"})
    details: Mapped[str | None] = mapped_column(Text)
    recipients: Mapped[str | None] = mapped_column(Text)
    slack_recipients: Mapped[str | None] = mapped_column(Text)
    updated_on: Mapped[datetime] = mapped_column(default=get_now)

    report: Mapped[Report] = relationship()


class ReportSchedule(Identified, Base):
    """The schedule of a report or of one of its queries; ``next_run_on`` is empty after its end."""

    __tablename__ = "schedule"

    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspace.id"), index=True)
    report_id: Mapped[int] = mapped_column(ForeignKey("report.id", ondelete="CASCADE"), index=True)
    query_id: Mapped[int | None] = mapped_column(ForeignKey("query.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(255))
    active: Mapped[bool] = mapped_column(Boolean, default=True)
    first_start: Mapped[datetime]
    time_zone: Mapped[str] = mapped_column(String(64))
    recurrence: Mapped[str] = mapped_column(String(16))
    cron: Mapped[str | None] = mapped_column(String(255))
    ends_on: Mapped[date | None] = mapped_column(Date)
    max_runs: Mapped[int | None]
    run_count: Mapped[int] = mapped_column(default=0)
    next_run_on: Mapped[datetime | None] = mapped_column(index=True)
    success_recipients: Mapped[list[str]] = mapped_column(JSON, default=list)
    failure_recipients: Mapped[list[str]] = mapped_column(JSON, default=list)

    report: Mapped[Report] = relationship()
    query: Mapped[Query | None] = relationship()
