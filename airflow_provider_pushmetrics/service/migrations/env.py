"""How Alembic runs the migrations: on the connection that the service gives, in one transaction."""

from __future__ import annotations

from alembic import context
from sqlalchemy import text

from airflow_provider_pushmetrics.service.models import Base
from airflow_provider_pushmetrics.service.storage.database import SCHEMA_VERSION_TABLE, WITHOUT_TIMEOUTS

MIGRATION_LOCK = 7_305_811
"""Any number that no other program locks in this database."""


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
        if connection.dialect.name == "postgresql":
            connection.execute(text(WITHOUT_TIMEOUTS))
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
        context.run_migrations()


run_migrations()
