"""API tokens of the users of the workspace, for its Admins."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from fastapi import HTTPException, Path

from airflow_provider_pushmetrics.service.api.conventions.access import Admin, Parts
from airflow_provider_pushmetrics.service.api.conventions.fields import Reference
from airflow_provider_pushmetrics.service.api.conventions.lookup import find_by_reference
from airflow_provider_pushmetrics.service.api.conventions.routers import make_router
from airflow_provider_pushmetrics.service.api.conventions.shapes import OK, Confirmation
from airflow_provider_pushmetrics.service.api.schemas.tokens import CreatedToken, NewToken, TokenList
from airflow_provider_pushmetrics.service.api.tokens import list_tokens_of, make_token
from airflow_provider_pushmetrics.service.api.users import find_member
from airflow_provider_pushmetrics.service.models import ApiToken
from airflow_provider_pushmetrics.service.storage.clock import get_now

router = make_router("/api/v1/user/{reference}/access_token", "user")

TokenReference: TypeAlias = Annotated[str, Path(description="The id of the token", examples=["kQ3vX8mWz1aB"])]

OF_ANOTHER = "was a user of another workspace before: take them in by an address that none knows yet"
"""The reason why the user cannot have tokens here."""


@router.get("/")
def list_user_tokens(reference: Reference, parts: Parts, caller: Admin) -> TokenList:
    """List the tokens of a user for this workspace, without the tokens themselves."""
    with parts.database.reading() as session:
        member = find_member(session, reference, caller)
        return list_tokens_of(session, member.user_id, caller.workspace_id)


@router.post("/", status_code=201)
def create_user_token(reference: Reference, wanted: NewToken, parts: Parts, caller: Admin) -> CreatedToken:
    """Create a token of a user for this workspace. 403 for a user who came from another workspace."""
    with parts.database.writing() as session:
        member = find_member(session, reference, caller)
        if not member.is_first and member.user_id != caller.user_id:
            raise HTTPException(403, f"Forbidden: {member.user.email!r} {OF_ANOTHER}")
        return make_token(session, member.user_id, caller.workspace_id, wanted)


@router.delete("/{token}")
def revoke_user_token(
    reference: Reference, token: TokenReference, parts: Parts, caller: Admin
) -> Confirmation:
    """Revoke a token of a user, and all JWTs and sessions that it was exchanged for."""
    with parts.database.writing() as session:
        member = find_member(session, reference, caller)
        row = find_by_reference(session, ApiToken, token, caller, ApiToken.user_id == member.user_id)
        row.revoked_on = row.revoked_on or get_now()
    return OK
