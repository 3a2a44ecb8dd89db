"""The exchange of an API token for a JWT."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, HTTPException, Request

from airflow_provider_pushmetrics.service.api.conventions.access import NOT_AUTHORIZED, Parts, read_bearer
from airflow_provider_pushmetrics.service.api.conventions.document import TOKEN_CREDENTIAL

router = APIRouter(prefix="/api/v1/security", tags=["security"])


@router.post("/exchange", openapi_extra=TOKEN_CREDENTIAL)
def exchange(request: Request, parts: Parts) -> dict[str, Any]:
    """Exchange an API token, sent as Bearer, for a JWT that soon expires."""
    parts.exchange_limit.check(request.client.host if request.client else "")
    principal = parts.authenticator.find_token_owner(read_bearer(request))
    if principal is None:
        raise HTTPException(401, NOT_AUTHORIZED, headers={"WWW-Authenticate": "Bearer"})
    parts.authenticator.note_login(principal)
    return {
        "access_token": parts.authenticator.issue_jwt(principal),
        "expires_in": parts.authenticator.lifetime_seconds,
    }
