"""Let users belong to any number of workspaces, with a role in each."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005a"
down_revision = "0004a"
branch_labels = None
depends_on = None

AUTOINCREMENT = {"sqlite_autoincrement": True}


def upgrade() -> None:
    """Go to this revision."""
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
    op.create_index(op.f("ix_membership_workspace_id"), "membership", ["workspace_id"])
    op.execute(
        "INSERT INTO membership (user_id, workspace_id, role) SELECT id, workspace_id, role FROM app_user"
    )
    with op.batch_alter_table("app_user", table_kwargs=AUTOINCREMENT) as table:
        table.drop_constraint(op.f("fk_app_user_workspace_id"), type_="foreignkey")
        table.drop_column("workspace_id")
        table.drop_column("role")
        table.create_unique_constraint(op.f("uq_app_user_email"), ["email"])
