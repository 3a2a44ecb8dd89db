"""Signing in with an API token, renewing the session, and signing out."""

from __future__ import annotations

from typing import NotRequired

from fastapi import HTTPException, Request, Response
from pydantic import BaseModel, SecretStr
from typing_extensions import TypedDict

from airflow_provider_pushmetrics.service.accounts.session_cookie import (
    COOKIE,
    check_own_page,
    check_owner,
    clear_session,
    set_session,
)
from airflow_provider_pushmetrics.service.api.conventions.access import NOT_AUTHORIZED, Parts
from airflow_provider_pushmetrics.service.api.conventions.routers import make_router
from airflow_provider_pushmetrics.service.api.conventions.shapes import answer
from airflow_provider_pushmetrics.service.api.schemas.users import UserRow
from airflow_provider_pushmetrics.service.api.schemas.workspaces import WorkspaceRow
from airflow_provider_pushmetrics.service.api.users import get_current_user
from airflow_provider_pushmetrics.service.api.workspaces import get_current_workspace
from airflow_provider_pushmetrics.service.runs.run_watch import read_figures
from airflow_provider_pushmetrics.serving.http.connections import group_address

router = make_router("/app/session")


@answer
class SessionState(TypedDict):
    """Whether a browser is signed in."""

    is_signed_in: bool
    renew_seconds: NotRequired[float]
    """Seconds after which the page should request the next JWT."""
    user: NotRequired[UserRow]
    """Who is signed in."""
    workspace: NotRequired[WorkspaceRow]
    is_demo: NotRequired[bool]
    """Whether the service was started with ``--demo``, whose first page explains it."""
    runs_version: NotRequired[str]
    """The version of all runs, as the events of open pages have it: what is read later is not older."""


class SignIn(BaseModel):
    """An API token, which is verified and not stored."""

    token: SecretStr


@router.get("")
def show_session(request: Request, parts: Parts) -> SessionState:
    """Return whether a browser is signed in, and for whom; never 401, which it would log as an error."""
    principal = parts.authenticator.find_session(request.cookies.get(COOKIE))
    if principal is None:
        return {"is_signed_in": False, "renew_seconds": _choose_pause(parts)}
    with parts.database.reading() as database:
        version = read_figures(database).write_version()
    return {
        "is_signed_in": True,
        "renew_seconds": _choose_pause(parts),
        "runs_version": version,
        "user": get_current_user(parts, principal),
        "workspace": get_current_workspace(parts, principal),
        "is_demo": parts.settings.demo,
    }


@router.post("")
def sign_in(wanted: SignIn, request: Request, response: Response, parts: Parts) -> SessionState:
    """Open a session of a browser for an API token."""
    check_own_page(request)
    parts.exchange_limit.check(group_address(request.client))
    principal = parts.authenticator.find_token_owner(wanted.token.get_secret_value())
    if principal is None:
        raise HTTPException(401, NOT_AUTHORIZED)
    parts.authenticator.record_login(principal)
    set_session(request, response, parts.authenticator.open_session(principal), parts.settings)
    return {"is_signed_in": True, "renew_seconds": _choose_pause(parts)}


@router.put("")
def renew(request: Request, response: Response, parts: Parts) -> SessionState:
    """Renew a session while the page is in use."""
    check_own_page(request)
    session = parts.authenticator.renew_session(request.cookies.get(COOKIE))
    if session is None:
        raise HTTPException(401, NOT_AUTHORIZED)
    set_session(request, response, session, parts.settings)
    return {"is_signed_in": True, "renew_seconds": _choose_pause(parts)}


@router.delete("")
def sign_out(request: Request, response: Response, parts: Parts) -> SessionState:
    """End the session, including copies of its cookie."""
    check_own_page(request)
    session = request.cookies.get(COOKIE)
    principal = parts.authenticator.find_session(session)
    if principal is not None:
        check_owner(request, principal.user_id, principal.workspace_id)
    parts.authenticator.end_session(session)
    clear_session(response, parts.settings)
    return {"is_signed_in": False}


def _choose_pause(parts: Parts) -> float:
    """Choose when the page requests the next JWT: early enough for one failed attempt."""
    return parts.authenticator.lifetime_seconds / 3
