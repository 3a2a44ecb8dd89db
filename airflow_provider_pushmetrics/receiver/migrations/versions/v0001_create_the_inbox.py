"""
Create the inbox: its events, the last id handed out, the named consumers and the newest refused deliveries.

Revision: 0001, the first.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

INDEXED = ("event", "report_id", "query_id", "run_id")


def upgrade() -> None:
    """Create the tables, and the one row that hands out ids."""
    _create_events()
    state = op.create_table(
        "pushmetrics_inbox_state",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("last_event_id", sa.BigInteger, nullable=False),
        sa.Column("last_deleted_id", sa.BigInteger, nullable=False, server_default="0"),
    )
    op.bulk_insert(state, [{"id": 1, "last_event_id": 0}])
    op.create_table(
        "pushmetrics_inbox_consumers",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("taken_by", sa.Text),
        sa.Column("missed", sa.BigInteger, nullable=False, server_default="0"),
    )
    op.create_table(
        "pushmetrics_inbox_rejections",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("rejected_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("client", sa.Text, nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )


def downgrade() -> None:
    """Drop the inbox with all that it holds."""
    op.drop_table("pushmetrics_inbox_rejections")
    op.drop_table("pushmetrics_inbox_consumers")
    op.drop_table("pushmetrics_inbox_state")
    op.drop_table("pushmetrics_inbox_events")


def _create_events() -> None:
    op.create_table(
        "pushmetrics_inbox_events",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("delivery_key", sa.Text, nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("report_id", sa.BigInteger),
        sa.Column("query_id", sa.BigInteger),
        sa.Column("run_id", sa.BigInteger),
        sa.Column("replay_of", sa.BigInteger),
        sa.Column("traceparent", sa.Text),
        sa.Column("body_bytes", sa.Integer, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("source", "delivery_key", name="uq_pushmetrics_inbox_delivery"),
    )
    for name in INDEXED:
        is_set = sa.text(f"{name} IS NOT NULL")
        op.create_index(
            f"ix_pushmetrics_inbox_{name}",
            "pushmetrics_inbox_events",
            [name, "id"],
            sqlite_where=is_set,
            postgresql_where=is_set,
        )
    op.create_index("ix_pushmetrics_inbox_received_at", "pushmetrics_inbox_events", ["received_at"])
