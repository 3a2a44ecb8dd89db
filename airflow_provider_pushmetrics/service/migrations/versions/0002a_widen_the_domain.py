"""Make room for all kinds of blocks, re-runs, logs, limits and people's roles."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002a"
down_revision = "0001"
branch_labels = None
depends_on = None

AUTOINCREMENT = {"sqlite_autoincrement": True}


def upgrade() -> None:
    """Go to this revision."""
    op.add_column("app_user", sa.Column("role", sa.String(length=32), nullable=False, server_default="Admin"))
    op.add_column("app_user", sa.Column("last_login", sa.DateTime(timezone=True), nullable=True))
    op.add_column("api_token", sa.Column("token_prefix", sa.String(length=16), nullable=True))
    op.add_column("report", sa.Column("folder", sa.String(length=255), nullable=True))
    op.add_column("block", sa.Column("verbose_name", sa.String(length=255), nullable=True))
    op.add_column("block_result", sa.Column("max_rows", sa.Integer(), nullable=True))
    op.add_column("block_result", sa.Column("timeout_seconds", sa.Integer(), nullable=True))
    op.add_column(
        "block_result", sa.Column("is_truncated", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    _widen_runs()
    _widen_query_runs()
    _create_log()


def _widen_runs() -> None:
    op.add_column("run", sa.Column("flow_run_id", sa.String(length=36), nullable=True))
    op.create_index(op.f("ix_run_flow_run_id"), "run", ["flow_run_id"])
    op.add_column("run", sa.Column("parent_id", sa.Integer(), nullable=True))
    op.add_column("run", sa.Column("re_run_count", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("run", sa.Column("webhook_id", sa.Integer(), nullable=True))
    op.add_column("run", sa.Column("schedule_id", sa.Integer(), nullable=True))
    op.add_column("run", sa.Column("options", sa.JSON(), nullable=True))


def _widen_query_runs() -> None:
    op.add_column(
        "query_run", sa.Column("origin", sa.String(length=16), nullable=False, server_default="api")
    )
    op.add_column("query_run", sa.Column("content", sa.JSON(), nullable=True))
    op.add_column("query_run", sa.Column("schedule_id", sa.Integer(), nullable=True))
    op.add_column("query_run", sa.Column("block_id", sa.Integer(), nullable=True))
    op.execute(
        "UPDATE query_run SET block_id = (SELECT block_id FROM query WHERE query.id = query_run.query_id)"
    )
    with op.batch_alter_table("query_run", table_kwargs=AUTOINCREMENT) as table:
        table.alter_column("query_id", existing_type=sa.Integer(), nullable=True)
        table.alter_column("block_id", existing_type=sa.Integer(), nullable=False)
        table.create_foreign_key(
            op.f("fk_query_run_block_id"), "block", ["block_id"], ["id"], ondelete="CASCADE"
        )
        table.create_index(op.f("ix_query_run_block_id"), ["block_id"])


def _create_log() -> None:
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
    op.create_index(op.f("ix_run_log_run_id"), "run_log", ["run_id"])
    op.create_index(op.f("ix_run_log_flow_run_id"), "run_log", ["flow_run_id"])
