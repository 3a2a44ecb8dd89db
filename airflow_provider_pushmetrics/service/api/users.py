"""The users of the workspace: adding, showing, changing and removing them. ``current`` answers a bare row."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from fastapi import HTTPException, Path
from sqlalchemy import Select, select
from sqlalchemy.orm import Session, contains_eager, undefer

from airflow_provider_pushmetrics.service.accounts.authentication import Principal
from airflow_provider_pushmetrics.service.accounts.members import (
    NO_OP,
    add_member,
    give_role,
    put_welcome,
    remove_member,
)
from airflow_provider_pushmetrics.service.accounts.roles import Role, find_role
from airflow_provider_pushmetrics.service.api.conventions.access import Admin, Caller, Parts
from airflow_provider_pushmetrics.service.api.conventions.fields import Reference
from airflow_provider_pushmetrics.service.api.conventions.listing import Listing, match_integer, match_text
from airflow_provider_pushmetrics.service.api.conventions.lookup import NOT_FOUND
from airflow_provider_pushmetrics.service.api.conventions.resources import Resource, Rows
from airflow_provider_pushmetrics.service.api.conventions.routers import make_router
from airflow_provider_pushmetrics.service.api.conventions.shapes import OK, Confirmation, wrap
from airflow_provider_pushmetrics.service.api.schemas.users import (
    AddedUser,
    ChangedUser,
    NewUser,
    UserChange,
    UserList,
    UserResponse,
    UserRow,
)
from airflow_provider_pushmetrics.service.models import Membership, User, Workspace
from airflow_provider_pushmetrics.service.reports.block_types import ContentError
from airflow_provider_pushmetrics.service.storage.clock import format_moment
from airflow_provider_pushmetrics.service.storage.ids import MAX_INTEGER_ID, parse_id

router = make_router("/api/v1/user", "user")

WorkspaceReference: TypeAlias = Annotated[
    str, Path(description="The id or the uid of the workspace", examples=["1"])
]

LISTING = Listing(
    order=User.id,
    columns={"id": User.id, "email": User.email},
    conditions={
        ("id", "eq"): match_integer(User.id, "id"),
        ("email", "eq"): match_text(User.email),
    },
)


def find_member(session: Session, reference: str, caller: Principal) -> Membership:
    """Find a user of the workspace by their id or uid; 404 if there is none."""
    number = parse_id(reference)
    if (number is not None and number > MAX_INTEGER_ID) or "\x00" in reference:
        raise HTTPException(404, NOT_FOUND)
    named = User.uid == reference if number is None else User.id == number
    member = session.scalar(_select_members(caller).where(named))
    if member is None:
        raise HTTPException(404, NOT_FOUND)
    return member


def build_user_row(member: Membership, *, is_self: bool = False) -> UserRow:
    """Build the row of a member of a workspace; other users see only their identity."""
    user, role = member.user, Role(member.role)
    is_own = is_self or bool(member.is_first)
    return {
        "id": user.id,
        "uid": user.uid,
        "email": user.email,
        "first_name": user.first_name if is_own else "",
        "last_name": user.last_name if is_own else "",
        "main_role": {"id": role.number, "name": role.value},
        "roles": [{"id": role.number, "uid": role.uid, "name": role.value}],
        "last_login": format_moment(user.last_login) if is_own else None,
    }


def _select_members(caller: Principal) -> Select[Membership]:
    members = (
        select(Membership)
        .join(Membership.user)
        .options(contains_eager(Membership.user), undefer(Membership.is_first))
    )
    return members.where(Membership.workspace_id == caller.workspace_id)


@router.get("/current")
def get_current_user(parts: Parts, caller: Caller) -> UserRow:
    """Show the caller."""
    with parts.database.reading() as session:
        return build_user_row(find_member(session, str(caller.user_id), caller), is_self=True)


Resource(
    name="user",
    plural="users",
    rows=Rows(_select_members, find_member),
    listing=LISTING,
    build_row=lambda member, _: build_user_row(member),
    list_schema=UserList,
    schema=UserResponse,
).add_routes(router)


@router.post("/", status_code=201)
def create_user(wanted: NewUser, parts: Parts, caller: Admin, skip_welcome_email: bool = False) -> AddedUser:
    """Add a user to the workspace, by mail address. A user who was added gets a mail."""
    roles = [parse_role(number) for number in wanted.roles] or [Role.USER]
    with parts.database.writing() as session:
        member, action = add_member(
            session,
            caller.workspace_id,
            wanted.email,
            wanted.first_name,
            wanted.last_name,
            min(roles, key=lambda role: role.number),
        )
        if action != NO_OP and not skip_welcome_email:
            sender = session.get_one(User, caller.user_id)
            put_welcome(session, member, sender, parts.settings.base_url)
        row = build_user_row(member)
    return {"id": row["id"], "result": row, "action": action}


@router.put("/{reference}")
def update_user(reference: Reference, wanted: UserChange, parts: Parts, caller: Admin) -> ChangedUser:
    """Give a user another role. 409 if the workspace would have no Admin."""
    with parts.database.writing() as session:
        member = find_member(session, reference, caller)
        if wanted.main_role is not None:
            give_role(session, member, parse_role(wanted.main_role))
        return wrap(build_user_row(member))


@router.delete("/{reference}/remove_from_workspace/")
def remove_user(reference: Reference, parts: Parts, caller: Admin) -> Confirmation:
    """Remove a user from the workspace, and revoke the user's tokens. 409 if no Admin would be left."""
    with parts.database.writing() as session:
        remove_member(session, find_member(session, reference, caller))
    return OK


@router.delete("/{reference}/remove_from_workspace/{workspace}")
def remove_user_from_workspace(
    reference: Reference, workspace: WorkspaceReference, parts: Parts, caller: Admin
) -> Confirmation:
    """Remove a user from a workspace, which must be the one that the credential is bound to."""
    with parts.database.reading() as session:
        own = session.get_one(Workspace, caller.workspace_id)
    if workspace not in (own.uid, str(own.id)):
        raise HTTPException(404, NOT_FOUND)
    return remove_user(reference, parts, caller)


def parse_role(number: int) -> Role:
    """
    Find a role by its id.

    :raises ContentError: if there is none.
    """
    role = find_role(number)
    if role is None:
        known = ", ".join(f"{role.number} ({role.value})" for role in Role)
        raise ContentError(f"there is no role with the id {number}: use {known}")
    return role
