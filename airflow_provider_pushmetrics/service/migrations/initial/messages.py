"""Outgoing messages."""

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
)


def create_tables() -> None:
    """Create the tables with their indexes."""
    _create_message()


def _create_message() -> None:
    create(
        "message",
        reference("message", "workspace_id", "workspace"),
        reference("message", "block_result_id", "block_result", ondelete="SET NULL", nullable=True),
        column("kind", sa.String(16)),
        column("recipient", sa.String(255)),
        column("recipient_name", sa.String(255), nullable=True),
        column("subject", sa.String(255)),
        column("text", sa.Text),
        column("formatted", sa.Text, nullable=True),
        column("files", sa.JSON),
        column("status", sa.String(16)),
        column("attempt_count", sa.Integer),
        column("worker_id", sa.String(64), nullable=True),
        column("next_attempt_on", MOMENT),
        column("finished_on", MOMENT, nullable=True),
        column("error", sa.Text, nullable=True),
    )
    index("message", "block_result_id")
    index_list("message")
    index_age("message")
    index_work("message", "kind", "next_attempt_on")
