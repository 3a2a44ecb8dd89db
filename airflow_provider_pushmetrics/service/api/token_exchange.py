"""The exchange of an API token for a JWT."""

from __future__ import annotations

from fastapi import HTTPException, Request

from airflow_provider_pushmetrics.service.api.conventions.access import NOT_AUTHORIZED, Parts, read_bearer
from airflow_provider_pushmetrics.service.api.conventions.document import TOKEN_CREDENTIAL
from airflow_provider_pushmetrics.service.api.conventions.routers import make_router
from airflow_provider_pushmetrics.service.api.schemas.tokens import ExchangedToken
from airflow_provider_pushmetrics.serving.http.connections import group_address

router = make_router("/api/v1/security", "security")


@router.post("/exchange", openapi_extra=TOKEN_CREDENTIAL)
def exchange_token(request: Request, parts: Parts) -> ExchangedToken:
    """Exchange an API token, sent as Bearer, for a JWT with a short lifetime."""
    parts.exchange_limit.check(group_address(request.client))
    principal = parts.authenticator.find_token_owner(read_bearer(request))
    if principal is None:
        raise HTTPException(401, NOT_AUTHORIZED, headers={"WWW-Authenticate": "Bearer"})
    parts.authenticator.record_login(principal)
    return {
        "access_token": parts.authenticator.issue_jwt(principal),
        "expires_in": parts.authenticator.lifetime_seconds,
    }
