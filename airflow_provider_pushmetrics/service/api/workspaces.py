"""Workspaces: a token sees, and may delete, the one that it is bound to and no other."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.service.accounts.authentication import Principal
from airflow_provider_pushmetrics.service.accounts.workspaces import create_workspace, delete_workspace
from airflow_provider_pushmetrics.service.api.conventions.access import Admin, Caller, Parts
from airflow_provider_pushmetrics.service.api.conventions.fields import Name
from airflow_provider_pushmetrics.service.api.conventions.lookup import NOT_FOUND
from airflow_provider_pushmetrics.service.api.conventions.shapes import build_list, build_one
from airflow_provider_pushmetrics.service.api.tokens import add_token
from airflow_provider_pushmetrics.service.models import Workspace
from airflow_provider_pushmetrics.service.results.store import list_result_files

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
    """List what the token can see: the workspace that it is bound to."""
    with parts.database.reading() as session:
        return build_list(1, [_build_row(session.get_one(Workspace, caller.workspace_id), caller)])


@router.post("/", status_code=201)
def make_workspace(wanted: NewWorkspace, parts: Parts, caller: Admin) -> dict[str, Any]:
    """Make a workspace, with oneself as its Admin; only this answer shows a token for it."""
    with parts.database.writing() as session:
        workspace = create_workspace(session, wanted.name, caller.user_id)
        _, token = add_token(session, caller.user_id, workspace.id, FIRST_TOKEN)
        return {**build_one(_build_row(workspace, caller)), "token": token}


@router.get("/{reference}")
def get_workspace(reference: str, parts: Parts, caller: Caller) -> dict[str, Any]:
    """Show the workspace that the token is bound to, by its id or its uid."""
    with parts.database.reading() as session:
        return build_one(_build_row(_find(session, reference, caller), caller))


@router.delete("/{reference}")
def remove_workspace(reference: str, parts: Parts, caller: Admin) -> dict[str, str]:
    """Delete the workspace that the token is bound to, with everything in it, the token too."""
    with parts.database.writing() as session:
        workspace = _find(session, reference, caller)
        files = list_result_files(session, workspace_id=workspace.id)
        delete_workspace(session, workspace)
    parts.results.delete(files)
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
    own = session.get_one(Workspace, caller.workspace_id)
    if reference not in (own.uid, str(own.id)):
        raise HTTPException(404, NOT_FOUND)
    return own


def _build_row(workspace: Workspace, caller: Principal) -> dict[str, Any]:
    return {
        "id": workspace.id,
        "uid": workspace.uid,
        "name": workspace.name,
        "is_active": workspace.id == caller.workspace_id,
        "organization": {"name": ORGANIZATION},
    }
