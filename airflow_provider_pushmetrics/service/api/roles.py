"""Roles: listing them, and giving them to several users at once."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from fastapi import HTTPException, Path
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.service.accounts.authentication import Principal
from airflow_provider_pushmetrics.service.accounts.members import give_role
from airflow_provider_pushmetrics.service.accounts.roles import Role, find_role
from airflow_provider_pushmetrics.service.api.conventions.access import Admin, Caller, Parts
from airflow_provider_pushmetrics.service.api.conventions.lookup import NOT_FOUND
from airflow_provider_pushmetrics.service.api.conventions.routers import make_router
from airflow_provider_pushmetrics.service.api.conventions.shapes import build_page, wrap
from airflow_provider_pushmetrics.service.api.schemas.users import (
    RoleAssignment,
    RoleAssignmentResponse,
    RoleList,
    RoleRow,
    SomeUsers,
)
from airflow_provider_pushmetrics.service.api.users import find_member
from airflow_provider_pushmetrics.service.models import Membership

router = make_router("/api/v1/role", "role")

RoleReference: TypeAlias = Annotated[
    str, Path(description="The id or the uid of the role", examples=[str(Role.USER.number)])
]


@router.get("/")
def list_roles(caller: Caller) -> RoleList:
    """List the roles."""
    return build_page(len(Role), [build_role_row(role) for role in Role])


@router.post("/{reference}/assign_users")
def assign_role(
    reference: RoleReference, wanted: SomeUsers, parts: Parts, caller: Admin
) -> RoleAssignmentResponse:
    """Give a role to users of the workspace. It replaces the role that they have."""
    role = _find(reference)
    with parts.database.writing() as session:
        for member in _find_members(session, wanted, caller):
            give_role(session, member, role)
    return wrap(RoleAssignment(role=build_role_row(role), users_uid=wanted.users_uid))


@router.post("/{reference}/revoke_users")
def revoke_role(
    reference: RoleReference, wanted: SomeUsers, parts: Parts, caller: Admin
) -> RoleAssignmentResponse:
    """Take a role from those of the users who have it. They become Guests."""
    role = _find(reference)
    if role is Role.GUEST:
        raise HTTPException(409, "The role Guest cannot be revoked: remove the users from the workspace")
    with parts.database.writing() as session:
        for member in _find_members(session, wanted, caller):
            if member.role == role.value:
                give_role(session, member, Role.GUEST)
    return wrap(RoleAssignment(role=build_role_row(role), users_uid=wanted.users_uid))


def _find(reference: str) -> Role:
    role = find_role(reference)
    if role is None:
        raise HTTPException(404, NOT_FOUND)
    return role


def _find_members(session: Session, wanted: SomeUsers, caller: Principal) -> list[Membership]:
    return [find_member(session, uid, caller) for uid in wanted.users_uid]


def build_role_row(role: Role) -> RoleRow:
    return {"id": role.number, "uid": role.uid, "name": role.value}
