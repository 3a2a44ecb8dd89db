"""The first workspace, user and API token of a new service."""

from __future__ import annotations

import logging
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.service.accounts.authentication import (
    URL_SAFE,
    generate_api_token,
    hash_token,
)
from airflow_provider_pushmetrics.service.accounts.members import find_membership
from airflow_provider_pushmetrics.service.accounts.roles import Role
from airflow_provider_pushmetrics.service.models import ApiToken, Membership, User, Workspace
from airflow_provider_pushmetrics.service.storage.clock import get_now
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.serving.private_files import write_private_file

WORKSPACE_NAME = "Main Workspace"
FIRST_EMAIL = "admin@localhost"
BOOTSTRAP_NAME = "bootstrap"
TOKEN_FILE = "bootstrap-token"  # noqa: S105 (a name, not a secret)

log = logging.getLogger(__name__)


def bootstrap(database: Database, data_dir: Path, token: str | None) -> None:
    """
    Ensure that a first workspace, user and token exist.

    A given token replaces the one given before. If none is given and none exists, one is
    generated and written to a file that only the owner of the data folder can read.

    :raises PushMetricsConfigurationError: if the token is not URL-safe.
    """
    if token is not None and not URL_SAFE.match(token):
        raise PushMetricsConfigurationError(
            "PUSHMETRICS_SERVICE_BOOTSTRAP_TOKEN is not a valid token: it must be 16 to 256 letters, digits"
            " and '-', '_', '.', '~'. Generate one with:"
            " python -c 'import secrets; print(secrets.token_urlsafe(32))'"
        )
    with database.writing() as session:
        if token is not None:
            _ensure_bootstrap_token(session, _ensure_member(session), token)
        elif session.scalar(select(ApiToken.id).limit(1)) is None:
            token = generate_api_token()
            path = data_dir / TOKEN_FILE
            write_private_file(path, token)
            _ensure_bootstrap_token(session, _ensure_member(session), token)
            log.warning("generated the first API token; it is in %s", path)


def _ensure_member(session: Session) -> Membership:
    """Find or create the first user in the first workspace, as Admin."""
    workspace = session.scalar(select(Workspace).order_by(Workspace.id).limit(1))
    if workspace is None:
        workspace = Workspace(name=WORKSPACE_NAME)
        session.add(workspace)
    user = session.scalar(select(User).order_by(User.id).limit(1))
    if user is None:
        user = User(email=FIRST_EMAIL, first_name="Admin", last_name="")
        session.add(user)
    session.flush()
    membership = find_membership(session, user.id, workspace.id)
    if membership is None:
        membership = Membership(user_id=user.id, workspace_id=workspace.id)
        session.add(membership)
    membership.role = Role.ADMIN.value
    return membership


def _ensure_bootstrap_token(session: Session, owner: Membership, token: str) -> None:
    known = session.scalar(select(ApiToken).where(ApiToken.token_hash == hash_token(token)))
    for other in session.scalars(
        select(ApiToken).where(ApiToken.name == BOOTSTRAP_NAME, ApiToken.revoked_on.is_(None))
    ):
        if other is not known:
            other.revoked_on = get_now()
    if known is not None:
        known.revoked_on = None
        return
    session.add(
        ApiToken(
            user_id=owner.user_id,
            workspace_id=owner.workspace_id,
            name=BOOTSTRAP_NAME,
            token_hash=hash_token(token),
        )
    )
