"""Roles: what there are, and giving them to several users at once."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, Field, StringConstraints
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.service.accounts.authentication import Principal
from airflow_provider_pushmetrics.service.accounts.members import give_role
from airflow_provider_pushmetrics.service.accounts.roles import Role, find_role
from airflow_provider_pushmetrics.service.api.conventions.access import Admin, Caller, Parts
from airflow_provider_pushmetrics.service.api.conventions.lookup import NOT_FOUND
from airflow_provider_pushmetrics.service.api.conventions.shapes import build_list
from airflow_provider_pushmetrics.service.api.users import find_member
from airflow_provider_pushmetrics.service.models import Membership

router = APIRouter(prefix="/api/v1/role", tags=["role"])

MAX_USERS = 100


class SomeUsers(BaseModel):
    """
    The users that a role is given to, or taken from.

    :param users_uid: Their uids.
    """

    users_uid: list[Annotated[str, StringConstraints(max_length=32)]] = Field(
        max_length=MAX_USERS, examples=[["kQ3vX8mWz1aB"]]
    )


@router.get("/")
def list_roles(caller: Caller) -> dict[str, Any]:
    """List the roles that users have."""
    return build_list(len(Role), [_build_row(role) for role in Role])


@router.post("/{reference}/assign_users")
def assign_users(reference: str, wanted: SomeUsers, parts: Parts, caller: Admin) -> dict[str, Any]:
    """Give a role to users of the workspace, instead of the one that they have."""
    role = _find(reference)
    with parts.database.writing() as session:
        for member in _find_members(session, wanted, caller):
            give_role(session, member, role)
    return {"result": {"role": _build_row(role), "users_uid": wanted.users_uid}}


@router.post("/{reference}/revoke_users")
def revoke_users(reference: str, wanted: SomeUsers, parts: Parts, caller: Admin) -> dict[str, Any]:
    """Take a role from those of the users who have it; they are Guests then, who only read."""
    role = _find(reference)
    if role is Role.GUEST:
        raise HTTPException(409, "Who is no Guest any more has left: remove them from the workspace")
    with parts.database.writing() as session:
        for member in _find_members(session, wanted, caller):
            if member.role == role.value:
                give_role(session, member, Role.GUEST)
    return {"result": {"role": _build_row(role), "users_uid": wanted.users_uid}}


def _find(reference: str) -> Role:
    role = find_role(reference)
    if role is None:
        raise HTTPException(404, NOT_FOUND)
    return role


def _find_members(session: Session, wanted: SomeUsers, caller: Principal) -> list[Membership]:
    return [find_member(session, uid, caller) for uid in wanted.users_uid]


def _build_row(role: Role) -> dict[str, Any]:
    return {"id": role.number, "uid": role.uid, "name": role.value}
