"""API tokens of other users of the workspace: how an Admin lets somebody in, and out."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, HTTPException

from airflow_provider_pushmetrics.service.api.conventions.access import Admin, Parts
from airflow_provider_pushmetrics.service.api.conventions.lookup import find_by_reference
from airflow_provider_pushmetrics.service.api.tokens import NewToken, list_tokens_of, make_token
from airflow_provider_pushmetrics.service.api.users import find_member
from airflow_provider_pushmetrics.service.models import ApiToken
from airflow_provider_pushmetrics.service.storage.clock import get_now

router = APIRouter(prefix="/api/v1/user/{reference}/access_token", tags=["user"])

OF_ANOTHER = "was a user of another workspace before: take them in by an address that none knows yet"
"""Why nobody here may speak for them."""


@router.get("/")
def list_user_tokens(reference: str, parts: Parts, caller: Admin) -> dict[str, Any]:
    """List the tokens that a user has for the workspace, without the tokens themselves."""
    with parts.database.reading() as session:
        member = find_member(session, reference, caller)
        return list_tokens_of(session, member.user_id, caller.workspace_id)


@router.post("/", status_code=201)
def create_user_token(reference: str, wanted: NewToken, parts: Parts, caller: Admin) -> dict[str, Any]:
    """Make a token for a user, to sign in to this workspace; not for one of another workspace."""
    with parts.database.writing() as session:
        member = find_member(session, reference, caller)
        if not member.is_first and member.user_id != caller.user_id:
            raise HTTPException(403, f"Forbidden: {member.user.email!r} {OF_ANOTHER}")
        return make_token(session, member.user_id, caller.workspace_id, wanted)


@router.delete("/{token}")
def revoke_user_token(reference: str, token: str, parts: Parts, caller: Admin) -> dict[str, str]:
    """Revoke a token of a user; its JWTs and its sessions end with it."""
    with parts.database.writing() as session:
        member = find_member(session, reference, caller)
        row = find_by_reference(session, ApiToken, token, caller, ApiToken.user_id == member.user_id)
        row.revoked_on = row.revoked_on or get_now()
    return {"message": "OK"}
