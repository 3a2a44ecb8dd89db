"""Workspaces: the one that the token is bound to, and the others of its user."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.service.api.access import Admin, Caller, Parts
from airflow_provider_pushmetrics.service.api.lookup import MAX_INTEGER, NOT_FOUND
from airflow_provider_pushmetrics.service.api.shapes import build_list, build_one
from airflow_provider_pushmetrics.service.api.texts import Name
from airflow_provider_pushmetrics.service.api.tokens import add_token
from airflow_provider_pushmetrics.service.credentials import Principal
from airflow_provider_pushmetrics.service.ids import parse_id
from airflow_provider_pushmetrics.service.members import find_membership
from airflow_provider_pushmetrics.service.models import Membership, Workspace
from airflow_provider_pushmetrics.service.result_files import delete_result_files, list_result_files
from airflow_provider_pushmetrics.service.roles import Role
from airflow_provider_pushmetrics.service.workspaces import create_workspace, delete_workspace

router = APIRouter(prefix="/api/v1/workspace", tags=["workspace"])

ORGANIZATION = "PushMetrics"
FIRST_TOKEN = "first token of the workspace"


class NewWorkspace(BaseModel):
    """A workspace."""

    name: Name = Field(examples=["Marketing"])


@router.get("/current")
def get_current_workspace(parts: Parts, caller: Caller) -> dict[str, Any]:
    """Show the workspace that the token is bound to."""
    with parts.database.reading() as session:
        return _build_row(session.get_one(Workspace, caller.workspace_id), caller)


@router.get("/")
def list_workspaces(parts: Parts, caller: Caller) -> dict[str, Any]:
    """List the workspaces of the user; the one that the token is bound to is the active one."""
    mine = select(Workspace).join(Membership, Membership.workspace_id == Workspace.id)
    with parts.database.reading() as session:
        found = session.scalars(mine.where(Membership.user_id == caller.user_id).order_by(Workspace.id))
        rows = [_build_row(workspace, caller) for workspace in found]
    return build_list(len(rows), rows)


@router.post("/", status_code=201)
def make_workspace(wanted: NewWorkspace, parts: Parts, caller: Admin) -> dict[str, Any]:
    """Make a workspace, with oneself as its Admin; only this answer shows a token for it."""
    with parts.database.writing() as session:
        workspace = create_workspace(session, wanted.name, caller.user_id)
        _, token = add_token(session, caller.user_id, workspace.id, FIRST_TOKEN)
        return {**build_one(_build_row(workspace, caller)), "token": token}


@router.get("/{reference}")
def get_workspace(reference: str, parts: Parts, caller: Caller) -> dict[str, Any]:
    """Show a workspace of the user."""
    with parts.database.reading() as session:
        return build_one(_build_row(_find(session, reference, caller), caller))


@router.delete("/{reference}")
def remove_workspace(reference: str, parts: Parts, caller: Admin) -> dict[str, str]:
    """Delete another workspace of which the user is an Admin, with everything in it."""
    with parts.database.writing() as session:
        workspace = _find(session, reference, caller)
        membership = find_membership(session, caller.user_id, workspace.id)
        if membership is None or membership.role != Role.ADMIN.value:
            raise HTTPException(403, f"Forbidden: only an Admin of workspace {workspace.name!r} deletes it")
        if workspace.id == caller.workspace_id:
            raise HTTPException(409, "The token is bound to this workspace: delete it by a token of another")
        files = list_result_files(session, workspace_id=workspace.id)
        delete_workspace(session, workspace)
    delete_result_files(parts.results, files)
    return {"message": "OK"}


@router.get("/{number}/switch")
def switch_workspace(number: int, caller: Caller) -> dict[str, str]:
    """Refuse: a token stays in its workspace."""
    if number != caller.workspace_id:
        raise HTTPException(
            403, f"The token is bound to workspace {caller.workspace_id}: make one in the other"
        )
    return {"message": "OK"}


def _find(session: Session, reference: str, caller: Principal) -> Workspace:
    number = parse_id(reference)
    named = Workspace.uid == reference if number is None else Workspace.id == number
    mine = select(Workspace).join(Membership, Membership.workspace_id == Workspace.id)
    workspace = None
    if (number is None or number <= MAX_INTEGER) and "\x00" not in reference:
        workspace = session.scalar(mine.where(Membership.user_id == caller.user_id, named))
    if workspace is None:
        raise HTTPException(404, NOT_FOUND)
    return workspace


def _build_row(workspace: Workspace, caller: Principal) -> dict[str, Any]:
    return {
        "id": workspace.id,
        "uid": workspace.uid,
        "name": workspace.name,
        "is_active": workspace.id == caller.workspace_id,
        "organization": {"name": ORGANIZATION},
    }
