"""Create the tables."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0.1_0001"
down_revision = None
branch_labels = None
depends_on = None


UNFINISHED = {
    "run": "finished_on IS NULL",
    "query_run": "finished_on IS NULL",
    "delivery": "finished_on IS NULL",
    "message": "status = 'pending'",
}
"""Of the tables that workers claim rows of."""

NOTIFICATIONS = (
    ("run", "run", "worker_id"),
    ("run", "query_run", "worker_id"),
    ("delivery", "delivery", "worker_id, next_attempt_on"),
    ("message", "message", "worker_id, next_attempt_on"),
)
"""What a worker is told of new rows of a table, and of others when these columns change."""


SIGNALS = ("run", "delivery", "message", "schedule")
"""The kinds of work."""


def upgrade() -> None:
    """Go to this revision."""
    create_tables()
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION pushmetrics_notify() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN PERFORM pg_notify('pushmetrics_work', TG_ARGV[0]); RETURN NULL; END $$"
        )
    else:
        op.bulk_insert(
            sa.table("work_signal", sa.column("name"), sa.column("version")),
            [{"name": name, "version": 0} for name in SIGNALS],
        )
    create_signals()


def create_signals() -> None:
    """Let the database tell the workers of whatever is committed for them, whoever commits it."""
    for name, table, columns in NOTIFICATIONS:
        signal("new", table, "INSERT", name)
        waiting = f"NEW.worker_id IS NULL AND NEW.{UNFINISHED[table]}"
        signal("waiting", table, f"UPDATE OF {columns}", name, waiting)
    signal("active", "webhook_subscription", "UPDATE OF active", "delivery")
    signal("added", "schedule", "INSERT", "schedule")
    signal("changed", "schedule", "UPDATE OF next_run_on, active", "schedule")


def signal(trigger: str, table: str, statement: str, name: str, condition: str | None = None) -> None:
    """Tell the workers of some work, by its name, after a statement on a table."""
    head = f"CREATE TRIGGER signal_{trigger}_{table} AFTER {statement} ON {table}"
    each = f"FOR EACH ROW WHEN ({condition})" if condition else "FOR EACH ROW"
    if op.get_bind().dialect.name == "postgresql":
        each = each if condition else "FOR EACH STATEMENT"
        op.execute(f"{head} {each} EXECUTE FUNCTION pushmetrics_notify('{name}')")
    else:
        count = f"UPDATE work_signal SET version = version + 1 WHERE name = '{name}'"
        op.execute(f"{head} {each} BEGIN {count}; END")


def create_work_indexes(table: str, *columns: str) -> None:
    """Index the unfinished rows of a table that no worker has claimed, and those that one has."""
    waiting = sa.text(f"worker_id IS NULL AND {UNFINISHED[table]}")
    claimed = sa.text(f"worker_id IS NOT NULL AND {UNFINISHED[table]}")
    for name, indexed, rows in (("waiting", list(columns), waiting), ("claimed", ["worker_id"], claimed)):
        op.create_index(
            f"ix_{table}_{name}", table, indexed, unique=False, sqlite_where=rows, postgresql_where=rows
        )


MOMENT = sa.DateTime(timezone=True)


def column(
    name: str, kind: Any, *, nullable: bool = False, server_default: str | None = None
) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=nullable, server_default=server_default)


def reference(
    table: str, name: str, other: str, *, ondelete: str | None = None, nullable: bool = False
) -> sa.Column[Any]:
    """Build the column of a table with the id of a row of another one."""
    key = sa.ForeignKey(f"{other}.id", name=op.f(f"fk_{table}_{name}"), ondelete=ondelete)
    return sa.Column(name, sa.Integer, key, nullable=nullable)


def unique(table: str, *columns: str) -> sa.UniqueConstraint:
    return sa.UniqueConstraint(*columns, name=op.f(f"uq_{table}_{'_'.join(columns)}"))


def index(table: str, *columns: str, name: str | None = None) -> None:
    op.create_index(op.f(name or f"ix_{table}_{'_'.join(columns)}"), table, list(columns), unique=False)


def index_age(table: str) -> None:
    """Index the rows of a workspace by their age."""
    index(table, "workspace_id", "created_on", name=f"ix_{table}_age")


def index_list(table: str, *columns: str) -> None:
    """Index the rows of a workspace in the order of their list."""
    index(table, "workspace_id", *columns, "id", name=f"ix_{'_'.join((table, *columns))}_list")


def create(table: str, *parts: sa.Column[Any] | sa.UniqueConstraint, is_entity: bool = True) -> None:
    """
    Create a table with an id.

    :param is_entity: Whether its rows have a uid and the moment of their creation too.
    """
    entity = (column("uid", sa.String(32)), column("created_on", MOMENT), unique(table, "uid"))
    op.create_table(
        table,
        *parts,
        *(entity if is_entity else ()),
        column("id", sa.Integer),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
        sqlite_autoincrement=True,
    )


def create_tables() -> None:
    """Create the tables with their indexes."""
    create(
        "app_user",
        column("email", sa.String(320)),
        column("first_name", sa.String(255)),
        column("last_name", sa.String(255)),
        column("last_login", MOMENT, nullable=True),
        unique("app_user", "email"),
    )
    create(
        "ended_session",
        column("sid", sa.String(32)),
        column("until", MOMENT),
        unique("ended_session", "sid"),
        is_entity=False,
    )
    index("ended_session", "until")
    create(
        "work_signal",
        column("name", sa.String(16)),
        column("version", sa.Integer),
        unique("work_signal", "name"),
        is_entity=False,
    )
    create(
        "worker",
        column("worker_id", sa.String(64)),
        column("host", sa.String(255)),
        column("pid", sa.Integer),
        column("started_on", MOMENT),
        column("beat_on", MOMENT),
        unique("worker", "worker_id"),
        is_entity=False,
    )
    index("worker", "beat_on")
    create("workspace", column("name", sa.String(255)))
    create(
        "api_token",
        reference("api_token", "user_id", "app_user"),
        reference("api_token", "workspace_id", "workspace"),
        column("name", sa.String(255)),
        column("token_hash", sa.String(64)),
        column("token_prefix", sa.String(16), nullable=True),
        column("expires_on", MOMENT, nullable=True),
        column("revoked_on", MOMENT, nullable=True),
        unique("api_token", "token_hash"),
    )
    create(
        "data_source",
        reference("data_source", "workspace_id", "workspace"),
        column("name", sa.String(255)),
        column("kind", sa.String(32)),
        column("location_encrypted", sa.Text),
        unique("data_source", "workspace_id", "name"),
    )
    create(
        "membership",
        reference("membership", "user_id", "app_user", ondelete="CASCADE"),
        reference("membership", "workspace_id", "workspace", ondelete="CASCADE"),
        column("role", sa.String(32)),
        unique("membership", "user_id", "workspace_id"),
        is_entity=False,
    )
    index("membership", "workspace_id")
    create(
        "outbox_event",
        reference("outbox_event", "workspace_id", "workspace"),
        column("event", sa.String(64)),
        column("run_id", sa.Integer, nullable=True),
        column("body", sa.Text),
        column("traceparent", sa.String(55), nullable=True),
    )
    index_age("outbox_event")
    is_about_run = sa.text("run_id IS NOT NULL")
    op.create_index(
        "ix_outbox_event_run_id",
        "outbox_event",
        ["run_id"],
        sqlite_where=is_about_run,
        postgresql_where=is_about_run,
    )
    create(
        "report",
        reference("report", "workspace_id", "workspace"),
        column("name", sa.String(255)),
        column("description", sa.Text),
        column("type", sa.String(32)),
        column("folder", sa.String(255), nullable=True),
        column("time_zone", sa.String(64)),
        column("updated_on", MOMENT),
    )
    index("report", "workspace_id")
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
    create(
        "delivery",
        reference("delivery", "workspace_id", "workspace"),
        reference("delivery", "event_id", "outbox_event", ondelete="CASCADE"),
        reference("delivery", "subscription_id", "webhook_subscription", ondelete="CASCADE"),
        column("status", sa.String(16)),
        column("attempt_count", sa.Integer),
        column("schedule_start", sa.Integer, server_default="0"),
        column("worker_id", sa.String(64), nullable=True),
        column("next_attempt_on", MOMENT),
        column("finished_on", MOMENT, nullable=True),
        unique("delivery", "event_id", "subscription_id"),
    )
    index("delivery", "subscription_id", "created_on", name="ix_delivery_subscription_id_delivery_created_on")
    index_age("delivery")
    index_list("delivery")
    index_list("delivery", "status")
    create_work_indexes("delivery", "subscription_id", "next_attempt_on", "attempt_count", "schedule_start")
    create(
        "retired_secret",
        reference("retired_secret", "subscription_id", "webhook_subscription", ondelete="CASCADE"),
        column("secret_encrypted", sa.Text),
        column("expires_on", MOMENT),
        is_entity=False,
    )
    index("retired_secret", "subscription_id")
    create(
        "run",
        reference("run", "workspace_id", "workspace"),
        reference("run", "report_id", "report", ondelete="CASCADE"),
        column("status", sa.String(16)),
        column("origin", sa.String(16)),
        column("given_parameters", sa.JSON),
        column("parameters", sa.JSON),
        column("idempotency_key", sa.String(255), nullable=True),
        column("worker_id", sa.String(64), nullable=True),
        column("lost_workers", sa.Integer),
        column("flow_run_id", sa.String(36), nullable=True),
        column("parent_id", sa.Integer, nullable=True),
        column("re_run_count", sa.Integer),
        column("webhook_id", sa.Integer, nullable=True),
        column("traceparent", sa.String(55), nullable=True),
        column("started_by", sa.Text, nullable=True),
        column("schedule_id", sa.Integer, nullable=True),
        column("options", sa.JSON, nullable=True),
        column("started_on", MOMENT, nullable=True),
        column("finished_on", MOMENT, nullable=True),
        column("error", sa.Text, nullable=True),
        unique("run", "report_id", "idempotency_key"),
    )
    index("run", "flow_run_id")
    index_age("run")
    index_list("run")
    index_list("run", "report_id")
    index_list("run", "status")
    create_work_indexes("run", "workspace_id", "report_id", "created_on", "lost_workers")
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
    create(
        "query",
        reference("query", "report_id", "report", ondelete="CASCADE"),
        reference("query", "block_id", "block", ondelete="CASCADE"),
        unique("query", "block_id"),
    )
    index("query", "report_id")
    create(
        "run_log",
        reference("run_log", "workspace_id", "workspace"),
        reference("run_log", "run_id", "run", ondelete="CASCADE"),
        column("flow_run_id", sa.String(36), nullable=True),
        column("task_run_id", sa.String(36), nullable=True),
        column("level", sa.String(16)),
        column("message", sa.Text),
    )
    index("run_log", "flow_run_id")
    index("run_log", "run_id")
    index_list("run_log")
    index_age("run_log")
    create(
        "query_run",
        reference("query_run", "workspace_id", "workspace"),
        reference("query_run", "report_id", "report", ondelete="CASCADE"),
        reference("query_run", "block_id", "block", ondelete="CASCADE"),
        reference("query_run", "query_id", "query", ondelete="CASCADE", nullable=True),
        column("status", sa.String(16)),
        column("origin", sa.String(16)),
        column("content", sa.JSON, nullable=True),
        column("schedule_id", sa.Integer, nullable=True),
        column("given_parameters", sa.JSON),
        column("parameters", sa.JSON),
        column("worker_id", sa.String(64), nullable=True),
        column("lost_workers", sa.Integer),
        column("started_on", MOMENT, nullable=True),
        column("finished_on", MOMENT, nullable=True),
        column("error", sa.Text, nullable=True),
    )
    index("query_run", "block_id")
    index("query_run", "query_id")
    index("query_run", "status")
    index_age("query_run")
    create_work_indexes("query_run", "workspace_id", "report_id", "created_on", "lost_workers")
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
    index("schedule", "next_run_on")
    index("schedule", "report_id")
    create(
        "block_result",
        reference("block_result", "run_id", "run", ondelete="CASCADE", nullable=True),
        reference("block_result", "query_run_id", "query_run", ondelete="CASCADE", nullable=True),
        column("block_id", sa.Integer),
        column("block_uid", sa.String(32)),
        column("query_id", sa.Integer, nullable=True),
        column("position", sa.Integer),
        column("name", sa.String(255)),
        column("type", sa.String(32)),
        column("status", sa.String(16)),
        column("error", sa.Text, nullable=True),
        column("output", sa.Text, nullable=True),
        column("output_html", sa.Text, nullable=True),
        column("content_hash", sa.String(64), nullable=True),
        column("row_count", sa.Integer, nullable=True),
        column("result_file", sa.String(255), nullable=True),
        column("max_rows", sa.Integer, nullable=True),
        column("timeout_seconds", sa.Integer, nullable=True),
        column("is_truncated", sa.Boolean),
        column("started_on", MOMENT, nullable=True),
        column("finished_on", MOMENT, nullable=True),
        unique("block_result", "query_run_id", "block_id"),
        unique("block_result", "run_id", "block_id"),
        is_entity=False,
    )
    index("block_result", "block_id", "id", name="ix_block_result_block")
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
    create_work_indexes("message", "kind", "next_attempt_on")
