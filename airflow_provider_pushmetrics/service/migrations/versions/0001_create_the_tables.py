"""Create the tables, and their triggers."""

from __future__ import annotations

from airflow_provider_pushmetrics.service.migrations.initial import (
    accounts,
    messages,
    reports,
    row_counts,
    runs,
    webhooks,
    workers,
)
from airflow_provider_pushmetrics.service.migrations.initial.signals import create_signals

revision = "0.1_0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create each table after those that it refers to."""
    for tables in (accounts, workers, reports, runs, webhooks, messages, row_counts):
        tables.create_tables()
    create_signals()
