"""
Keep with a named consumer's position who took the event there.

Revision: 0003, after 0002.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("pushmetrics_inbox_consumers", sa.Column("taken_by", sa.Text))


def downgrade() -> None:
    """Drop the column."""
    op.drop_column("pushmetrics_inbox_consumers", "taken_by")
