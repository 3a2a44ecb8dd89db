"""Create the tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
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
    ("run", "run", "executor_id"),
    ("run", "query_run", "executor_id"),
    ("delivery", "delivery", "executor_id, next_attempt_on"),
    ("message", "message", "executor_id, next_attempt_on"),
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
        waiting = f"NEW.executor_id IS NULL AND NEW.{UNFINISHED[table]}"
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
    waiting = sa.text(f"executor_id IS NULL AND {UNFINISHED[table]}")
    claimed = sa.text(f"executor_id IS NOT NULL AND {UNFINISHED[table]}")
    for name, indexed, rows in (("waiting", list(columns), waiting), ("claimed", ["executor_id"], claimed)):
        op.create_index(
            f"ix_{table}_{name}", table, indexed, unique=False, sqlite_where=rows, postgresql_where=rows
        )


def create_tables() -> None:
    """Create the tables with their indexes."""
    op.create_table(
        "app_user",
        sa.Column("email", sa.String(length=320), nullable=False),
        sa.Column("first_name", sa.String(length=255), nullable=False),
        sa.Column("last_name", sa.String(length=255), nullable=False),
        sa.Column("last_login", sa.DateTime(timezone=True), nullable=True),
        sa.Column("uid", sa.String(length=32), nullable=False),
        sa.Column("created_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_app_user")),
        sa.UniqueConstraint("email", name=op.f("uq_app_user_email")),
        sa.UniqueConstraint("uid", name=op.f("uq_app_user_uid")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "ended_session",
        sa.Column("sid", sa.String(length=32), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ended_session")),
        sa.UniqueConstraint("sid", name=op.f("uq_ended_session_sid")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_ended_session_until"), "ended_session", ["until"], unique=False)
    op.create_table(
        "work_signal",
        sa.Column("name", sa.String(length=16), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_work_signal")),
        sa.UniqueConstraint("name", name=op.f("uq_work_signal_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "worker",
        sa.Column("executor_id", sa.String(length=64), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("started_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("beat_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_worker")),
        sa.UniqueConstraint("executor_id", name=op.f("uq_worker_executor_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_worker_beat_on"), "worker", ["beat_on"], unique=False)
    op.create_table(
        "workspace",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("uid", sa.String(length=32), nullable=False),
        sa.Column("created_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workspace")),
        sa.UniqueConstraint("uid", name=op.f("uq_workspace_uid")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "api_token",
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("token_prefix", sa.String(length=16), nullable=True),
        sa.Column("expires_on", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_on", sa.DateTime(timezone=True), nullable=True),
        sa.Column("uid", sa.String(length=32), nullable=False),
        sa.Column("created_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["app_user.id"], name=op.f("fk_api_token_user_id")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_api_token_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_token")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_api_token_token_hash")),
        sa.UniqueConstraint("uid", name=op.f("uq_api_token_uid")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "data_source",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("location_encrypted", sa.Text(), nullable=False),
        sa.Column("uid", sa.String(length=32), nullable=False),
        sa.Column("created_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_data_source_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_data_source")),
        sa.UniqueConstraint("uid", name=op.f("uq_data_source_uid")),
        sa.UniqueConstraint("workspace_id", "name", name=op.f("uq_data_source_workspace_id_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "membership",
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(length=32), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["app_user.id"], name=op.f("fk_membership_user_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.id"], name=op.f("fk_membership_workspace_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_membership")),
        sa.UniqueConstraint("user_id", "workspace_id", name=op.f("uq_membership_user_id_workspace_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_membership_workspace_id"), "membership", ["workspace_id"], unique=False)
    op.create_table(
        "outbox_event",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("event", sa.String(length=64), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("uid", sa.String(length=32), nullable=False),
        sa.Column("created_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.id"], name=op.f("fk_outbox_event_workspace_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox_event")),
        sa.UniqueConstraint("uid", name=op.f("uq_outbox_event_uid")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "report",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("folder", sa.String(length=255), nullable=True),
        sa.Column("time_zone", sa.String(length=64), nullable=False),
        sa.Column("updated_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("uid", sa.String(length=32), nullable=False),
        sa.Column("created_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_report_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_report")),
        sa.UniqueConstraint("uid", name=op.f("uq_report_uid")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_report_workspace_id"), "report", ["workspace_id"], unique=False)
    op.create_table(
        "webhook_subscription",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("events", sa.JSON(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("secret_encrypted", sa.Text(), nullable=False),
        sa.Column("updated_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=True),
        sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("disabled_on", sa.DateTime(timezone=True), nullable=True),
        sa.Column("disabled_reason", sa.Text(), nullable=True),
        sa.Column("uid", sa.String(length=32), nullable=False),
        sa.Column("created_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.id"], name=op.f("fk_webhook_subscription_workspace_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_subscription")),
        sa.UniqueConstraint("uid", name=op.f("uq_webhook_subscription_uid")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_webhook_subscription_workspace_id"), "webhook_subscription", ["workspace_id"], unique=False
    )
    op.create_table(
        "block",
        sa.Column("report_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("verbose_name", sa.String(length=255), nullable=True),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("uid", sa.String(length=32), nullable=False),
        sa.Column("created_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["report_id"], ["report.id"], name=op.f("fk_block_report_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_block")),
        sa.UniqueConstraint("report_id", "name", name=op.f("uq_block_report_id_name")),
        sa.UniqueConstraint("uid", name=op.f("uq_block_uid")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "delivery",
        sa.Column("event_id", sa.Integer(), nullable=False),
        sa.Column("subscription_id", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("attempt_count", sa.Integer(), nullable=False),
        sa.Column("schedule_start", sa.Integer(), server_default="0", nullable=False),
        sa.Column("executor_id", sa.String(length=64), nullable=True),
        sa.Column("next_attempt_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_on", sa.DateTime(timezone=True), nullable=True),
        sa.Column("uid", sa.String(length=32), nullable=False),
        sa.Column("created_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["event_id"], ["outbox_event.id"], name=op.f("fk_delivery_event_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["subscription_id"],
            ["webhook_subscription.id"],
            name=op.f("fk_delivery_subscription_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery")),
        sa.UniqueConstraint("event_id", "subscription_id", name=op.f("uq_delivery_event_id_subscription_id")),
        sa.UniqueConstraint("uid", name=op.f("uq_delivery_uid")),
        sqlite_autoincrement=True,
    )
    create_work_indexes("delivery", "subscription_id", "next_attempt_on")
    op.create_index(
        op.f("ix_delivery_subscription_id_delivery_created_on"),
        "delivery",
        ["subscription_id", "created_on"],
        unique=False,
    )
    op.create_table(
        "retired_secret",
        sa.Column("subscription_id", sa.Integer(), nullable=False),
        sa.Column("secret_encrypted", sa.Text(), nullable=False),
        sa.Column("expires_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["subscription_id"],
            ["webhook_subscription.id"],
            name=op.f("fk_retired_secret_subscription_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_retired_secret")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_retired_secret_subscription_id"), "retired_secret", ["subscription_id"], unique=False
    )
    op.create_table(
        "run",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("report_id", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("origin", sa.String(length=16), nullable=False),
        sa.Column("given_parameters", sa.JSON(), nullable=False),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("idempotency_key", sa.String(length=255), nullable=True),
        sa.Column("executor_id", sa.String(length=64), nullable=True),
        sa.Column("lost_workers", sa.Integer(), nullable=False),
        sa.Column("flow_run_id", sa.String(length=36), nullable=True),
        sa.Column("parent_id", sa.Integer(), nullable=True),
        sa.Column("re_run_count", sa.Integer(), nullable=False),
        sa.Column("webhook_id", sa.Integer(), nullable=True),
        sa.Column("schedule_id", sa.Integer(), nullable=True),
        sa.Column("options", sa.JSON(), nullable=True),
        sa.Column("started_on", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_on", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("uid", sa.String(length=32), nullable=False),
        sa.Column("created_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["report_id"], ["report.id"], name=op.f("fk_run_report_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_run_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run")),
        sa.UniqueConstraint("report_id", "idempotency_key", name=op.f("uq_run_report_id_idempotency_key")),
        sa.UniqueConstraint("uid", name=op.f("uq_run_uid")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_run_flow_run_id"), "run", ["flow_run_id"], unique=False)
    op.create_index(op.f("ix_run_report_id"), "run", ["report_id"], unique=False)
    op.create_index(op.f("ix_run_status"), "run", ["status"], unique=False)
    create_work_indexes("run", "workspace_id", "report_id", "created_on", "lost_workers")
    op.create_table(
        "webhook",
        sa.Column("report_id", sa.Integer(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("token_encrypted", sa.Text(), nullable=False),
        sa.Column("details", sa.Text(), nullable=True),
        sa.Column("recipients", sa.Text(), nullable=True),
        sa.Column("slack_recipients", sa.Text(), nullable=True),
        sa.Column("updated_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("uid", sa.String(length=32), nullable=False),
        sa.Column("created_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["report_id"], ["report.id"], name=op.f("fk_webhook_report_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook")),
        sa.UniqueConstraint("uid", name=op.f("uq_webhook_uid")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_webhook_report_id"), "webhook", ["report_id"], unique=False)
    op.create_table(
        "delivery_attempt",
        sa.Column("delivery_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("started_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("duration_ms", sa.Integer(), nullable=False),
        sa.Column("status_code", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["delivery.id"], name=op.f("fk_delivery_attempt_delivery_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery_attempt")),
        sa.UniqueConstraint("delivery_id", "number", name=op.f("uq_delivery_attempt_delivery_id_number")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "query",
        sa.Column("report_id", sa.Integer(), nullable=False),
        sa.Column("block_id", sa.Integer(), nullable=False),
        sa.Column("uid", sa.String(length=32), nullable=False),
        sa.Column("created_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["block_id"], ["block.id"], name=op.f("fk_query_block_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["report_id"], ["report.id"], name=op.f("fk_query_report_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_query")),
        sa.UniqueConstraint("block_id", name=op.f("uq_query_block_id")),
        sa.UniqueConstraint("uid", name=op.f("uq_query_uid")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_query_report_id"), "query", ["report_id"], unique=False)
    op.create_table(
        "run_log",
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("flow_run_id", sa.String(length=36), nullable=True),
        sa.Column("task_run_id", sa.String(length=36), nullable=True),
        sa.Column("level", sa.String(length=16), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("uid", sa.String(length=32), nullable=False),
        sa.Column("created_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_run_log_run_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run_log")),
        sa.UniqueConstraint("uid", name=op.f("uq_run_log_uid")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_run_log_flow_run_id"), "run_log", ["flow_run_id"], unique=False)
    op.create_index(op.f("ix_run_log_run_id"), "run_log", ["run_id"], unique=False)
    op.create_table(
        "query_run",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("report_id", sa.Integer(), nullable=False),
        sa.Column("block_id", sa.Integer(), nullable=False),
        sa.Column("query_id", sa.Integer(), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("origin", sa.String(length=16), nullable=False),
        sa.Column("content", sa.JSON(), nullable=True),
        sa.Column("schedule_id", sa.Integer(), nullable=True),
        sa.Column("given_parameters", sa.JSON(), nullable=False),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("executor_id", sa.String(length=64), nullable=True),
        sa.Column("lost_workers", sa.Integer(), nullable=False),
        sa.Column("started_on", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_on", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("uid", sa.String(length=32), nullable=False),
        sa.Column("created_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["block_id"], ["block.id"], name=op.f("fk_query_run_block_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["query_id"], ["query.id"], name=op.f("fk_query_run_query_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["report_id"], ["report.id"], name=op.f("fk_query_run_report_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_query_run_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_query_run")),
        sa.UniqueConstraint("uid", name=op.f("uq_query_run_uid")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_query_run_block_id"), "query_run", ["block_id"], unique=False)
    op.create_index(op.f("ix_query_run_query_id"), "query_run", ["query_id"], unique=False)
    op.create_index(op.f("ix_query_run_status"), "query_run", ["status"], unique=False)
    create_work_indexes("query_run", "workspace_id", "report_id", "created_on", "lost_workers")
    op.create_table(
        "schedule",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("report_id", sa.Integer(), nullable=False),
        sa.Column("query_id", sa.Integer(), nullable=True),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("first_start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("time_zone", sa.String(length=64), nullable=False),
        sa.Column("recurrence", sa.String(length=16), nullable=False),
        sa.Column("cron", sa.String(length=255), nullable=True),
        sa.Column("ends_on", sa.Date(), nullable=True),
        sa.Column("max_runs", sa.Integer(), nullable=True),
        sa.Column("run_count", sa.Integer(), nullable=False),
        sa.Column("next_run_on", sa.DateTime(timezone=True), nullable=True),
        sa.Column("success_recipients", sa.JSON(), nullable=False),
        sa.Column("failure_recipients", sa.JSON(), nullable=False),
        sa.Column("uid", sa.String(length=32), nullable=False),
        sa.Column("created_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["query_id"], ["query.id"], name=op.f("fk_schedule_query_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["report_id"], ["report.id"], name=op.f("fk_schedule_report_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_schedule_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedule")),
        sa.UniqueConstraint("uid", name=op.f("uq_schedule_uid")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_schedule_next_run_on"), "schedule", ["next_run_on"], unique=False)
    op.create_index(op.f("ix_schedule_report_id"), "schedule", ["report_id"], unique=False)
    op.create_table(
        "block_result",
        sa.Column("run_id", sa.Integer(), nullable=True),
        sa.Column("query_run_id", sa.Integer(), nullable=True),
        sa.Column("block_id", sa.Integer(), nullable=False),
        sa.Column("block_uid", sa.String(length=32), nullable=False),
        sa.Column("query_id", sa.Integer(), nullable=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("output", sa.Text(), nullable=True),
        sa.Column("output_html", sa.Text(), nullable=True),
        sa.Column("content_hash", sa.String(length=64), nullable=True),
        sa.Column("row_count", sa.Integer(), nullable=True),
        sa.Column("result_file", sa.String(length=255), nullable=True),
        sa.Column("max_rows", sa.Integer(), nullable=True),
        sa.Column("timeout_seconds", sa.Integer(), nullable=True),
        sa.Column("is_truncated", sa.Boolean(), nullable=False),
        sa.Column("started_on", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_on", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["query_run_id"], ["query_run.id"], name=op.f("fk_block_result_query_run_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["run.id"], name=op.f("fk_block_result_run_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_block_result")),
        sa.UniqueConstraint("query_run_id", "block_id", name=op.f("uq_block_result_query_run_id_block_id")),
        sa.UniqueConstraint("run_id", "block_id", name=op.f("uq_block_result_run_id_block_id")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "message",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("block_result_id", sa.Integer(), nullable=True),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("recipient", sa.String(length=255), nullable=False),
        sa.Column("recipient_name", sa.String(length=255), nullable=True),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("formatted", sa.Text(), nullable=True),
        sa.Column("files", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("attempt_count", sa.Integer(), nullable=False),
        sa.Column("executor_id", sa.String(length=64), nullable=True),
        sa.Column("next_attempt_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_on", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("uid", sa.String(length=32), nullable=False),
        sa.Column("created_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["block_result_id"],
            ["block_result.id"],
            name=op.f("fk_message_block_result_id"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_message_workspace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_message")),
        sa.UniqueConstraint("uid", name=op.f("uq_message_uid")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_message_block_result_id"), "message", ["block_result_id"], unique=False)
    create_work_indexes("message", "kind", "next_attempt_on")
    op.create_index(op.f("ix_message_workspace_id"), "message", ["workspace_id"], unique=False)
