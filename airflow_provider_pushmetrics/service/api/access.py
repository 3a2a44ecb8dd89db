"""Who asks, and through which parts the answer comes: the dependencies of all routes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeAlias

from fastapi import Depends, HTTPException, Request, Security
from fastapi.security import HTTPBearer

from airflow_provider_pushmetrics.service.credentials import Principal, parse_bearer
from airflow_provider_pushmetrics.service.parts import ServiceParts
from airflow_provider_pushmetrics.service.roles import Role
from airflow_provider_pushmetrics.service.web.cookie import read_session

NOT_AUTHORIZED = "Not authorized"


def get_parts(request: Request) -> ServiceParts:
    """Give a route the parts of the service."""
    parts: ServiceParts = request.app.state.parts
    return parts


Parts: TypeAlias = Annotated[ServiceParts, Depends(get_parts)]


BEARER = HTTPBearer(auto_error=False, description="An API token, or the JWT that it was exchanged for")
"""Puts the credential into the API's description; it is read by our own rules."""


def authenticate(request: Request, parts: Parts, _: Annotated[Any, Security(BEARER)]) -> Principal:
    """Find out who asks; 401, always the same, if that cannot be told."""
    header = request.headers.get("authorization")
    if header is None:
        principal = parts.gatekeeper.find_session(read_session(request))
    else:
        principal = parts.gatekeeper.find_principal(parse_bearer(header))
    if principal is None:
        raise HTTPException(401, NOT_AUTHORIZED, headers={"WWW-Authenticate": "Bearer"})
    return principal


Caller: TypeAlias = Annotated[Principal, Depends(authenticate)]
"""Any member of the workspace: for what only reads."""


def require_role(needed: Role) -> Callable[[Principal], Principal]:
    """Make the dependency that lets in who has a role, or one that includes it."""

    def check(caller: Caller) -> Principal:
        if not caller.role.includes(needed):
            raise HTTPException(
                403,
                f"Forbidden: it needs the role {needed.value}, and yours is {caller.role.value}."
                " An Admin of the workspace can change that.",
            )
        return caller

    return check


Editor: TypeAlias = Annotated[Principal, Depends(require_role(Role.USER))]
"""Who makes and runs reports."""

Admin: TypeAlias = Annotated[Principal, Depends(require_role(Role.ADMIN))]
"""Who decides about members and databases."""
