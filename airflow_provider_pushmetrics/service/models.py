"""
The tables.

A *report* has *blocks*; a SQL block is also a *query*. A *run* executes a whole report, a *query run* one
query alone; the two are counted apart. What each block gave is a *block result*. An *event* is written in the
same transaction as the change that it tells of, with one *delivery* for each subscription that wants it.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Date,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import TypeDecorator

from airflow_provider_pushmetrics.service.clock import get_now
from airflow_provider_pushmetrics.service.ids import generate_flow_run_id, generate_uid

CONSTRAINT_NAMES = {
    "ix": "ix_%(column_0_N_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}
"""Later migrations can only change constraints that have a name."""


class UtcDateTime(TypeDecorator[datetime]):
    """A moment with its zone, on databases that keep the zone and on those that do not."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Store UTC."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Read UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """What every table has: ids that are never given twice, also on SQLite."""

    metadata = MetaData(naming_convention=CONSTRAINT_NAMES)
    __table_args__: Any = {"sqlite_autoincrement": True}
    type_annotation_map = {datetime: UtcDateTime}

    id: Mapped[int] = mapped_column(primary_key=True)


class Identified:
    """A row that URLs name by a short uid."""

    uid: Mapped[str] = mapped_column(String(32), unique=True, default=generate_uid)
    created_on: Mapped[datetime] = mapped_column(default=get_now)


class Workspace(Identified, Base):
    """What separates one team's data from another's."""

    __tablename__ = "workspace"

    name: Mapped[str] = mapped_column(String(255))


class User(Identified, Base):
    """A person, or the robot that a token stands for."""

    __tablename__ = "app_user"

    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspace.id"))
    email: Mapped[str] = mapped_column(String(320))
    first_name: Mapped[str] = mapped_column(String(255), default="")
    last_name: Mapped[str] = mapped_column(String(255), default="")
    role: Mapped[str] = mapped_column(String(32), default="Admin")
    last_login: Mapped[datetime | None]


class ApiToken(Identified, Base):
    """A personal API token; only its SHA-256 is kept."""

    __tablename__ = "api_token"

    user_id: Mapped[int] = mapped_column(ForeignKey("app_user.id"))
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspace.id"))
    name: Mapped[str] = mapped_column(String(255))
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    token_prefix: Mapped[str | None] = mapped_column(String(16))
    expires_on: Mapped[datetime | None]
    revoked_on: Mapped[datetime | None]


class DataSource(Identified, Base):
    """A database that SQL blocks ask. Where it is may hold a password, so it is kept encrypted."""

    __tablename__ = "data_source"

    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspace.id"))
    name: Mapped[str] = mapped_column(String(255))
    kind: Mapped[str] = mapped_column(String(32))
    location_encrypted: Mapped[str] = mapped_column(Text)


class Report(Identified, Base):
    """A report or a notebook."""

    __tablename__ = "report"

    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspace.id"), index=True)
    name: Mapped[str] = mapped_column(String(255))
    description: Mapped[str] = mapped_column(Text, default="")
    type: Mapped[str] = mapped_column(String(32), default="report")
    folder: Mapped[str | None] = mapped_column(String(255))
    updated_on: Mapped[datetime] = mapped_column(default=get_now)

    workspace: Mapped[Workspace] = relationship()
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
    """A SQL block as a thing of its own: it has its own id, runs and events."""

    __tablename__ = "query"

    report_id: Mapped[int] = mapped_column(ForeignKey("report.id", ondelete="CASCADE"), index=True)
    block_id: Mapped[int] = mapped_column(ForeignKey("block.id", ondelete="CASCADE"), unique=True)

    block: Mapped[Block] = relationship(back_populates="query")


class Webhook(Identified, Base):
    """A webhook trigger: whoever calls its URL, token included, starts a run."""

    __tablename__ = "webhook"

    report_id: Mapped[int] = mapped_column(ForeignKey("report.id", ondelete="CASCADE"), index=True)
    active: Mapped[bool] = mapped_column(Boolean, default=True)
    token_hash: Mapped[str] = mapped_column(String(64))
    token_encrypted: Mapped[str] = mapped_column(Text)
    details: Mapped[str | None] = mapped_column(Text)
    recipients: Mapped[str | None] = mapped_column(Text)
    slack_recipients: Mapped[str | None] = mapped_column(Text)
    updated_on: Mapped[datetime] = mapped_column(default=get_now)

    report: Mapped[Report] = relationship()


class Run(Identified, Base):
    """One execution of a whole report."""

    __tablename__ = "run"
    __table_args__ = (
        UniqueConstraint("report_id", "idempotency_key"),
        Index(None, "status"),
        {"sqlite_autoincrement": True},
    )

    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspace.id"))
    report_id: Mapped[int] = mapped_column(ForeignKey("report.id", ondelete="CASCADE"), index=True)
    status: Mapped[str] = mapped_column(String(16), default="pending")
    origin: Mapped[str] = mapped_column(String(16))
    given_parameters: Mapped[dict[str, Any]] = mapped_column(JSON)
    parameters: Mapped[dict[str, Any]] = mapped_column(JSON)
    idempotency_key: Mapped[str | None] = mapped_column(String(255))
    is_enqueued: Mapped[bool] = mapped_column(Boolean, default=False)
    flow_run_id: Mapped[str | None] = mapped_column(String(36), default=generate_flow_run_id, index=True)
    parent_id: Mapped[int | None]
    re_run_count: Mapped[int] = mapped_column(default=0)
    webhook_id: Mapped[int | None]
    schedule_id: Mapped[int | None]
    options: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    started_on: Mapped[datetime | None]
    finished_on: Mapped[datetime | None]
    error: Mapped[str | None] = mapped_column(Text)

    report: Mapped[Report] = relationship()
    results: Mapped[list[BlockResult]] = relationship(
        order_by="BlockResult.position", cascade="all, delete-orphan"
    )


class QueryRun(Identified, Base):
    """One execution of a block by itself, mostly a query; ``content`` is what ran instead of its own."""

    __tablename__ = "query_run"
    __table_args__ = (Index(None, "status"), {"sqlite_autoincrement": True})

    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspace.id"))
    report_id: Mapped[int] = mapped_column(ForeignKey("report.id", ondelete="CASCADE"))
    block_id: Mapped[int] = mapped_column(ForeignKey("block.id", ondelete="CASCADE"), index=True)
    query_id: Mapped[int | None] = mapped_column(ForeignKey("query.id", ondelete="CASCADE"), index=True)
    status: Mapped[str] = mapped_column(String(16), default="pending")
    origin: Mapped[str] = mapped_column(String(16), default="api")
    content: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    schedule_id: Mapped[int | None]
    given_parameters: Mapped[dict[str, Any]] = mapped_column(JSON)
    parameters: Mapped[dict[str, Any]] = mapped_column(JSON)
    is_enqueued: Mapped[bool] = mapped_column(Boolean, default=False)
    started_on: Mapped[datetime | None]
    finished_on: Mapped[datetime | None]
    error: Mapped[str | None] = mapped_column(Text)

    report: Mapped[Report] = relationship()
    block: Mapped[Block] = relationship()
    results: Mapped[list[BlockResult]] = relationship(
        order_by="BlockResult.position", cascade="all, delete-orphan"
    )


class BlockResult(Base):
    """What one block gave in one run; the rows of a query are in a Parquet file beside the database."""

    __tablename__ = "block_result"
    __table_args__ = (
        UniqueConstraint("run_id", "block_id"),
        UniqueConstraint("query_run_id", "block_id"),
        {"sqlite_autoincrement": True},
    )

    run_id: Mapped[int | None] = mapped_column(ForeignKey("run.id", ondelete="CASCADE"))
    query_run_id: Mapped[int | None] = mapped_column(ForeignKey("query_run.id", ondelete="CASCADE"))
    block_id: Mapped[int] = mapped_column(Integer)
    block_uid: Mapped[str] = mapped_column(String(32))
    query_id: Mapped[int | None] = mapped_column(Integer)
    position: Mapped[int] = mapped_column(Integer)
    name: Mapped[str] = mapped_column(String(255))
    type: Mapped[str] = mapped_column(String(32))
    status: Mapped[str] = mapped_column(String(16))
    error: Mapped[str | None] = mapped_column(Text)
    output: Mapped[str | None] = mapped_column(Text)
    row_count: Mapped[int | None]
    result_file: Mapped[str | None] = mapped_column(String(255))
    max_rows: Mapped[int | None]
    timeout_seconds: Mapped[int | None]
    is_truncated: Mapped[bool] = mapped_column(Boolean, default=False)
    started_on: Mapped[datetime | None]
    finished_on: Mapped[datetime | None]


class RunLogEntry(Identified, Base):
    """A line of the log of a run."""

    __tablename__ = "run_log"

    run_id: Mapped[int] = mapped_column(ForeignKey("run.id", ondelete="CASCADE"), index=True)
    flow_run_id: Mapped[str | None] = mapped_column(String(36), index=True)
    task_run_id: Mapped[str | None] = mapped_column(String(36))
    level: Mapped[str] = mapped_column(String(16))
    message: Mapped[str] = mapped_column(Text)


class Subscription(Identified, Base):
    """A URL that wants to be told of events."""

    __tablename__ = "webhook_subscription"

    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspace.id"), index=True)
    name: Mapped[str] = mapped_column(String(255))
    url: Mapped[str] = mapped_column(Text)
    events: Mapped[list[str]] = mapped_column(JSON)
    active: Mapped[bool] = mapped_column(Boolean, default=True)
    secret_encrypted: Mapped[str] = mapped_column(Text)
    updated_on: Mapped[datetime] = mapped_column(default=get_now)
    owner_id: Mapped[int | None] = mapped_column(Integer)
    failing_since: Mapped[datetime | None]
    disabled_on: Mapped[datetime | None]
    disabled_reason: Mapped[str | None] = mapped_column(Text)

    retired_secrets: Mapped[list[RetiredSecret]] = relationship(
        order_by="RetiredSecret.id.desc()", cascade="all, delete-orphan"
    )


class RetiredSecret(Base):
    """A signing secret that was replaced, and still signs until its receivers have had time to change."""

    __tablename__ = "retired_secret"

    subscription_id: Mapped[int] = mapped_column(
        ForeignKey("webhook_subscription.id", ondelete="CASCADE"), index=True
    )
    secret_encrypted: Mapped[str] = mapped_column(Text)
    expires_on: Mapped[datetime]


class OutboxEvent(Identified, Base):
    """An event, word for word as it is sent; its uid is the ``webhook-id``."""

    __tablename__ = "outbox_event"

    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspace.id"))
    event: Mapped[str] = mapped_column(String(64))
    body: Mapped[str] = mapped_column(Text)


class Delivery(Identified, Base):
    """An event on its way to one subscription."""

    __tablename__ = "delivery"
    __table_args__ = (
        UniqueConstraint("event_id", "subscription_id"),
        Index(None, "status", "next_attempt_on"),
        Index(None, "subscription_id", "created_on"),
        {"sqlite_autoincrement": True},
    )

    event_id: Mapped[int] = mapped_column(ForeignKey("outbox_event.id", ondelete="CASCADE"))
    subscription_id: Mapped[int] = mapped_column(ForeignKey("webhook_subscription.id", ondelete="CASCADE"))
    status: Mapped[str] = mapped_column(String(16), default="pending")
    attempt_count: Mapped[int] = mapped_column(default=0)
    enqueued_attempt: Mapped[int] = mapped_column(default=0)
    schedule_start: Mapped[int] = mapped_column(default=0, server_default="0")
    """How many attempts had been made when it was last sent again: the schedule counts from there."""
    generation: Mapped[int] = mapped_column(default=0, server_default="0")
    """Part of its workflows' ids: grows when attempts that were enqueued shall be enqueued once more."""
    next_attempt_on: Mapped[datetime] = mapped_column(default=get_now)
    finished_on: Mapped[datetime | None]

    event: Mapped[OutboxEvent] = relationship()
    subscription: Mapped[Subscription] = relationship()
    attempts: Mapped[list[DeliveryAttempt]] = relationship(
        order_by="DeliveryAttempt.number", cascade="all, delete-orphan"
    )


class DeliveryAttempt(Base):
    """One request to a subscriber, and what came back."""

    __tablename__ = "delivery_attempt"
    __table_args__ = (UniqueConstraint("delivery_id", "number"), {"sqlite_autoincrement": True})

    delivery_id: Mapped[int] = mapped_column(ForeignKey("delivery.id", ondelete="CASCADE"))
    number: Mapped[int]
    started_on: Mapped[datetime]
    duration_ms: Mapped[int]
    status_code: Mapped[int | None]
    error: Mapped[str | None] = mapped_column(Text)
    answer: Mapped[str | None] = mapped_column(Text)


class OutgoingMail(Identified, Base):
    """A mail to one person; its uid is its name among mail servers. What is not sent is kept here."""

    __tablename__ = "outgoing_mail"
    __table_args__ = (Index(None, "status"), {"sqlite_autoincrement": True})

    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspace.id"), index=True)
    recipient: Mapped[str] = mapped_column(String(254))
    subject: Mapped[str] = mapped_column(String(255))
    text: Mapped[str] = mapped_column(Text)
    html: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(16), default="pending")
    attempt_count: Mapped[int] = mapped_column(default=0)
    next_attempt_on: Mapped[datetime] = mapped_column(default=get_now)
    finished_on: Mapped[datetime | None]
    error: Mapped[str | None] = mapped_column(Text)


class Worker(Base):
    """A process that executes runs and deliveries, and when it last showed that it lives."""

    __tablename__ = "worker"

    executor_id: Mapped[str] = mapped_column(String(64), unique=True)
    host: Mapped[str] = mapped_column(String(255))
    pid: Mapped[int]
    started_on: Mapped[datetime] = mapped_column(default=get_now)
    beat_on: Mapped[datetime] = mapped_column(default=get_now, index=True)


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


class ReportSchedule(Identified, Base):
    """When a report, or one of its queries, runs by itself; ``next_run_on`` is empty when it has ended."""

    __tablename__ = "schedule"

    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspace.id"))
    report_id: Mapped[int] = mapped_column(ForeignKey("report.id", ondelete="CASCADE"), index=True)
    query_id: Mapped[int | None] = mapped_column(ForeignKey("query.id", ondelete="CASCADE"))
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
