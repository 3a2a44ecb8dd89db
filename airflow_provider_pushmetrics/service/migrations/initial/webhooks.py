"""Events, subscriptions and deliveries."""

from __future__ import annotations

import sqlalchemy as sa

from airflow_provider_pushmetrics.service.migrations.initial.definitions import (
    MOMENT,
    column,
    create,
    index,
    index_age,
    index_list,
    index_work,
    reference,
    unique,
)


def create_tables() -> None:
    """Create the tables with their indexes."""
    _create_outbox_event()
    _create_webhook_subscription()
    _create_retired_secret()
    _create_delivery()
    _create_delivery_attempt()


def _create_outbox_event() -> None:
    create(
        "outbox_event",
        reference("outbox_event", "workspace_id", "workspace"),
        column("event", sa.String(64)),
        column("run_id", sa.Integer, nullable=True),
        column("body", sa.Text),
        column("traceparent", sa.String(55), nullable=True),
    )
    index_age("outbox_event")
    index("outbox_event", "run_id", rows="run_id IS NOT NULL")


def _create_webhook_subscription() -> None:
    create(
        "webhook_subscription",
        reference("webhook_subscription", "workspace_id", "workspace"),
        column("name", sa.String(255)),
        column("url", sa.Text),
        column("events", sa.JSON),
        column("active", sa.Boolean),
        column("secret_encrypted", sa.Text),
        column("headers_encrypted", sa.Text, nullable=True),
        column("updated_on", MOMENT),
        column("owner_id", sa.Integer, nullable=True),
        column("failing_since", MOMENT, nullable=True),
        column("disabled_on", MOMENT, nullable=True),
        column("disabled_reason", sa.Text, nullable=True),
    )
    index("webhook_subscription", "workspace_id")


def _create_retired_secret() -> None:
    create(
        "retired_secret",
        reference("retired_secret", "subscription_id", "webhook_subscription", ondelete="CASCADE"),
        column("secret_encrypted", sa.Text),
        column("expires_on", MOMENT),
        is_entity=False,
    )
    index("retired_secret", "subscription_id")


def _create_delivery() -> None:
    create(
        "delivery",
        reference("delivery", "workspace_id", "workspace"),
        reference("delivery", "event_id", "outbox_event", ondelete="CASCADE"),
        reference("delivery", "subscription_id", "webhook_subscription", ondelete="CASCADE"),
        column("event", sa.String(64)),
        column("status", sa.String(16)),
        column("attempt_count", sa.Integer),
        column("schedule_start", sa.Integer, server_default="0"),
        column("worker_id", sa.String(64), nullable=True),
        column("next_attempt_on", MOMENT),
        column("finished_on", MOMENT, nullable=True),
        unique("delivery", "event_id", "subscription_id"),
    )
    outcome = ("subscription_id", "status", "created_on", "attempt_count", "schedule_start")
    index("delivery", *outcome, name="ix_delivery_outcomes")
    index_age("delivery")
    index_list("delivery")
    for name in ("status", "event", "subscription_id"):
        index_list("delivery", name)
    index_work("delivery", "subscription_id", "next_attempt_on", "attempt_count", "schedule_start")


def _create_delivery_attempt() -> None:
    create(
        "delivery_attempt",
        reference("delivery_attempt", "delivery_id", "delivery", ondelete="CASCADE"),
        column("number", sa.Integer),
        column("started_on", MOMENT),
        column("duration_ms", sa.Integer),
        column("status_code", sa.Integer, nullable=True),
        column("error", sa.Text, nullable=True),
        column("answer", sa.Text, nullable=True),
        unique("delivery_attempt", "delivery_id", "number"),
        is_entity=False,
    )
