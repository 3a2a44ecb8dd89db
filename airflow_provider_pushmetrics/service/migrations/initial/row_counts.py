"""Counts of rows, and the triggers that subtract deleted rows from them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from airflow_provider_pushmetrics.service.migrations.initial.definitions import (
    column,
    create,
    index,
    reference,
    unique,
)

COUNTED = ("run", "run_log", "delivery", "message")
ID_RANGE = 1024

COUNT_DELETED = f"""
CREATE FUNCTION pushmetrics_count_deleted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
INSERT INTO deleted_rows (workspace_id, kind, id_range, number)
SELECT workspace_id, TG_TABLE_NAME, id / {ID_RANGE}, count(*) FROM gone
GROUP BY workspace_id, id / {ID_RANGE};
RETURN NULL; END $$
"""  # noqa: S608 (the names are our own)


def create_tables() -> None:
    """Create the tables, and the triggers."""
    create(
        "row_count",
        reference("row_count", "workspace_id", "workspace", ondelete="CASCADE"),
        column("kind", sa.String(32)),
        column("until", sa.Integer),
        column("number", sa.Integer),
        unique("row_count", "workspace_id", "kind"),
        is_entity=False,
    )
    create(
        "deleted_rows",
        column("workspace_id", sa.Integer),
        column("kind", sa.String(32)),
        column("id_range", sa.Integer),
        column("number", sa.Integer),
        is_entity=False,
    )
    index("deleted_rows", "workspace_id", "kind")
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    if is_postgresql:
        op.execute(COUNT_DELETED)
    for table in COUNTED:
        op.execute(_build_postgresql_trigger(table) if is_postgresql else _build_sqlite_trigger(table))


def _build_postgresql_trigger(table: str) -> str:
    return (
        f"CREATE TRIGGER count_deleted_{table} AFTER DELETE ON {table} REFERENCING OLD TABLE AS gone"
        " FOR EACH STATEMENT EXECUTE FUNCTION pushmetrics_count_deleted()"
    )


def _build_sqlite_trigger(table: str) -> str:
    return (
        f"CREATE TRIGGER count_deleted_{table} AFTER DELETE ON {table} FOR EACH ROW BEGIN"  # noqa: S608 (ours)
        " UPDATE row_count SET number = number - 1 WHERE workspace_id = OLD.workspace_id"
        f" AND kind = '{table}' AND until > OLD.id; END"
    )
