"""Personal API tokens: creating, listing and revoking them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.service.accounts.authentication import generate_api_token, hash_token
from airflow_provider_pushmetrics.service.accounts.members import hold_workspace
from airflow_provider_pushmetrics.service.api.conventions.access import Caller, Editor, Parts
from airflow_provider_pushmetrics.service.api.conventions.fields import Reference
from airflow_provider_pushmetrics.service.api.conventions.lookup import find_by_reference
from airflow_provider_pushmetrics.service.api.conventions.routers import make_router
from airflow_provider_pushmetrics.service.api.conventions.shapes import OK, Confirmation, build_answer
from airflow_provider_pushmetrics.service.api.schemas.tokens import (
    CreatedToken,
    NewToken,
    TokenList,
    TokenRow,
    parse_expiry,
)
from airflow_provider_pushmetrics.service.models import ApiToken
from airflow_provider_pushmetrics.service.storage.clock import get_now

router = make_router("/api/v1/access_token", "access token")

PREFIX_LENGTH = 12
"""How much of a token is shown later, for people to tell theirs apart: six of its 43 random characters."""


@router.get("/")
def list_tokens(parts: Parts, caller: Caller) -> TokenList:
    """List the caller's tokens that were not revoked, without the tokens themselves."""
    with parts.database.reading() as session:
        return list_tokens_of(session, caller.user_id, caller.workspace_id)


@router.post("/", status_code=201)
def create_token(wanted: NewToken, parts: Parts, caller: Editor) -> CreatedToken:
    """Create a token. No other answer shows it."""
    with parts.database.writing() as session:
        return make_token(session, caller.user_id, caller.workspace_id, wanted)


@router.delete("/{reference}")
def revoke_token(reference: Reference, parts: Parts, caller: Caller) -> Confirmation:
    """Revoke a token of the caller, and all JWTs that it was exchanged for."""
    with parts.database.writing() as session:
        token = find_by_reference(session, ApiToken, reference, caller, ApiToken.user_id == caller.user_id)
        token.revoked_on = token.revoked_on or get_now()
    return OK


def list_tokens_of(session: Session, user_id: int, workspace_id: int) -> TokenList:
    """List the tokens of a user for a workspace, without the tokens themselves."""
    own = select(ApiToken).where(
        ApiToken.workspace_id == workspace_id,
        ApiToken.user_id == user_id,
        ApiToken.revoked_on.is_(None),
    )
    rows = [_build_row(token) for token in session.scalars(own.order_by(ApiToken.id))]
    return {"count": len(rows), "ids": [row["id"] for row in rows], "result": rows}


def make_token(session: Session, user_id: int, workspace_id: int, wanted: NewToken) -> CreatedToken:
    """Create a token of a user, and build the answer that shows it."""
    expires_on = None if wanted.expires_on is None else parse_expiry(wanted.expires_on)
    row, token = add_token(session, user_id, workspace_id, wanted.name, expires_on)
    return {"id": row.uid, "token": token, "result": _build_row(row)}


def add_token(
    session: Session, user_id: int, workspace_id: int, name: str, expires_on: datetime | None = None
) -> tuple[ApiToken, str]:
    """Create a token; only its hash is stored."""
    hold_workspace(session, workspace_id)
    token = generate_api_token()
    row = ApiToken(
        user_id=user_id,
        workspace_id=workspace_id,
        name=name,
        token_hash=hash_token(token),
        token_prefix=token[:PREFIX_LENGTH],
        expires_on=expires_on,
    )
    session.add(row)
    session.flush()
    return row, token


def _build_row(token: ApiToken) -> TokenRow:
    return build_answer(TokenRow, token, id=token.uid)
