"""How Alembic runs the migrations: on the connection that the service gives, in one transaction."""

from __future__ import annotations

from alembic import context

from airflow_provider_pushmetrics.service.models import Base
from airflow_provider_pushmetrics.service.storage.database import MIGRATION_LOCK, SCHEMA_VERSION_TABLE
from airflow_provider_pushmetrics.serving.process_start import lock_migration


def run_migrations() -> None:
    """Migrate; when several processes start together, one does it and the others find it done."""
    connection = context.config.attributes["connection"]
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        version_table=SCHEMA_VERSION_TABLE,
        render_as_batch=True,
    )
    with context.begin_transaction():
        lock_migration(connection, MIGRATION_LOCK)
        context.run_migrations()


run_migrations()
