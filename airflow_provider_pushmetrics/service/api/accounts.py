"""Users, their roles and workspaces. What is ``current`` is answered bare: it stands in no ``result``."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, HTTPException

from airflow_provider_pushmetrics.service.api.access import Caller, Parts
from airflow_provider_pushmetrics.service.api.lookup import find_by_reference, select_in_workspace
from airflow_provider_pushmetrics.service.api.shapes import build_list, build_one
from airflow_provider_pushmetrics.service.clock import format_moment
from airflow_provider_pushmetrics.service.listing import Listing, match_integer, match_text, parse_list_query
from airflow_provider_pushmetrics.service.models import User, Workspace

router = APIRouter(prefix="/api/v1", tags=["account"])

ORGANIZATION = "PushMetrics"
ROLES: dict[str, dict[str, Any]] = {
    name: {"id": number, "uid": f"role{name}", "name": name}
    for number, name in enumerate(("Admin", "User", "Guest"), start=1)
}

LISTING = Listing(
    order=User.id,
    columns={"id": User.id, "email": User.email},
    conditions={
        ("id", "eq"): match_integer(User.id, "id"),
        ("email", "eq"): match_text(User.email),
    },
)


@router.get("/user/current")
def get_current_user(parts: Parts, caller: Caller) -> dict[str, Any]:
    """Show the user whose token is used."""
    with parts.database.reading() as session:
        return _build_user_row(session.get_one(User, caller.user_id))


@router.get("/user/")
def list_users(parts: Parts, caller: Caller, q: str | None = None) -> dict[str, Any]:
    """List the users of the workspace."""
    with parts.database.reading() as session:
        rows = select_in_workspace(User, caller)
        count, page = LISTING.fetch(session, rows, parse_list_query(q))
        return build_list(count, [_build_user_row(user) for user in page])


@router.get("/user/{reference}")
def get_user(reference: str, parts: Parts, caller: Caller) -> dict[str, Any]:
    """Show a user of the workspace."""
    with parts.database.reading() as session:
        return build_one(_build_user_row(find_by_reference(session, User, reference, caller)))


@router.get("/role/")
def list_roles(caller: Caller) -> dict[str, Any]:
    """List the roles that users have."""
    return build_list(len(ROLES), list(ROLES.values()))


@router.get("/workspace/current")
def get_current_workspace(parts: Parts, caller: Caller) -> dict[str, Any]:
    """Show the workspace that the token is bound to."""
    with parts.database.reading() as session:
        return _build_workspace_row(session.get_one(Workspace, caller.workspace_id))


@router.get("/workspace/")
def list_workspaces(parts: Parts, caller: Caller) -> dict[str, Any]:
    """List the one workspace that the token is bound to."""
    with parts.database.reading() as session:
        return build_list(1, [_build_workspace_row(session.get_one(Workspace, caller.workspace_id))])


@router.get("/workspace/{number}/switch")
def switch_workspace(number: int, caller: Caller) -> dict[str, str]:
    """Refuse: a token stays in its workspace."""
    if number != caller.workspace_id:
        raise HTTPException(
            403, f"The token is bound to workspace {caller.workspace_id}: make one in the other"
        )
    return {"message": "OK"}


def _build_user_row(user: User) -> dict[str, Any]:
    role = ROLES[user.role]
    return {
        "id": user.id,
        "uid": user.uid,
        "email": user.email,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "main_role": {"id": role["id"], "name": role["name"]},
        "roles": [role],
        "last_login": format_moment(user.last_login),
    }


def _build_workspace_row(workspace: Workspace) -> dict[str, Any]:
    return {
        "id": workspace.id,
        "uid": workspace.uid,
        "name": workspace.name,
        "is_active": True,
        "organization": {"name": ORGANIZATION},
    }
