"""Events, their subscriptions and deliveries."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, Boolean, ForeignKey, Index, Integer, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from airflow_provider_pushmetrics.service.models.base import (
    SECRET,
    Base,
    Claimable,
    Identified,
    index_age,
    index_list,
    index_work,
)
from airflow_provider_pushmetrics.service.storage.clock import get_now


class Subscription(Identified, Base):
    """A URL that events are sent to."""

    __tablename__ = "webhook_subscription"

    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspace.id"), index=True)
    name: Mapped[str] = mapped_column(String(255))
    url: Mapped[str] = mapped_column(Text)
    events: Mapped[list[str]] = mapped_column(JSON)
    active: Mapped[bool] = mapped_column(Boolean, default=True)
    secret_encrypted: Mapped[str] = mapped_column(Text, info={SECRET: "signing secrets"})
    headers_encrypted: Mapped[str | None] = mapped_column(Text, info={SECRET: "headers of subscriptions"})
    updated_on: Mapped[datetime] = mapped_column(default=get_now)
    owner_id: Mapped[int | None] = mapped_column(Integer)
    failing_since: Mapped[datetime | None]
    disabled_on: Mapped[datetime | None]
    disabled_reason: Mapped[str | None] = mapped_column(Text)

    retired_secrets: Mapped[list[RetiredSecret]] = relationship(
        order_by="RetiredSecret.id.desc()", cascade="all, delete-orphan"
    )


class RetiredSecret(Base):
    """A replaced signing secret, which still signs for a while so that receivers can change."""

    __tablename__ = "retired_secret"

    subscription_id: Mapped[int] = mapped_column(
        ForeignKey("webhook_subscription.id", ondelete="CASCADE"), index=True
    )
    secret_encrypted: Mapped[str] = mapped_column(Text, info={SECRET: "replaced signing secrets"})
    expires_on: Mapped[datetime]


ABOUT_RUN = text("run_id IS NOT NULL")


class OutboxEvent(Identified, Base):
    """
    An event as it is sent; its uid is the ``webhook-id``.

    ``run_id`` is the run that it tells of: of a report, or of a block by itself if it is a ``query.run``.
    """

    __tablename__ = "outbox_event"
    __table_args__ = (
        index_age("outbox_event"),
        Index("ix_outbox_event_run_id", "run_id", sqlite_where=ABOUT_RUN, postgresql_where=ABOUT_RUN),
        {"sqlite_autoincrement": True},
    )

    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspace.id"))
    event: Mapped[str] = mapped_column(String(64))
    run_id: Mapped[int | None]
    body: Mapped[str] = mapped_column(Text)
    traceparent: Mapped[str | None] = mapped_column(String(55))


class Delivery(Claimable, Identified, Base):
    """An event on its way to one subscription."""

    __tablename__ = "delivery"
    __table_args__ = (
        UniqueConstraint("event_id", "subscription_id"),
        index_age("delivery"),
        index_list("delivery"),
        index_list("delivery", "status"),
        index_list("delivery", "event"),
        index_list("delivery", "subscription_id"),
        *index_work(
            "delivery",
            "subscription_id",
            "next_attempt_on",
            # Read with the others at each scrape of the metrics.
            "attempt_count",
            "schedule_start",
            unfinished="finished_on IS NULL",
        ),
        # Its outcomes are counted, and its failures found, by the index alone.
        Index(
            "ix_delivery_outcomes",
            "subscription_id",
            "status",
            "created_on",
            "attempt_count",
            "schedule_start",
        ),
        {"sqlite_autoincrement": True},
    )

    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspace.id"))
    event_id: Mapped[int] = mapped_column(ForeignKey("outbox_event.id", ondelete="CASCADE"))
    event: Mapped[str] = mapped_column(String(64))
    """The name of its event, for the list."""
    subscription_id: Mapped[int] = mapped_column(ForeignKey("webhook_subscription.id", ondelete="CASCADE"))
    status: Mapped[str] = mapped_column(String(16), default="pending")
    attempt_count: Mapped[int] = mapped_column(default=0)
    schedule_start: Mapped[int] = mapped_column(default=0, server_default="0")
    """How many attempts had been made when it was last sent again: the schedule counts from there."""
    next_attempt_on: Mapped[datetime]
    finished_on: Mapped[datetime | None]

    outbox_event: Mapped[OutboxEvent] = relationship()
    subscription: Mapped[Subscription] = relationship()
    attempts: Mapped[list[DeliveryAttempt]] = relationship(
        order_by="DeliveryAttempt.number", cascade="all, delete-orphan"
    )
    last_attempt: Mapped[DeliveryAttempt | None] = relationship(
        primaryjoin="and_(Delivery.id == DeliveryAttempt.delivery_id,"
        " Delivery.attempt_count == DeliveryAttempt.number)",
        viewonly=True,
        uselist=False,
    )


class DeliveryAttempt(Base):
    """One request to a subscriber, and its response."""

    __tablename__ = "delivery_attempt"
    __table_args__ = (UniqueConstraint("delivery_id", "number"), {"sqlite_autoincrement": True})

    delivery_id: Mapped[int] = mapped_column(ForeignKey("delivery.id", ondelete="CASCADE"))
    number: Mapped[int]
    started_on: Mapped[datetime]
    duration_ms: Mapped[int]
    status_code: Mapped[int | None]
    error: Mapped[str | None] = mapped_column(Text)
    answer: Mapped[str | None] = mapped_column(Text)
