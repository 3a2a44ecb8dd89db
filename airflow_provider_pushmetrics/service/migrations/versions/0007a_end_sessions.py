"""Keep which sessions of browsers were signed out."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007a"
down_revision = "0006a"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision."""
    op.create_table(
        "ended_session",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("sid", sa.String(32), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_ended_session"),
        sa.UniqueConstraint("sid", name="uq_ended_session_sid"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_ended_session_until", "ended_session", ["until"])
