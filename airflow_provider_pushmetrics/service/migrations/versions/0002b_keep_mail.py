"""Keep mail until it is sent, and after."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002b"
down_revision = "0002a"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision."""
    op.create_table(
        "outgoing_mail",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("recipient", sa.String(length=254), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("html", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("attempt_count", sa.Integer(), nullable=False),
        sa.Column("next_attempt_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_on", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("uid", sa.String(length=32), nullable=False),
        sa.Column("created_on", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspace.id"], name=op.f("fk_outgoing_mail_workspace_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outgoing_mail")),
        sa.UniqueConstraint("uid", name=op.f("uq_outgoing_mail_uid")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_outgoing_mail_status"), "outgoing_mail", ["status"])
    op.create_index(op.f("ix_outgoing_mail_workspace_id"), "outgoing_mail", ["workspace_id"])


def downgrade() -> None:
    """Go back to the revision before."""
    op.drop_table("outgoing_mail")
