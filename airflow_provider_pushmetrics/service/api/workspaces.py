"""Workspaces. A credential shows, and can delete, the one that it is bound to."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from fastapi import HTTPException, Path
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.service.accounts import workspaces
from airflow_provider_pushmetrics.service.accounts.authentication import Principal
from airflow_provider_pushmetrics.service.api.conventions.access import Admin, Caller, Parts
from airflow_provider_pushmetrics.service.api.conventions.fields import Reference
from airflow_provider_pushmetrics.service.api.conventions.lookup import NOT_FOUND
from airflow_provider_pushmetrics.service.api.conventions.routers import make_router
from airflow_provider_pushmetrics.service.api.conventions.shapes import (
    OK,
    Confirmation,
    build_answer,
    build_one,
    build_page,
    wrap,
)
from airflow_provider_pushmetrics.service.api.schemas.workspaces import (
    ChangedWorkspace,
    CreatedWorkspace,
    NewWorkspace,
    WorkspaceChange,
    WorkspaceList,
    WorkspaceResponse,
    WorkspaceRow,
)
from airflow_provider_pushmetrics.service.api.tokens import add_token
from airflow_provider_pushmetrics.service.models import Run, StandaloneQueryRun, Workspace
from airflow_provider_pushmetrics.service.retention.deleted_folders import record_folders

router = make_router("/api/v1/workspace", "workspace")

WorkspaceId: TypeAlias = Annotated[int, Path(description="The id of the workspace", examples=[1])]

ORGANIZATION = "PushMetrics"
FIRST_TOKEN = "first token of the workspace"  # noqa: S105 (a name, not a secret)


@router.get("/current")
def get_current_workspace(parts: Parts, caller: Caller) -> WorkspaceRow:
    """Show the workspace that the credential is bound to."""
    with parts.database.reading() as session:
        return _build_row(session.get_one(Workspace, caller.workspace_id), caller)


@router.get("/")
def list_workspaces(parts: Parts, caller: Caller) -> WorkspaceList:
    """List the workspace that the credential is bound to."""
    with parts.database.reading() as session:
        return build_page(1, [_build_row(session.get_one(Workspace, caller.workspace_id), caller)])


@router.post("/", status_code=201)
def create_workspace(wanted: NewWorkspace, parts: Parts, caller: Admin) -> CreatedWorkspace:
    """Create a workspace with the caller as its Admin. No other answer shows its first token."""
    with parts.database.writing() as session:
        workspace = workspaces.create_workspace(session, wanted.name, caller.user_id)
        _, token = add_token(session, caller.user_id, workspace.id, FIRST_TOKEN)
        row = _build_row(workspace, caller)
    return {"id": row["id"], "result": row, "token": token}


@router.get("/{reference}")
def get_workspace(reference: Reference, parts: Parts, caller: Caller) -> WorkspaceResponse:
    """Show the workspace that the credential is bound to. 404 for any other."""
    with parts.database.reading() as session:
        return build_one(_build_row(_find(session, reference, caller), caller))


@router.put("/{reference}")
def rename_workspace(
    reference: Reference, wanted: WorkspaceChange, parts: Parts, caller: Admin
) -> ChangedWorkspace:
    """Rename the workspace that the credential is bound to. 404 for any other."""
    with parts.database.writing() as session:
        workspace = _find(session, reference, caller)
        workspace.name = wanted.name
        return wrap(_build_row(workspace, caller))


@router.delete("/{reference}")
def delete_workspace(reference: Reference, parts: Parts, caller: Admin) -> Confirmation:
    """Delete the workspace that the credential is bound to with everything in it, its tokens too."""
    with parts.database.writing() as session:
        workspace = _find(session, reference, caller)
        workspaces.lock_workspace(session, workspace)
        for kind in (Run, StandaloneQueryRun):
            record_folders(session, kind, kind.workspace_id == workspace.id)
        workspaces.delete_workspace(session, workspace)
    return OK


@router.get("/{number}/switch")
def switch_workspace(number: WorkspaceId, caller: Caller) -> Confirmation:
    """Confirm that the credential is bound to a workspace. 403 for any other: a token cannot switch."""
    if number != caller.workspace_id:
        raise HTTPException(
            403, f"The token is bound to workspace {caller.workspace_id}: make one in the other"
        )
    return OK


def _find(session: Session, reference: str, caller: Principal) -> Workspace:
    own = session.get_one(Workspace, caller.workspace_id)
    if reference not in (own.uid, str(own.id)):
        raise HTTPException(404, NOT_FOUND)
    return own


def _build_row(workspace: Workspace, caller: Principal) -> WorkspaceRow:
    is_active = workspace.id == caller.workspace_id
    return build_answer(WorkspaceRow, workspace, is_active=is_active, organization={"name": ORGANIZATION})
