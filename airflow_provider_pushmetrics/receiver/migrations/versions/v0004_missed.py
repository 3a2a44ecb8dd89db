"""
Count for a named consumer the events that were deleted before it had read them.

Revision: 0004, after 0003.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    missed = sa.Column("missed", sa.BigInteger, nullable=False, server_default="0")
    op.add_column("pushmetrics_inbox_consumers", missed)


def downgrade() -> None:
    """Drop the column."""
    op.drop_column("pushmetrics_inbox_consumers", "missed")
