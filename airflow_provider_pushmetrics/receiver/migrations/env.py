"""Alembic's entry point. The caller that opens the inbox provides the connection and its transaction."""

from __future__ import annotations

from alembic import context

from airflow_provider_pushmetrics.receiver.inbox.tables import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
)
context.run_migrations()
