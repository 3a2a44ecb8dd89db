"""Keep with a mail which results go with it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006a"
down_revision = "0005a"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision."""
    op.add_column("outgoing_mail", sa.Column("attachments", sa.JSON(), nullable=True))
