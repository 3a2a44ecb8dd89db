"""Accounts: workspaces, users, their sessions and tokens."""

from __future__ import annotations

import sqlalchemy as sa

from airflow_provider_pushmetrics.service.migrations.initial.definitions import (
    MOMENT,
    column,
    create,
    index,
    reference,
    unique,
)


def create_tables() -> None:
    """Create the tables with their indexes."""
    _create_app_user()
    _create_ended_session()
    _create_workspace()
    _create_api_token()
    _create_membership()


def _create_app_user() -> None:
    create(
        "app_user",
        column("email", sa.String(320)),
        column("first_name", sa.String(255)),
        column("last_name", sa.String(255)),
        column("last_login", MOMENT, nullable=True),
        unique("app_user", "email"),
    )


def _create_ended_session() -> None:
    create(
        "ended_session",
        column("sid", sa.String(32)),
        column("until", MOMENT),
        unique("ended_session", "sid"),
        is_entity=False,
    )
    index("ended_session", "until")


def _create_workspace() -> None:
    create("workspace", column("name", sa.String(255)))


def _create_api_token() -> None:
    create(
        "api_token",
        reference("api_token", "user_id", "app_user"),
        reference("api_token", "workspace_id", "workspace"),
        column("name", sa.String(255)),
        column("token_hash", sa.String(64)),
        column("token_prefix", sa.String(16), nullable=True),
        column("expires_on", MOMENT, nullable=True),
        column("revoked_on", MOMENT, nullable=True),
        unique("api_token", "token_hash"),
    )
    index("api_token", "workspace_id")


def _create_membership() -> None:
    create(
        "membership",
        reference("membership", "user_id", "app_user", ondelete="CASCADE"),
        reference("membership", "workspace_id", "workspace", ondelete="CASCADE"),
        column("role", sa.String(32)),
        unique("membership", "user_id", "workspace_id"),
        is_entity=False,
    )
    index("membership", "workspace_id")
