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


def is_bootstrapped(database: Database, token: str | None) -> bool:
    """Return whether the token exists and is valid, or any token if none is given."""
    known = select(ApiToken.id).limit(1)
    if token is not None:
        known = known.where(ApiToken.token_hash == hash_token(token), ApiToken.revoked_on.is_(None))
    with database.reading() as session:
        return session.scalar(known) is not None


def bootstrap(database: Database, data_dir: Path, token: str | None) -> None:
    """
    Ensure that a first workspace, user and token exist.

    A given token replaces the one given before; one that was revoked or replaced stays so. If none is given
    and none exists, one is generated and written to a file that only the owner of the data folder can read.

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
            _ensure_token(session, token)
        elif session.scalar(select(ApiToken.id).limit(1)) is None:
            token = generate_api_token()
            path = data_dir / TOKEN_FILE
            write_private_file(path, token)
            _add_token(session, token)
            log.warning("generated the first API token; it is in %s", path)


def _ensure_token(session: Session, token: str) -> None:
    known = session.scalar(select(ApiToken).where(ApiToken.token_hash == hash_token(token)))
    if known is None:
        _add_token(session, token)
    elif known.revoked_on is not None:
        # An Admin revoked it, or a newer process of a rolling change replaced it.
        log.warning(
            "the token of PUSHMETRICS_SERVICE_BOOTSTRAP_TOKEN was revoked or replaced, and stays so: to get"
            " access, set one that was never used"
        )


def _add_token(session: Session, token: str) -> None:
    """Add a token in place of those that were given before."""
    # Only these have no prefix: a user may have given a token of their own the same name.
    own = select(ApiToken).where(ApiToken.name == BOOTSTRAP_NAME, ApiToken.token_prefix.is_(None))
    given = session.scalars(own.order_by(ApiToken.id)).all()
    for one in given:
        one.revoked_on = one.revoked_on or get_now()
    owner = find_membership(session, given[-1].user_id, given[-1].workspace_id) if given else None
    if owner is None:
        owner = _add_owner(session, given[-1].workspace_id if given else None)
    session.add(
        ApiToken(
            user_id=owner.user_id,
            workspace_id=owner.workspace_id,
            name=BOOTSTRAP_NAME,
            token_hash=hash_token(token),
        )
    )


def _add_owner(session: Session, workspace_id: int | None) -> Membership:
    """Make the first user Admin of a workspace, or of a new one: those that exist may be other people's."""
    user = session.scalar(select(User).where(User.email == FIRST_EMAIL))
    if user is None:
        user = User(email=FIRST_EMAIL, first_name="Admin", last_name="")
        session.add(user)
    if workspace_id is None:
        workspace = Workspace(name=WORKSPACE_NAME)
        session.add(workspace)
        session.flush()
        workspace_id = workspace.id
    session.flush()
    owner = find_membership(session, user.id, workspace_id)
    if owner is None:
        owner = Membership(user_id=user.id, workspace_id=workspace_id, role=Role.ADMIN.value)
        session.add(owner)
    return owner
