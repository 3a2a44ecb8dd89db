"""The dependencies of routes: the caller with its role, and the parts of the service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeAlias

from fastapi import Depends, HTTPException, Request, Security
from fastapi.security import HTTPBearer

from airflow_provider_pushmetrics.service.accounts.authentication import Principal
from airflow_provider_pushmetrics.service.accounts.roles import Role
from airflow_provider_pushmetrics.service.accounts.session_cookie import check_owner, read_session
from airflow_provider_pushmetrics.service.runtime import ServiceParts
from airflow_provider_pushmetrics.serving.http.headers import parse_bearer

NOT_AUTHORIZED = "Not authorized"


async def get_parts(request: Request) -> ServiceParts:
    """Give a route the parts of the service. It is async, since FastAPI calls other functions in a thread."""
    parts: ServiceParts = request.app.state.parts
    return parts


Parts: TypeAlias = Annotated[ServiceParts, Depends(get_parts)]


SCHEME = "ApiToken"
BEARER = HTTPBearer(
    scheme_name=SCHEME,
    auto_error=False,
    description="An API token, or the JWT that it was exchanged for, with the role of its user: a *Guest*"
    " reads; a *User* also creates, changes and runs reports; an *Admin* also decides about users, databases"
    " and workspaces.",
)
"""Puts the credential into the OpenAPI document; `authenticate` reads it."""


def authenticate(request: Request, parts: Parts, _: Annotated[Any, Security(BEARER)]) -> Principal:
    """Find the caller of a request; without a valid credential, the same 401 for every reason."""
    if "authorization" in request.headers:
        principal = parts.authenticator.find_principal(read_bearer(request))
    else:
        principal = parts.authenticator.find_session(read_session(request))
        if principal is not None:
            check_owner(request, principal.user_id, principal.workspace_id)
    if principal is None:
        raise HTTPException(401, NOT_AUTHORIZED, headers={"WWW-Authenticate": "Bearer"})
    return principal


def read_bearer(request: Request) -> str | None:
    """Read the token of a request's ``Authorization`` header; None if there is none."""
    token = parse_bearer(request.headers.get("authorization", "").encode("latin-1"))
    return None if token is None else token.decode("latin-1")


Caller: TypeAlias = Annotated[Principal, Depends(authenticate)]
"""Any member of the workspace, for what only reads."""


def require_role(needed: Role) -> Callable[[Principal], Principal]:
    """Make the dependency that accepts a caller with a role, or with one that includes it."""

    def check(caller: Caller) -> Principal:
        if not caller.role.includes(needed):
            raise HTTPException(
                403,
                f"Forbidden: it needs the role {needed.value}, and yours is {caller.role.value}."
                " An Admin of the workspace can change that.",
            )
        return caller

    return check


Editor: TypeAlias = Annotated[Principal, Security(require_role(Role.USER), scopes=[Role.USER.value])]
"""A member who creates, changes and runs reports."""

Admin: TypeAlias = Annotated[Principal, Security(require_role(Role.ADMIN), scopes=[Role.ADMIN.value])]
"""A member who decides about users, databases and workspaces."""
