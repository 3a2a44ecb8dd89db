"""Keep schedules, and messages to Slack until they are posted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004a"
down_revision = "0003b"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Go to this revision."""
    op.create_table(
        "schedule",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("report_id", sa.Integer(), nullable=False),
        sa.Column("query_id", sa.Integer(), nullable=True),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("first_start", MOMENT, nullable=False),
        sa.Column("time_zone", sa.String(length=64), nullable=False),
        sa.Column("recurrence", sa.String(length=16), nullable=False),
        sa.Column("cron", sa.String(length=255), nullable=True),
        sa.Column("ends_on", sa.Date(), nullable=True),
        sa.Column("max_runs", sa.Integer(), nullable=True),
        sa.Column("run_count", sa.Integer(), nullable=False),
        sa.Column("next_run_on", MOMENT, nullable=True),
        sa.Column("success_recipients", sa.JSON(), nullable=False),
        sa.Column("failure_recipients", sa.JSON(), nullable=False),
        sa.Column("uid", sa.String(length=32), nullable=False),
        sa.Column("created_on", MOMENT, nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_schedule_workspace_id")),
        sa.ForeignKeyConstraint(
            ["report_id"], ["report.id"], name=op.f("fk_schedule_report_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["query_id"], ["query.id"], name=op.f("fk_schedule_query_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedule")),
        sa.UniqueConstraint("uid", name=op.f("uq_schedule_uid")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_schedule_report_id"), "schedule", ["report_id"])
    op.create_index(op.f("ix_schedule_next_run_on"), "schedule", ["next_run_on"])
    op.create_table(
        "slack_message",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("channel", sa.String(length=255), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("attempt_count", sa.Integer(), nullable=False),
        sa.Column("next_attempt_on", MOMENT, nullable=False),
        sa.Column("finished_on", MOMENT, nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("uid", sa.String(length=32), nullable=False),
        sa.Column("created_on", MOMENT, nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.id"], name=op.f("fk_slack_message_workspace_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_slack_message")),
        sa.UniqueConstraint("uid", name=op.f("uq_slack_message_uid")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_slack_message_status"), "slack_message", ["status"])
    op.create_index(op.f("ix_slack_message_workspace_id"), "slack_message", ["workspace_id"])
