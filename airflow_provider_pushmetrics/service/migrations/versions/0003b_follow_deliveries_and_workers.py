"""Follow deliveries closely: rotated secrets, disabled endpoints; and know the workers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003b"
down_revision = "0002b"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Go to this revision."""
    # Added one by one: a table made anew is dropped before, and on SQLite that deletes what refers to it.
    for name, kind in (
        ("owner_id", sa.Integer()),
        ("failing_since", MOMENT),
        ("disabled_on", MOMENT),
        ("disabled_reason", sa.Text()),
    ):
        op.add_column("webhook_subscription", sa.Column(name, kind, nullable=True))
    for name in ("schedule_start", "generation"):
        op.add_column("delivery", sa.Column(name, sa.Integer(), nullable=False, server_default=sa.text("0")))
    op.drop_index(op.f("ix_delivery_status"), "delivery")
    op.create_index(
        op.f("ix_delivery_status_delivery_next_attempt_on"), "delivery", ["status", "next_attempt_on"]
    )
    op.create_index(
        op.f("ix_delivery_subscription_id_delivery_created_on"), "delivery", ["subscription_id", "created_on"]
    )
    op.create_table(
        "retired_secret",
        sa.Column("subscription_id", sa.Integer(), nullable=False),
        sa.Column("secret_encrypted", sa.Text(), nullable=False),
        sa.Column("expires_on", MOMENT, nullable=False),
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
    op.create_index(op.f("ix_retired_secret_subscription_id"), "retired_secret", ["subscription_id"])
    op.create_table(
        "worker",
        sa.Column("executor_id", sa.String(length=64), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("started_on", MOMENT, nullable=False),
        sa.Column("beat_on", MOMENT, nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_worker")),
        sa.UniqueConstraint("executor_id", name=op.f("uq_worker_executor_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_worker_beat_on"), "worker", ["beat_on"])
