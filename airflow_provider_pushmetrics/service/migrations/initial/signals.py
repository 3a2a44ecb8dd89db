"""Triggers of the database, which tell workers of whatever is committed for them, whoever commits it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from airflow_provider_pushmetrics.service.migrations.initial.definitions import UNFINISHED

WORK = ("run", "delivery", "message", "schedule")
"""The kinds of work."""

CLAIMED = (
    ("run", "run", "worker_id"),
    ("run", "query_run", "worker_id"),
    ("delivery", "delivery", "worker_id, next_attempt_on"),
    ("message", "message", "worker_id, next_attempt_on"),
)
"""The kind of work of each table whose rows workers claim, and the columns whose change may release a row."""


def create_signals() -> None:
    """Create what carries the signals, and the triggers that send them."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION pushmetrics_notify() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN PERFORM pg_notify('pushmetrics_work', TG_ARGV[0]); RETURN NULL; END $$"
        )
    else:
        op.bulk_insert(
            sa.table("work_signal", sa.column("name"), sa.column("version")),
            [{"name": work, "version": 0} for work in WORK],
        )
    for work, table, columns in CLAIMED:
        _signal("new", table, "INSERT", work)
        waiting = f"NEW.worker_id IS NULL AND NEW.{UNFINISHED[table]}"
        _signal("waiting", table, f"UPDATE OF {columns}", work, waiting)
    _signal("active", "webhook_subscription", "UPDATE OF active", "delivery")
    _signal("added", "schedule", "INSERT", "schedule")
    _signal("changed", "schedule", "UPDATE OF next_run_on, active", "schedule")


def _signal(trigger: str, table: str, statement: str, work: str, condition: str | None = None) -> None:
    """Signal some work after a statement on a table."""
    head = f"CREATE TRIGGER signal_{trigger}_{table} AFTER {statement} ON {table}"
    each = f"FOR EACH ROW WHEN ({condition})" if condition else "FOR EACH ROW"
    if op.get_bind().dialect.name == "postgresql":
        each = each if condition else "FOR EACH STATEMENT"
        op.execute(f"{head} {each} EXECUTE FUNCTION pushmetrics_notify('{work}')")
    else:
        count = f"UPDATE work_signal SET version = version + 1 WHERE name = '{work}'"  # noqa: S608 (the names are our own)
        op.execute(f"{head} {each} BEGIN {count}; END")
