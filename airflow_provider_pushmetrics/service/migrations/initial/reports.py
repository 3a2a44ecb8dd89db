"""Reports with their blocks, triggers and schedules, and data sources."""

from __future__ import annotations

import sqlalchemy as sa

from airflow_provider_pushmetrics.service.migrations.initial.definitions import (
    MOMENT,
    column,
    create,
    index,
    reference,
    unique,
)


def create_tables() -> None:
    """Create the tables with their indexes."""
    _create_data_source()
    _create_report()
    _create_block()
    _create_query()
    _create_webhook()
    _create_schedule()


def _create_data_source() -> None:
    create(
        "data_source",
        reference("data_source", "workspace_id", "workspace"),
        column("name", sa.String(255)),
        column("kind", sa.String(32)),
        column("location_encrypted", sa.Text),
        unique("data_source", "workspace_id", "name"),
    )


def _create_report() -> None:
    create(
        "report",
        reference("report", "workspace_id", "workspace"),
        column("name", sa.String(255)),
        column("description", sa.Text),
        column("type", sa.String(32)),
        column("folder", sa.String(255), nullable=True),
        column("time_zone", sa.String(64)),
        reference("report", "owner_id", "app_user", nullable=True),
        column("updated_on", MOMENT),
    )
    index("report", "workspace_id")


def _create_block() -> None:
    create(
        "block",
        reference("block", "report_id", "report", ondelete="CASCADE"),
        column("position", sa.Integer),
        column("type", sa.String(32)),
        column("name", sa.String(255)),
        column("verbose_name", sa.String(255), nullable=True),
        column("content", sa.JSON),
        unique("block", "report_id", "name"),
    )


def _create_query() -> None:
    create(
        "query",
        reference("query", "report_id", "report", ondelete="CASCADE"),
        reference("query", "block_id", "block", ondelete="CASCADE"),
        unique("query", "block_id"),
    )
    index("query", "report_id")


def _create_webhook() -> None:
    create(
        "webhook",
        reference("webhook", "report_id", "report", ondelete="CASCADE"),
        column("active", sa.Boolean),
        column("token_hash", sa.String(64)),
        column("token_encrypted", sa.Text),
        column("details", sa.Text, nullable=True),
        column("recipients", sa.Text, nullable=True),
        column("slack_recipients", sa.Text, nullable=True),
        column("updated_on", MOMENT),
    )
    index("webhook", "report_id")


def _create_schedule() -> None:
    create(
        "schedule",
        reference("schedule", "workspace_id", "workspace"),
        reference("schedule", "report_id", "report", ondelete="CASCADE"),
        reference("schedule", "query_id", "query", ondelete="CASCADE", nullable=True),
        column("name", sa.String(255)),
        column("active", sa.Boolean),
        column("first_start", MOMENT),
        column("time_zone", sa.String(64)),
        column("recurrence", sa.String(16)),
        column("cron", sa.String(255), nullable=True),
        column("ends_on", sa.Date, nullable=True),
        column("max_runs", sa.Integer, nullable=True),
        column("run_count", sa.Integer),
        column("next_run_on", MOMENT, nullable=True),
        column("success_recipients", sa.JSON),
        column("failure_recipients", sa.JSON),
    )
    for name in ("next_run_on", "query_id", "report_id", "workspace_id"):
        index("schedule", name)
