"""Who the caller is, and where. These answers are bare: they stand in no ``result``."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from airflow_provider_pushmetrics.service.api.access import Caller, Parts
from airflow_provider_pushmetrics.service.models import User, Workspace

router = APIRouter(prefix="/api/v1", tags=["account"])


@router.get("/user/current")
def get_current_user(parts: Parts, caller: Caller) -> dict[str, Any]:
    """Show the user whose token is used."""
    with parts.database.reading() as session:
        user = session.get_one(User, caller.user_id)
    return {
        "id": user.id,
        "uid": user.uid,
        "email": user.email,
        "first_name": user.first_name,
        "last_name": user.last_name,
    }


@router.get("/workspace/current")
def get_current_workspace(parts: Parts, caller: Caller) -> dict[str, Any]:
    """Show the workspace that the token is bound to."""
    with parts.database.reading() as session:
        workspace = session.get_one(Workspace, caller.workspace_id)
    return {"id": workspace.id, "uid": workspace.uid, "name": workspace.name}
